"""What a broken network does to the bytes of one direction. No I/O lives here."""

from __future__ import annotations

import enum
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

__all__ = ["End", "Ended", "Pause", "Pieces", "Prefixed", "Shape", "Step", "through"]


class End(enum.Enum):
    """How a direction stops before its time."""

    CLOSE = "close both directions in order"
    RESET = "reset the connection"
    HALF_CLOSE = "close this direction, keep the other"
    STALL = "keep the connection, and pass nothing more"


class Pause(NamedTuple):
    """Seconds to wait between two writes; 0 lets others run."""

    seconds: float


Step = bytes | End | Pause
"""One write, or what is done between writes."""


class Shape(Protocol):
    """Makes of the bytes that arrived what is done toward the other side."""

    def feed(self, data: bytes) -> Iterable[Step]:
        """Take the next bytes."""


class Ended:
    """Passes a number of bytes, and then ends.

    Args:
        after: bytes that pass; with 0, the first that arrives is the end.
        end: in which way.
    """

    def __init__(self, after: int, end: End) -> None:
        self._left = after
        self._end = end

    def feed(self, data: bytes) -> Iterator[Step]:
        """Pass what is left to pass."""
        if passed := data[: self._left]:
            yield passed
        self._left -= len(passed)
        if not self._left:
            yield self._end


class Pieces:
    """Writes so many bytes at a time.

    Args:
        size: bytes in a write.
        seconds: between two writes.
    """

    def __init__(self, size: int, seconds: float = 0) -> None:
        if size < 1:
            raise ValueError("pieces have one byte or more")
        self._size = size
        self._pause = Pause(seconds)

    def feed(self, data: bytes) -> Iterator[Step]:
        """Cut what came, whatever was cut before."""
        for start in range(0, len(data), self._size):
            yield data[start : start + self._size]
            yield self._pause


class Prefixed:
    """Writes bytes that nobody sent before the first that somebody did."""

    def __init__(self, prefix: bytes) -> None:
        self._prefix = prefix

    def feed(self, data: bytes) -> Iterator[Step]:
        """Put the prefix before the first bytes."""
        yield self._prefix + data
        self._prefix = b""


def through(shapes: Iterable[Shape], data: bytes) -> Iterator[Step]:
    """Pass bytes through shapes, one after the other."""
    steps: Iterator[Step] = iter((data,))
    for shape in shapes:
        steps = _shaped(shape, steps)
    return steps


def _shaped(shape: Shape, steps: Iterator[Step]) -> Iterator[Step]:
    for step in steps:
        if isinstance(step, bytes):
            yield from shape.feed(step)
        else:
            yield step
