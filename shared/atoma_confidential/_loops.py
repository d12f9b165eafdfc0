"""A value for each event loop, where loops may run in several threads at once."""

from __future__ import annotations

import asyncio
from typing import Generic, TypeVar

__all__ = ["LoopLocal"]

T = TypeVar("T")


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
