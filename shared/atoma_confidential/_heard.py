"""Whether a byte came in answer to a request, where its head never did.

httpx says alike of a connection that broke before an answer and within its head; but
the second request has surely run (docs/adr/0005).
"""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass

__all__ = ["Heard", "listen", "note"]


@dataclass(slots=True)
class Heard:
    """What the connections of one request have read since they last wrote."""

    a_byte: bool = False


_heard: ContextVar[Heard | None] = ContextVar("heard", default=None)


def listen() -> Heard:
    """Return what will know of the next request that is made in this context.

    Never reset: a coroutine may be thrown away in another context than its own.
    """
    listening = Heard()
    _heard.set(listening)
    return listening


def note(*, a_byte: bool) -> None:
    """Note that a byte was read; or that more was written, to be answered."""
    listening = _heard.get()
    if listening is not None:
        listening.a_byte = a_byte
