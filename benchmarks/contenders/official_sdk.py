"""The official SDK of Atoma, sealed; it runs in an environment of its own."""

from __future__ import annotations

from atoma_sdk import AtomaSDK

from . import wants


class Official:
    def __init__(self, url: str, key: str) -> None:
        self._sdk = AtomaSDK(bearer_auth=key, server_url=url)

    def stream(self, chunks: int) -> int:
        came = 0
        with self._sdk.confidential_chat.create_stream(
            model=wants.MODEL, messages=wants.messages(chunks=chunks)
        ) as events:
            for event in events:
                if event.data.choices:
                    came += len(event.data.choices[0].delta.content or "")
        return came

    async def astream(self, chunks: int) -> int:
        came = 0
        events = await self._sdk.confidential_chat.create_stream_async(
            model=wants.MODEL, messages=wants.messages(chunks=chunks)
        )
        async with events:
            async for event in events:
                if event.data.choices:
                    came += len(event.data.choices[0].delta.content or "")
        return came

    def complete(self, reply: int, history: int = 1) -> int:
        answer = self._sdk.confidential_chat.create(
            model=wants.MODEL,
            messages=wants.messages(history, reply=reply),
            max_tokens=64,
        )
        return len(answer.choices[0].message.content)

    def embed(self, texts: int, batch: int = 100) -> int:
        came = 0
        for start in range(0, texts, batch):
            part = wants.batch(min(batch, texts - start), start)
            answer = self._sdk.confidential_embeddings.create(
                model=wants.MODEL, input=part
            )
            came += len(answer.data)
        return came


def make(url: str, key: str, kind: str) -> Official:
    del kind
    return Official(url, key)
