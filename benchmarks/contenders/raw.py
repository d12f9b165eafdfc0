"""The floor: httpx alone, and JSON."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import httpx

from . import wants


class Raw:
    def __init__(self, url: str) -> None:
        self._http = httpx.Client(base_url=f"{url}/openai/v1", timeout=600)
        self._ahttp: httpx.AsyncClient | None = None
        self._url = url

    def stream(self, chunks: int, every_ms: float = 0) -> int:
        came = 0
        with self._http.stream(
            "POST", "/chat/completions", json=_body(chunks, every_ms)
        ) as response:
            for line in response.iter_lines():
                came += _characters(line)
        return came

    async def astream(self, chunks: int, every_ms: float = 0) -> int:
        if self._ahttp is None:
            self._ahttp = httpx.AsyncClient(
                base_url=f"{self._url}/openai/v1", timeout=600
            )
        came = 0
        async with self._ahttp.stream(
            "POST", "/chat/completions", json=_body(chunks, every_ms)
        ) as response:
            async for line in response.aiter_lines():
                came += _characters(line)
        return came

    def complete(self, reply: int, history: int = 1) -> int:
        body = {"model": wants.MODEL, "messages": wants.messages(history, reply=reply)}
        answer = self._http.post("/chat/completions", json=body).json()
        return len(answer["choices"][0]["message"]["content"])

    def embed(self, texts: int, batch: int = 100) -> int:
        came = 0
        for start in range(0, texts, batch):
            body = {
                "model": wants.MODEL,
                "input": wants.batch(min(batch, texts - start), start),
                "encoding_format": "base64",
            }
            answer = self._http.post("/embeddings", json=body).json()
            came += len([_vector(item["embedding"]) for item in answer["data"]])
        return came


def _body(chunks: int, every_ms: float) -> dict[str, Any]:
    return {
        "model": wants.MODEL,
        "messages": wants.messages(chunks=chunks, every_ms=every_ms),
        "stream": True,
    }


def _characters(line: str) -> int:
    if not line.startswith("data: {"):
        return 0
    choices = json.loads(line[6:])["choices"]
    return len(choices[0]["delta"].get("content", "")) if choices else 0


def _vector(text: str) -> list[float]:
    data = base64.b64decode(text)
    return list(struct.unpack(f"<{len(data) // 4}f", data))


def make(url: str, key: str, kind: str) -> Raw:
    del key, kind
    return Raw(url)
