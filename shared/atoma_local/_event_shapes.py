"""What a hostile relay does to the events of a stream. No I/O lives here.

Only streams in chunked encoding, as the proxy sends them; each event that is passed on
is a chunk of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from ._http_trace import parse_messages, take_chunk
from ._shapes import End, Step

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

__all__ = ["Each", "EventEdit", "EventShape", "Merged", "Swapped", "is_event_stream"]

_HEAD_END = b"\r\n\r\n"
_EVENT_END = b"\n\n"
_LAST_CHUNK = b"0\r\n\r\n"


def is_event_stream(head: bytes) -> bool:
    """Whether a reply with this head is a stream whose events can be edited."""
    message = next(parse_messages(head), None)
    if message is None:
        return False
    kind = message.headers.get("content-type", "")
    coding = message.headers.get("transfer-encoding", "")
    return kind.startswith("text/event-stream") and coding.lower() == "chunked"


class EventEdit(Protocol):
    """Says what becomes of each event of one stream.

    `None` among what is returned is the clean end of the stream, before its time.
    """

    def event(self, number: int, event: bytes) -> Iterable[bytes | End | None]:
        """Take an event with its blank line; they are counted from 0."""

    def end(self) -> Iterable[bytes]:
        """Return what is still to be passed when the stream ends."""


class Each:
    """An edit that looks at one event at a time."""

    def __init__(
        self, edit: Callable[[int, bytes], Iterable[bytes | End | None]]
    ) -> None:
        self._edit = edit

    def event(self, number: int, event: bytes) -> Iterable[bytes | End | None]:
        """Apply the function."""
        return self._edit(number, event)

    def end(self) -> Iterable[bytes]:
        """Nothing was held back."""
        return ()


class Swapped:
    """Swaps one event with the next."""

    def __init__(self, first: int) -> None:
        self._first = first
        self._held: tuple[bytes, ...] = ()

    def event(self, number: int, event: bytes) -> Iterable[bytes | End | None]:
        """Hold the first back until the next has passed."""
        if number == self._first:
            self._held = (event,)
            return ()
        held, self._held = self._held, ()
        return (event, *held)

    def end(self) -> Iterable[bytes]:
        """The stream may have ended with the first."""
        return self._held


class Merged:
    """Holds all events back until the stream ends."""

    def __init__(self) -> None:
        self._events: list[bytes] = []

    def event(self, number: int, event: bytes) -> Iterable[bytes | End | None]:
        """Keep it."""
        del number
        self._events.append(event)
        return ()

    def end(self) -> Iterable[bytes]:
        """All of them, in one piece."""
        return (b"".join(self._events),)


class EventShape:
    """Takes a reply apart into events, and puts it together from what is left.

    Args:
        edit: of the events; comments pass as they are.
        prefix: bytes before the body.
    """

    def __init__(self, edit: EventEdit, *, prefix: bytes = b"") -> None:
        self._edit = edit
        self._prefix = prefix
        self._raw = b""
        self._body = b""
        self._number = 0
        self._in_head = True
        self._ended = False

    def feed(self, data: bytes) -> Iterator[Step]:
        """Take the next bytes of the reply, from its head on."""
        self._raw += data
        if self._in_head:
            head, found, rest = self._raw.partition(_HEAD_END)
            if not found:
                return
            self._in_head, self._raw = False, rest
            yield head + found
            yield from _chunks(self._prefix)
        while taken := take_chunk(self._raw):
            payload, self._raw = taken
            yield from self._payload(payload) if payload else self._last()

    def _payload(self, payload: bytes) -> Iterator[Step]:
        *events, self._body = (self._body + payload).split(_EVENT_END)
        for event in events:
            yield from self._event(event + _EVENT_END)

    def _event(self, event: bytes) -> Iterator[Step]:
        if self._ended:
            return
        if event.startswith(b":"):
            yield from _chunks(event)
            return
        number, self._number = self._number, self._number + 1
        for step in self._edit.event(number, event):
            if step is None:
                # The last chunk waits for the server's: on a connection that is kept,
                # the rest of this reply would be taken for the start of the next.
                self._ended = True
                return
            yield from _chunks(step) if isinstance(step, bytes) else (step,)

    def _last(self) -> Iterator[Step]:
        if not self._ended:
            for rest in (*self._edit.end(), self._body):
                yield from _chunks(rest)
        yield _LAST_CHUNK


def _chunks(data: bytes) -> Iterator[bytes]:
    if data:
        yield b"%x\r\n%b\r\n" % (len(data), data)
