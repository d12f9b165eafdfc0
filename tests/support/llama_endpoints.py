"""The eight endpoints of a LlamaIndex model, each giving what it answers."""

import asyncio

from llama_index.core.base.llms.types import ChatMessage

ASKED = [ChatMessage(role="user", content="Q")]


async def gather(items):
    return [item async for item in items]


def chat(model, **kwargs):
    return model.chat(ASKED, **kwargs).message.content


def achat(model, **kwargs):
    return asyncio.run(model.achat(ASKED, **kwargs)).message.content


def stream_chat(model, **kwargs):
    return list(model.stream_chat(ASKED, **kwargs))[-1].message.content


def astream_chat(model, **kwargs):
    async def run():
        return await gather(await model.astream_chat(ASKED, **kwargs))

    return asyncio.run(run())[-1].message.content


def complete(model, **kwargs):
    return model.complete("Q", **kwargs).text


def acomplete(model, **kwargs):
    return asyncio.run(model.acomplete("Q", **kwargs)).text


def stream_complete(model, **kwargs):
    return list(model.stream_complete("Q", **kwargs))[-1].text


def astream_complete(model, **kwargs):
    async def run():
        return await gather(await model.astream_complete("Q", **kwargs))

    return asyncio.run(run())[-1].text


ENDPOINTS = [
    chat,
    achat,
    stream_chat,
    astream_chat,
    complete,
    acomplete,
    stream_complete,
    astream_complete,
]
STREAMS = [stream_chat, astream_chat, stream_complete, astream_complete]
