"""A LlamaIndex LLM and embedding model, whichever they are."""

from __future__ import annotations

import asyncio
from typing import Any

from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool

from . import wants


def note(text: str) -> str:
    """Note a text."""
    return text


class LlamaIndex:
    """The calls of a chat engine, an agent or an ingestion pipeline."""

    def __init__(self, model: Any, embeddings: dict[int | None, Any]) -> None:
        self._model = model
        self._tools = [FunctionTool.from_defaults(note)]
        self._embeddings = embeddings

    def stream(self, chunks: int, every_ms: float = 0) -> int:
        asked = _messages(1, chunks=chunks, every_ms=every_ms)
        return sum(len(part.delta or "") for part in self._model.stream_chat(asked))

    async def astream(self, chunks: int, every_ms: float = 0) -> int:
        asked = _messages(1, chunks=chunks, every_ms=every_ms)
        came = 0
        async for part in await self._model.astream_chat(asked):
            came += len(part.delta or "")
        return came

    def tool(self, size: int) -> int:
        last = None
        asked = wants.line(tool=size)
        for part in self._model.stream_chat_with_tools(self._tools, user_msg=asked):
            last = part
        return self._size_of_call(last)

    def agent_tool(self, size: int) -> int:
        """Look for calls in each part, as core's FunctionAgent does."""
        last = None
        asked = wants.line(tool=size)
        for part in self._model.stream_chat_with_tools(self._tools, user_msg=asked):
            last = part
            self._model.get_tool_calls_from_response(part, error_on_no_tool_call=False)
        return self._size_of_call(last)

    def _size_of_call(self, response: Any) -> int:
        (call,) = self._model.get_tool_calls_from_response(response)
        return len(call.tool_kwargs["text"]) + len('{"text": ""}')

    async def side_by_side(self, streams: int, chunks: int, every_ms: float = 0) -> int:
        each = [self.astream(chunks, every_ms) for _ in range(streams)]
        return sum(await asyncio.gather(*each))

    def complete(self, reply: int, history: int = 1) -> int:
        answer = self._model.chat(_messages(history, reply=reply))
        return len(answer.message.content)

    def embed(self, texts: int, batch: int | None = None) -> int:
        model = self._embeddings[batch]
        return len(model.get_text_embedding_batch(wants.batch(texts)))


def _messages(history: int, **asked: float) -> list[ChatMessage]:
    return [
        ChatMessage(role=message["role"], content=message["content"])
        for message in wants.messages(history, **asked)
    ]
