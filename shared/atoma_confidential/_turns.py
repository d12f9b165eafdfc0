"""Who may do what only one at a time should, in threads and in tasks."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

__all__ = ["TaskTurns", "ThreadTurns"]


class ThreadTurns:
    """Names that one thread holds at a time."""

    def __init__(self) -> None:
        self._held: dict[str, threading.Lock] = {}
        self._guard = threading.Lock()

    @contextmanager
    def turn(self, name: str, *, seconds: float) -> Iterator[None]:
        """Hold a name in this block, or go ahead without it after so many seconds."""
        until = time.monotonic() + seconds
        # Whose lock is open has gone, be it by an interrupt on any of these lines:
        # `with` and a lock are one to the interpreter, as no `try` is.
        mine = threading.Lock()
        with mine:
            try:
                while (holder := self._take(name, mine)) is not mine:
                    if not holder.acquire(timeout=max(0, until - time.monotonic())):
                        break
                    holder.release()
                yield
            finally:
                self._drop(name, mine)

    def _take(self, name: str, mine: threading.Lock) -> threading.Lock:
        """Return who holds a name: from now on mine, where nobody did."""
        with self._guard:
            holder = self._held.get(name)
            if holder is None or not holder.locked():
                self._held[name] = holder = mine
            return holder

    def _drop(self, name: str, mine: threading.Lock) -> None:
        """Forget a name that nobody has taken meanwhile."""
        with self._guard:
            if self._held.get(name) is mine:
                del self._held[name]


class TaskTurns:
    """Names that one task of an event loop holds at a time."""

    def __init__(self) -> None:
        self._held: dict[str, asyncio.Event] = {}

    @asynccontextmanager
    async def turn(self, name: str, *, seconds: float) -> AsyncIterator[None]:
        """Hold a name in this block, or go ahead without it after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                while name in self._held:
                    await self._held[name].wait()
        except TimeoutError:
            yield
            return
        self._held[name] = done = asyncio.Event()
        try:
            yield
        finally:
            del self._held[name]
            done.set()
