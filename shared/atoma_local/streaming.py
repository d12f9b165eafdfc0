"""Server-sent events as proxy and node emit them (protocol section 7)."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

from starlette.responses import Response

from ._stream_faults import Mark

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.types import Receive, Scope, Send

__all__ = ["EventStream", "compact_json", "event_frame"]

KEEP_ALIVE = b": keep-alive\n\n"
# Upstream's constant says seconds and its code says milliseconds (section 7.2).
KEEP_ALIVE_SECONDS = 0.015


def compact_json(value: Any) -> bytes:
    """Serialise as serde_json does: no spaces, UTF-8 as it is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def event_frame(payload: dict[str, Any]) -> bytes:
    """Frame one event; there is no event name, no id and no retry line."""
    return b"data: " + compact_json(payload) + b"\n\n"


class EventStream(Response):
    """Sends frames as they come, and a comment whenever none came for 15 ms.

    There is no `[DONE]`: the end of the body is the end of the stream.

    Args:
        frames: What is sent.
        source: What the frames are made of; closed at the end, or when the client
            has hung up, be it before the first frame.
    """

    def __init__(
        self, frames: AsyncIterator[bytes | Mark], source: AsyncIterator[Any]
    ) -> None:
        super().__init__()
        self.raw_headers = [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-cache"),
        ]
        self._frames = frames
        self._source = source
        self._on_end: Callable[[], None] = lambda: None

    def on_end(self, call: Callable[[], None]) -> None:
        """Call back when the last frame is there."""
        self._on_end = call

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the frames or the client's patience end."""
        del scope
        start = {"type": "http.response.start", "status": 200}
        await send(start | {"headers": self.raw_headers})
        relay = asyncio.ensure_future(self._relay(send))
        gone = asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait({relay, gone}, return_when=asyncio.FIRST_COMPLETED)
            if relay.done():
                relay.result()
        finally:
            relay.cancel()
            gone.cancel()
            await asyncio.gather(relay, gone, return_exceptions=True)
            close = getattr(self._source, "aclose", None)
            if close is not None:
                await close()

    async def _relay(self, send: Send) -> None:
        body = {"type": "http.response.body", "more_body": True}
        await send(body | {"body": KEEP_ALIVE})
        frames = aiter(self._frames)
        while True:
            frame = await self._next(frames, send)
            if frame is Mark.CUT:
                return  # a body that was not ended makes the server hang up
            if frame is None:
                self._on_end()
                await send(body | {"more_body": False})
                return
            await send(body | {"body": frame})

    async def _next(
        self, frames: AsyncIterator[bytes | Mark], send: Send
    ) -> bytes | Mark | None:
        pending = asyncio.ensure_future(_advance(frames))
        body = {"type": "http.response.body", "more_body": True, "body": KEEP_ALIVE}
        try:
            done: set[Any] = set()
            while not done:
                done, _ = await asyncio.wait({pending}, timeout=KEEP_ALIVE_SECONDS)
                if not done:
                    await send(body)
            frame = pending.result()
        finally:
            pending.cancel()
        if frame is Mark.SILENCE:
            await asyncio.Event().wait()
        while frame is Mark.STALL:
            await asyncio.sleep(KEEP_ALIVE_SECONDS)
            await send(body)
        return frame


async def _advance(frames: AsyncIterator[bytes | Mark]) -> bytes | Mark | None:
    return await anext(frames, None)


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
