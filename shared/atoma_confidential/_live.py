"""The chunks of a live stream, read from its response as they come."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any, Self, cast

import httpx

from ._http import Idle, Limits
from ._session import Begin

__all__ = ["LiveChunks", "live_chunks"]


def live_chunks(step: Begin, limits: Limits) -> Iterator[dict[str, Any]]:
    """Yield the chunks of a blocking response, which is closed at the end."""
    response: httpx.Response = step.source
    idle = Idle(limits.idle)
    with closing(response):
        try:
            for data in response.iter_bytes():
                for chunk in step.opener.feed(data):
                    yield chunk
                    idle.restart()
                if idle.too_long:
                    break
        except httpx.TimeoutException:
            idle.silent = True
        except httpx.HTTPError:
            pass  # an end is judged by what was opened, not by how it came
    step.opener.finish(stalled=idle.too_long)


class LiveChunks:
    """The chunks of an asynchronous response, which closing stays with the caller.

    Not a generator: a loop that ends closes all generators at once, and complains of
    one that waits for another to be closed.
    """

    def __init__(self, step: Begin, limits: Limits) -> None:
        self._opener = step.opener
        self._data = cast("httpx.Response", step.source).aiter_bytes()
        self._chunks: Iterator[dict[str, Any]] = iter(())
        self._idle = Idle(limits.idle)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> dict[str, Any]:
        self._idle.restart()
        while True:
            for chunk in self._chunks:
                return chunk
            data = None if self._idle.too_long else await self._read()
            if data is None:
                self._opener.finish(stalled=self._idle.too_long)
                raise StopAsyncIteration
            self._chunks = self._opener.feed(data)

    async def _read(self) -> bytes | None:
        try:
            return await anext(self._data, None)
        except httpx.TimeoutException:
            self._idle.silent = True
        except httpx.HTTPError:
            pass  # an end is judged by what was opened, not by how it came
        return None
