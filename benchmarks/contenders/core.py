"""Our transport alone, without a framework; sealed or plain."""

from __future__ import annotations

import asyncio

from atoma_confidential import AsyncClient, Client

from . import wants


class Core:
    def __init__(self, url: str, key: str, *, sealed: bool) -> None:
        where = {"base_url": url, "api_key": key, "confidential": sealed}
        self._sync = Client(**where)
        self._async = AsyncClient(**where)

    def stream(self, chunks: int, every_ms: float = 0) -> int:
        asked = wants.messages(chunks=chunks, every_ms=every_ms)
        with self._sync.stream_chat(asked, model=wants.MODEL) as stream:
            return sum(_characters(chunk) for chunk in stream)

    async def astream(self, chunks: int, every_ms: float = 0) -> int:
        asked = wants.messages(chunks=chunks, every_ms=every_ms)
        came = 0
        async with self._async.stream_chat(asked, model=wants.MODEL) as stream:
            async for chunk in stream:
                came += _characters(chunk)
        return came

    def complete(self, reply: int, history: int = 1) -> int:
        asked = wants.messages(history, reply=reply)
        answer = self._sync.chat(asked, model=wants.MODEL)
        return len(answer.body["choices"][0]["message"]["content"])

    async def acomplete_all(self, calls: int, reply: int) -> int:
        asked = wants.messages(reply=reply)
        each = [self._async.chat(asked, model=wants.MODEL) for _ in range(calls)]
        bodies = [answer.body for answer in await asyncio.gather(*each)]
        return sum(len(body["choices"][0]["message"]["content"]) for body in bodies)

    def embed(self, texts: int, batch: int = 100) -> int:
        reply = self._sync.embed(
            wants.batch(texts), model=wants.MODEL, batch_size=batch
        )
        return len(reply.vectors)


def _characters(chunk: dict) -> int:
    choices = chunk["choices"]
    return len(choices[0]["delta"].get("content") or "") if choices else 0


def make(url: str, key: str, kind: str) -> Core:
    return Core(url, key, sealed=kind != "plain")
