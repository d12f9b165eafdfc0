"""Misbehaviour of the network on demand: rows, and which connection they hit."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal, Self

from ._event_shapes import Each, EventEdit, EventShape, Merged, Swapped
from ._fault_queue import FaultQueue
from ._shapes import End, Ended, Pieces, Prefixed, Shape
from ._stream_faults import CLEAR_EVENT

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["NETWORK_FAULTS", "NetworkFault", "NetworkFaults", "find_network_fault"]

NetworkStage = Literal[
    "connection",  # being accepted
    "request",  # the bytes of a request, from its head on
    "reply",  # the bytes of a reply, likewise
    "events",  # the events of a stream
]

DRIP_SECONDS = 0.01
_BOM = b"\xef\xbb\xbf"
_DEFAULT_NUMBER = 1


@dataclass(frozen=True, slots=True)
class NetworkFault:
    """One way in which a network breaks what it carries.

    Attributes:
        stage: What is broken.
        shape: Makes what the bytes of one request or reply pass through.
        about: What happens, in a few words.
        name: As it was asked for.
    """

    stage: NetworkStage
    shape: Callable[[], Shape]
    about: str
    name: str = ""


def _request(shape: Callable[[], Shape], about: str) -> NetworkFault:
    return NetworkFault("request", shape, about)


def _reply(shape: Callable[[], Shape], about: str) -> NetworkFault:
    return NetworkFault("reply", shape, about)


def _edit(edit: Callable[[], EventEdit], about: str) -> NetworkFault:
    return NetworkFault("events", lambda: EventShape(edit()), about)


def _each(
    change: Callable[[int, bytes], tuple[bytes | End | None, ...]], about: str
) -> NetworkFault:
    return _edit(lambda: Each(change), about)


def _at(
    number: int, change: Callable[[bytes], tuple[bytes | End | None, ...]], about: str
) -> NetworkFault:
    return _each(lambda n, event: change(event) if n == number else (event,), about)


def _line_ends(end: bytes, about: str) -> NetworkFault:
    return _each(lambda _, event: (event.replace(b"\n", end),), about)


def _two_lines(_number: int, event: bytes) -> tuple[bytes, ...]:
    # The lines of an event are joined by a line feed, which JSON allows there.
    return (event.replace(b"data: {", b"data: {\ndata: ", 1),)


NETWORK_FAULTS: dict[str, NetworkFault | Callable[[int], NetworkFault]] = {
    # -- the connection ----------------------------------------------------------
    "connection-refused": NetworkFault(
        "connection",
        lambda: Ended(0, End.CLOSE),
        "no connection is accepted, and those that stand are closed; `always` only",
    ),
    # -- the request -------------------------------------------------------------
    "request-cut": lambda n: _request(
        lambda: Ended(n, End.CLOSE),
        "the connection is closed after N bytes of the request",
    ),
    "request-reset": lambda n: _request(
        lambda: Ended(n, End.RESET),
        "the connection is reset after N bytes of the request",
    ),
    "request-stalled": lambda n: _request(
        lambda: Ended(n, End.STALL),
        "no more than N bytes of the request arrive, and no answer comes",
    ),
    "request-split": lambda n: _request(
        lambda: Pieces(n), "the request arrives N bytes at a time"
    ),
    "request-dripped": lambda n: _request(
        lambda: Pieces(n, DRIP_SECONDS), "the request arrives N bytes each 10 ms"
    ),
    # -- the reply ---------------------------------------------------------------
    "reply-cut": lambda n: _reply(
        lambda: Ended(n, End.CLOSE),
        "the connection is closed after N bytes of the reply",
    ),
    "reply-reset": lambda n: _reply(
        lambda: Ended(n, End.RESET), "the connection is reset after N bytes of it"
    ),
    "reply-half-closed": lambda n: _reply(
        lambda: Ended(n, End.HALF_CLOSE),
        "the reply ends after N bytes; what the client sends is still taken",
    ),
    "reply-stalled": lambda n: _reply(
        lambda: Ended(n, End.STALL),
        "nothing comes after N bytes of the reply, and the connection stays",
    ),
    "reply-split": lambda n: _reply(
        lambda: Pieces(n), "the reply arrives N bytes at a time"
    ),
    "reply-dripped": lambda n: _reply(
        lambda: Pieces(n, DRIP_SECONDS), "the reply arrives N bytes each 10 ms"
    ),
    "reply-garbage": _reply(
        lambda: Prefixed(b"\x16\x03\x01 not HTTP\r\n"), "garbage before the reply"
    ),
    # -- the events of a stream --------------------------------------------------
    "event-dropped": lambda n: _at(n, lambda _: (), "event N does not arrive"),
    "event-duplicated": lambda n: _at(n, lambda e: (e, e), "event N arrives twice"),
    "event-reordered": lambda n: _edit(
        lambda: Swapped(n), "events N and N+1 are swapped"
    ),
    "event-injected": lambda n: _at(
        n, lambda e: (CLEAR_EVENT, e), "an event in clear before event N"
    ),
    "event-torn": lambda n: _at(
        n,
        lambda e: (e[: len(e) // 2], None),
        "a clean end of the stream in the middle of event N",
    ),
    "events-ended": lambda n: _at(
        n, lambda _: (None,), "a clean end of the stream after N events"
    ),
    "events-cut": lambda n: _at(
        n, lambda _: (End.CLOSE,), "the connection is closed after N events"
    ),
    "events-merged": _edit(Merged, "all events arrive in one piece"),
    "events-cr": _line_ends(b"\r", "lines end with CR"),
    "events-crlf": _line_ends(b"\r\n", "lines end with CRLF"),
    "events-two-lines": _each(_two_lines, "the data of each event is on two lines"),
    "events-bom": NetworkFault(
        "events",
        lambda: EventShape(Each(lambda _, event: (event,)), prefix=_BOM),
        "a byte order mark before the stream",
    ),
}


class NetworkFaults(FaultQueue[NetworkFault]):
    """The faults of one relay in force; may be changed while it runs.

    A number may follow a name (`"reply-cut:100"`); events are counted from 0. A number
    beyond the end of what is broken breaks nothing.

    Args:
        always: faults that hit every request from the start.
    """

    def __init__(self, *always: str | NetworkFault) -> None:
        super().__init__(find_network_fault, *always)
        self._heard: Callable[[bool], None] | None = None

    def once(self, *faults: str | NetworkFault, skip: int = 0, on: str = "") -> Self:
        """Queue faults, as `Faults.once` does.

        Raises:
            KeyError: there is no such fault.
            ValueError: `connection-refused`, which a relay cannot count.
        """
        if any(self._resolve(fault).stage == "connection" for fault in faults):
            raise ValueError(
                "nobody sees a connection that is refused, so none can be counted: "
                "use always(), and clear()"
            )
        return super().once(*faults, skip=skip, on=on)

    def always(self, *faults: str | NetworkFault, on: str = "") -> Self:
        """Switch faults on for every request until `clear`.

        Raises:
            KeyError: there is no such fault.
        """
        super().always(*faults, on=on)
        self._tell()
        return self

    def clear(self) -> None:
        """Behave again: forget queued and permanent faults."""
        super().clear()
        self._tell()

    def on_refusing(self, heard: Callable[[bool], None] | None) -> None:
        """Call back when connections are to be refused, and not any more."""
        self._heard = heard
        self._tell()

    def _tell(self) -> None:
        if self._heard is not None:
            self._heard(bool(self.take("connection", "")))


def find_network_fault(name: str) -> NetworkFault:
    """Look a fault up by `name` or `name:number`.

    Raises:
        KeyError: the table has no such row.
    """
    row, _, number = name.partition(":")
    found = NETWORK_FAULTS[row]
    if not isinstance(found, NetworkFault):
        found = found(int(number or _DEFAULT_NUMBER))
    return replace(found, name=name)
