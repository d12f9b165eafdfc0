"""Values for event loops, and work beside them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Generic, TypeVar

__all__ = ["LoopLocal", "computed"]

T = TypeVar("T")

LARGE = 256 * 1024
"""Bytes; to open and read them takes milliseconds."""


async def computed(work: Callable[[], T], *, size: int) -> T:
    """Return what some work returns; on a thread where it would hold up the loop.

    The thread holds the interpreter's lock, but hands it over between two steps of it.
    Work that nobody waits for any more ends by itself.

    Args:
        work: What to do.
        size: Bytes that are worked on.
    """
    return await asyncio.to_thread(work) if size > LARGE else work()


class LoopLocal(Generic[T]):
    """Keeps one value for each loop that is alive.

    What belongs to a loop keeps it alive, so a weak dictionary would never let go;
    loops that were closed are looked for whenever a new one comes.
    """

    def __init__(self) -> None:
        self._values: dict[asyncio.AbstractEventLoop, T] = {}

    def get(self) -> T | None:
        """Return the running loop's value; None before one was set."""
        return self._values.get(asyncio.get_running_loop())

    def set(self, value: T) -> T:
        """Set and return the running loop's value."""
        # A copy, and no `del`: loops of other threads do the same at the same time.
        for loop in list(self._values):
            if loop.is_closed():
                self._values.pop(loop, None)
        self._values[asyncio.get_running_loop()] = value
        return value

    def pop(self) -> T | None:
        """Take the running loop's value away."""
        return self._values.pop(asyncio.get_running_loop(), None)

    def __len__(self) -> int:
        return len(self._values)
