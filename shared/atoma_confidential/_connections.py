"""What the clients hold open: for each process, and for each event loop."""

from __future__ import annotations

import asyncio
import os
import weakref
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import suppress

import httpx

from ._deadline import DeadlineTransport
from ._http import proxy_of, tls_context
from ._pools import AsyncPoolTransport
from ._turns import TaskTurns

__all__ = ["Connections", "LoopResources"]


class Connections:
    """Those of each process by themselves: it must not use its parent's sockets.

    Closed when nobody holds them any more.

    Args:
        base_url: Where requests go that name no other origin.
        on_first: Called when a process makes its first ones to there.
    """

    def __init__(self, base_url: str, on_first: Callable[[], None]) -> None:
        self._base_url = base_url
        self._on_first = on_first
        self._made: dict[tuple[int, str | None], httpx.Client] = {}
        weakref.finalize(self, _close, self._made)

    def to(self, origin: str | None) -> httpx.Client:
        """Return what makes the connections to an origin; None is the base URL's."""
        key = os.getpid(), origin
        made = self._made.get(key)
        if made is None:
            proxy = proxy_of(origin or self._base_url)
            transport = DeadlineTransport(verify=tls_context(), proxy=proxy)
            made = self._made.setdefault(key, httpx.Client(transport=transport))
            if origin is None:
                self._on_first()
        return made

    def close(self) -> None:
        """Close this process's."""
        _close(self._made)


class LoopResources:
    """The connections of one event loop, whose turn it is there, and its tasks."""

    def __init__(self, given: httpx.AsyncClient | None, base_url: str) -> None:
        self.turns = TaskTurns()
        self._given = given
        self._base_url = base_url
        self._own: dict[str | None, httpx.AsyncClient] = {}
        self._beside: set[asyncio.Task[None]] = set()
        self.lifetime = self._live(self._own, self._beside)

    def http(self, origin: str | None) -> httpx.AsyncClient:
        """Return what makes the connections to an origin; None is the base URL's."""
        if self._given is not None:
            return self._given
        if origin not in self._own:
            proxy = proxy_of(origin or self._base_url)
            transport = AsyncPoolTransport(verify=tls_context(), proxy=proxy)
            self._own[origin] = httpx.AsyncClient(transport=transport)
        return self._own[origin]

    def begin(self, work: Callable[[], Awaitable[None]]) -> None:
        """Begin some work beside what the caller does, until closing at the longest.

        What it raises is nobody's.
        """

        async def run() -> None:
            with suppress(Exception):
                await work()

        task = asyncio.ensure_future(run())
        self._beside.add(task)
        task.add_done_callback(self._beside.discard)

    @staticmethod
    async def _live(
        own: dict[str | None, httpx.AsyncClient], beside: set[asyncio.Task[None]]
    ) -> AsyncGenerator[None, None]:
        """Close the connections when the loop shuts its generators down.

        `asyncio.run` does that; a client that outlives it is not told otherwise, and
        its sockets would be found open by the garbage collector.
        """
        try:
            yield
        finally:
            for task in beside:
                task.cancel()
            try:
                await asyncio.gather(*beside, return_exceptions=True)
            finally:
                for client in own.values():
                    await client.aclose()


def _close(made: dict[tuple[int, str | None], httpx.Client]) -> None:
    mine = [key for key in list(made) if key[0] == os.getpid()]
    # Another thread may close as well.
    for client in filter(None, [made.pop(key, None) for key in mine]):
        client.close()
