"""Calls of the OpenAI SDK, run by the Python that has it; prints what came back.

Arguments: what to do, as JSON; see `test_openai_sdk.py`. What is sealed goes through
a client that is passed to the SDK, as any user's would.
"""

import asyncio
import inspect
import json
import sys
from contextlib import closing

import openai
from openai import pydantic_function_tool
from pydantic import BaseModel

from atoma_confidential.httpx import SEALED_BASE_URL
from atoma_confidential.openai import _flavour, async_openai_client, openai_client


class Bottles(BaseModel):
    """How many bottles there are."""

    bottles: int


class Add(BaseModel):
    """Add two numbers."""

    a: int
    b: int


TOOLS = [pydantic_function_tool(Add)]
SUM = [{"role": "user", "content": "Use the tool: add 17 and 25."}]
USAGE = {"include_usage": True}


def chats(model, question):
    """What is asked of `chat.completions`: a method's name and its arguments."""
    ask = {"model": model, "messages": [{"role": "user", "content": question}]}
    add = {"model": model, "messages": SUM, "tools": TOOLS, "tool_choice": "required"}
    return {
        "chat": ("create", ask),
        "two": ("create", ask | {"n": 2, "seed": 7}),
        "tools": ("create", add),
        "structured": ("parse", ask | {"response_format": Bottles}),
        "parsed tools": ("parse", add),
        "stream": ("create", ask | {"stream": True}),
        "stream with usage": (
            "create",
            ask | {"stream": True, "stream_options": USAGE},
        ),
        "stream of tools": ("create", add | {"stream": True}),
        "events": ("stream", ask),
        "structured events": ("stream", ask | {"response_format": Bottles}),
        "events of tools": ("stream", add),
    }


def vectors(model, text):
    return {
        "vector": {"model": model, "input": text},
        "vector of numbers": {
            "model": model,
            "input": text,
            "encoding_format": "float",
        },
    }


def shown(value):
    """All that an object of the SDK holds: its class, and the fields that were set."""
    if isinstance(value, BaseModel):
        fields = {name: getattr(value, name) for name in value.model_fields_set}
        fields |= value.model_extra or {}
        return {"class": type(value).__name__} | {
            n: shown(v) for n, v in fields.items()
        }
    if isinstance(value, dict):
        return {name: shown(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [shown(item) for item in value]
    return value


def failed(error):
    ours = getattr(error.__cause__ or error, "exposure", None)
    return {
        "class": type(error).__name__,
        "sdk": isinstance(error, openai.OpenAIError),
        "bases": [kind.__module__.partition(".")[0] for kind in type(error).__mro__],
        "status": getattr(error, "status_code", None),
        "exposure": ours and ours.name,
        "said": str(error),
    }


def each(client, model, embedding, question):
    """Yield the name of each call, and what makes it."""
    for name, (method, arguments) in chats(model, question).items():
        yield (
            name,
            lambda m=method, a=arguments: getattr(client.chat.completions, m)(**a),
        )
    for name, arguments in vectors(embedding, question).items():
        yield name, lambda a=arguments: client.embeddings.create(**a)
    yield "models", client.models.list


def blocking(client, *asked):
    said = {}
    for name, call in each(client, *asked):
        try:
            said[name] = read(call())
        except openai.OpenAIError as error:
            said[name] = failed(error)
    return said


def read(reply):
    if hasattr(reply, "__enter__") and not hasattr(reply, "response"):
        with reply as stream:
            return [shown(event) for event in stream] + [
                shown(stream.get_final_completion())
            ]
    if isinstance(reply, openai.Stream):
        return [shown(chunk) for chunk in reply]
    return shown(reply)


async def asynchronous(client, *asked):
    said = {}
    for name, call in each(client, *asked):
        try:
            said[name] = await aread(call())
        except openai.OpenAIError as error:
            said[name] = failed(error)
    return said


async def aread(reply):
    if hasattr(reply, "__aenter__") and not inspect.isawaitable(reply):
        async with reply as stream:
            events = [shown(event) async for event in stream]
            return [*events, shown(await stream.get_final_completion())]
    reply = await reply
    if isinstance(reply, openai.AsyncStream):
        return [shown(chunk) async for chunk in reply]
    return shown(reply)


async def run_async(client, *asked):
    async with client:
        return await asynchronous(client, *asked)


def same(sealed, plain, proxy, asked):
    """Ask the same of all, in both ways."""
    sealed = {"api_key": sealed["key"], "base_url": sealed["url"]}
    with closing(openai_client(**sealed, stream_mode="live")) as client:
        said = {"sealed": {"sync": blocking(client, *asked)}}
    with closing(openai_client(**sealed, stream_mode="buffered")) as client:
        said["buffered"] = {
            name: read(call())
            for name, call in each(client, *asked)
            if "events" in name
        }
    client = async_openai_client(**sealed, stream_mode="live")
    said["sealed"]["async"] = asyncio.run(run_async(client, *asked))
    for name, where in (("plain", plain), ("proxied", proxy)):
        with closing(openai.OpenAI(**where, max_retries=0)) as client:
            said[name] = {"sync": blocking(client, *asked)}
        client = openai.AsyncOpenAI(**where, max_retries=0)
        said[name]["async"] = asyncio.run(run_async(client, *asked))
    return said


def failures(cases, model, question):
    """Ask each server once, with the SDK's own repetitions on; say what came of it."""
    library, ours = _flavour()
    said = {"sync": [], "async": []}
    ask = {"model": model, "messages": [{"role": "user", "content": question}]}
    sdk = {"api_key": "sk-somebody-elses", "base_url": SEALED_BASE_URL}
    for case in cases:
        settings = {"api_key": case["key"], "base_url": case["url"], "max_retries": 0}
        settings |= {"stream_mode": "live"}
        asked = ask | case["more"]

        transport = ours.ConfidentialTransport(**settings)
        http_client = library.Client(transport=transport)
        with openai.OpenAI(http_client=http_client, **sdk) as client:
            said["sync"].append(failure(client, asked))

        async def run(settings=settings, asked=asked):
            transport = ours.AsyncConfidentialTransport(**settings)
            http_client = library.AsyncClient(transport=transport)
            async with openai.AsyncOpenAI(http_client=http_client, **sdk) as client:
                try:
                    return await aread(client.chat.completions.create(**asked))
                except Exception as error:  # noqa: BLE001 - what it is, is the question
                    return failed(error)

        said["async"].append(asyncio.run(run()))
    return said


def failure(client, asked):
    try:
        return read(client.chat.completions.create(**asked))
    except Exception as error:  # noqa: BLE001 - likewise
        return failed(error)


DO = {"same": same, "failures": failures}

if __name__ == "__main__":
    name, arguments = json.loads(sys.argv[1])
    told = {"version": openai.__version__, "said": DO[name](**arguments)}
    print(json.dumps(told))  # noqa: T201
