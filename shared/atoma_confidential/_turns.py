"""Who may do what only one at a time should, in threads and in tasks."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

__all__ = ["TaskTurns", "ThreadTurns"]


class ThreadTurns:
    """Names that one thread holds at a time."""

    def __init__(self) -> None:
        self._held: dict[str, object] = {}
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, name: str, *, seconds: float) -> Iterator[None]:
        """Hold a name in this block, or go ahead without it after so many seconds."""
        mine = object()  # so that an interrupt finds out whether it was taken
        try:
            with self._changed:
                if self._changed.wait_for(lambda: name not in self._held, seconds):
                    self._held[name] = mine
            yield
        finally:
            with self._changed:
                if self._held.get(name) is mine:
                    del self._held[name]
                    self._changed.notify_all()


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
