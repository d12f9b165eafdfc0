"""OpenAI's own SDK, in clear."""

from __future__ import annotations

from openai import AsyncOpenAI, OpenAI

from . import wants


class Sdk:
    def __init__(self, url: str, key: str) -> None:
        where = {"base_url": f"{url}/openai/v1", "api_key": key}
        self._sync = OpenAI(**where)
        self._async = AsyncOpenAI(**where)

    def stream(self, chunks: int, every_ms: float = 0) -> int:
        came = 0
        for chunk in self._sync.chat.completions.create(
            model=wants.MODEL,
            messages=wants.messages(chunks=chunks, every_ms=every_ms),
            stream=True,
        ):
            if chunk.choices:
                came += len(chunk.choices[0].delta.content or "")
        return came

    async def astream(self, chunks: int, every_ms: float = 0) -> int:
        came = 0
        async for chunk in await self._async.chat.completions.create(
            model=wants.MODEL,
            messages=wants.messages(chunks=chunks, every_ms=every_ms),
            stream=True,
        ):
            if chunk.choices:
                came += len(chunk.choices[0].delta.content or "")
        return came

    def complete(self, reply: int, history: int = 1) -> int:
        answer = self._sync.chat.completions.create(
            model=wants.MODEL, messages=wants.messages(history, reply=reply)
        )
        return len(answer.choices[0].message.content)

    def embed(self, texts: int, batch: int = 100) -> int:
        came = 0
        for start in range(0, texts, batch):
            part = wants.batch(min(batch, texts - start), start)
            answer = self._sync.embeddings.create(model=wants.MODEL, input=part)
            came += len([item.embedding for item in answer.data])
        return came


def make(url: str, key: str, kind: str) -> Sdk:
    del kind
    return Sdk(url, key)
