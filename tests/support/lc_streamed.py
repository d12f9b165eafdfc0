"""Ways to stream from a LangChain model, and what the chunks add up to."""

import asyncio
import warnings

import fragments
from deltas import calls


def fragment(arguments=None, **fields):
    """A chunk's choice with one fragment of a call."""
    return calls(fragments.fragment(arguments, **fields))


def added_up(chunks):
    first, *rest = chunks
    for chunk in rest:
        first += chunk
    return first


def by_stream(model, prompt):
    return added_up(model.stream(prompt))


def by_astream(model, prompt):
    async def collect():
        return added_up([chunk async for chunk in model.astream(prompt)])

    return asyncio.run(collect())


def by_events(model, prompt):
    with warnings.catch_warnings(action="ignore"):  # version 3 is beta
        return model.stream_events(prompt, version="v3").output


def by_aevents(model, prompt):
    async def collect():
        stream = await model.astream_events(prompt, version="v3")
        return await stream.output

    with warnings.catch_warnings(action="ignore"):
        return asyncio.run(collect())


def calls_of(message):
    return [(call["name"], call["args"]) for call in message.tool_calls]
