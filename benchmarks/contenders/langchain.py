"""A LangChain chat model and embeddings, whichever they are."""

from __future__ import annotations

import asyncio
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from . import wants


class LangChain:
    """The calls of a chain, an agent or an indexing job."""

    def __init__(self, model: Any, embeddings: dict[int | None, Any]) -> None:
        self._model = model
        self._tooled = model.bind_tools([wants.TOOL])
        self._embeddings = embeddings

    def stream(self, chunks: int, every_ms: float = 0) -> int:
        asked = wants.line(chunks=chunks, every_ms=every_ms)
        return sum(len(chunk.content) for chunk in self._model.stream(asked))

    async def astream(self, chunks: int, every_ms: float = 0) -> int:
        asked = wants.line(chunks=chunks, every_ms=every_ms)
        came = 0
        async for chunk in self._model.astream(asked):
            came += len(chunk.content)
        return came

    def events(self, chunks: int) -> int:
        asked = wants.line(chunks=chunks)
        return sum(map(len, self._model.stream_events(asked, version="v3").text))

    async def aevents(self, chunks: int) -> int:
        came = 0
        async for event in self._model.astream_events(wants.line(chunks=chunks)):
            if event["event"] == "on_chat_model_stream":
                came += len(event["data"]["chunk"].content)
        return came

    def tool(self, size: int) -> int:
        came = 0
        for chunk in self._tooled.stream(wants.line(tool=size)):
            for call in chunk.tool_call_chunks:
                came += len(call["args"] or "")
        return came

    async def side_by_side(self, streams: int, chunks: int, every_ms: float = 0) -> int:
        each = [self.astream(chunks, every_ms) for _ in range(streams)]
        return sum(await asyncio.gather(*each))

    def complete(self, reply: int, history: int = 1) -> int:
        return len(self._model.invoke(_messages(history, reply)).content)

    async def acomplete_all(self, calls: int, reply: int) -> int:
        asked = [self._model.ainvoke(_messages(1, reply)) for _ in range(calls)]
        return sum(len(answer.content) for answer in await asyncio.gather(*asked))

    def embed(self, texts: int, batch: int | None = None) -> int:
        return len(self._embeddings[batch].embed_documents(wants.batch(texts)))


def _messages(history: int, reply: int) -> list[BaseMessage]:
    return [
        (HumanMessage if message["role"] == "user" else AIMessage)(message["content"])
        for message in wants.messages(history, reply=reply)
    ]
