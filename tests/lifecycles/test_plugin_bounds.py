"""The bounds of the core hold in both plugins; nothing there grows with a stream."""

import asyncio

import httpx
import pytest
from langchain_core.messages import HumanMessage
from lived import LANGCHAIN, LLAMA_INDEX, is_answer
from long_streams import peak_of, streaming
from scripted import CHAT

import langchain_atoma
import llama_index_atoma
from atoma_confidential import InvalidInputError, RemoteProtocolError, _nonces

PLUGINS = LANGCHAIN + LLAMA_INDEX
ASKED = [HumanMessage("Q")]
SETTINGS = {"api_key": "k", "stream_mode": "live"}


@pytest.mark.parametrize("way", PLUGINS, ids=lambda way: way.name)
def test_max_reply_bytes(way, scripted):
    assert is_answer(way.sync(way.make(scripted, max_reply_bytes=10_000)))
    buffered = {"stream_mode": "buffered"} if way.begin else {}
    model = way.make(scripted, max_reply_bytes=10, **buffered)
    with pytest.raises(RemoteProtocolError, match="max_reply_bytes, 10 bytes"):
        way.sync(model)
    with pytest.raises(RemoteProtocolError, match="max_reply_bytes, 10 bytes"):
        asyncio.run(way.asynchronous(model))
    with pytest.raises(InvalidInputError, match="max_reply_bytes"):
        way.make(scripted, max_reply_bytes=0)


async def counted(items, text_of):
    count = 0
    async for item in items:
        count += text_of(item) == "x"
    return count


def lc_read(http):
    model = langchain_atoma.AtomaChatModel(model=CHAT, http_client=http, **SETTINGS)
    # Core's own `stream` keeps all chunks, to tell its callbacks of them at the end.
    return sum(chunk.text == "x" for chunk in model._stream(ASKED))


async def lc_aread(http):
    model = langchain_atoma.AtomaChatModel(
        model=CHAT, http_async_client=http, **SETTINGS
    )
    return await counted(model._astream(ASKED), lambda chunk: chunk.text)


def li_read(http):
    model = llama_index_atoma.AtomaChatModel(model=CHAT, http_client=http, **SETTINGS)
    return sum(item.delta == "x" for item in model.stream_complete("Q"))


async def li_aread(http):
    model = llama_index_atoma.AtomaChatModel(
        model=CHAT, async_http_client=http, **SETTINGS
    )
    return await counted(await model.astream_complete("Q"), lambda item: item.delta)


@pytest.mark.filterwarnings("ignore::atoma_confidential.ConfidentialityWarning")
@pytest.mark.parametrize("read", [lc_read, li_read], ids=["langchain", "llama-index"])
def test_a_longer_stream_takes_no_more_memory(monkeypatch, read):
    monkeypatch.setattr(_nonces, "KEPT", 30)

    def run(count):
        with httpx.Client(transport=streaming(count)) as http:
            assert read(http) == count

    run(10)
    short = peak_of(lambda: run(100))
    assert peak_of(lambda: run(1_000)) < short + 2**16


@pytest.mark.filterwarnings("ignore::atoma_confidential.ConfidentialityWarning")
@pytest.mark.parametrize("read", [lc_aread, li_aread], ids=["langchain", "llama-index"])
def test_a_longer_async_stream_takes_no_more_memory(monkeypatch, read):
    monkeypatch.setattr(_nonces, "KEPT", 30)

    async def arun(count):
        async with httpx.AsyncClient(transport=streaming(count)) as http:
            assert await read(http) == count

    def run(count):
        asyncio.run(arun(count))

    run(10)
    short = peak_of(lambda: run(100))
    assert peak_of(lambda: run(1_000)) < short + 2**16
