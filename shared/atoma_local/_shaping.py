"""Which bytes of a connection pass through which fault. No I/O lives here.

A request begins with the first byte after an answer: clients do not pipeline.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._event_shapes import is_event_stream
from ._http_trace import parse_messages
from ._shapes import Shape, Step, through

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .network_faults import NetworkFaults, NetworkStage

__all__ = ["Shaping"]

_HEAD_END = b"\r\n\r\n"


class Shaping:
    """Passes both directions of one connection through the faults in force.

    Without faults every byte passes as it came. A head is held back until it is whole
    where a fault needs to know the path, or the kind of the reply.
    """

    def __init__(self, faults: NetworkFaults) -> None:
        self._faults = faults
        self._answered = True
        self._request = b""
        self._forth: list[Shape] | None = None
        self._reply: bytes | None = None
        self._back: list[Shape] = []

    def sent(self, data: bytes) -> Iterator[Step]:
        """Take bytes from the client; return what is done toward the server."""
        if self._answered:
            self._answered, self._request, self._forth = False, b"", None
        if _HEAD_END not in self._request:
            self._request += data
        if self._forth is None:
            if self._faults.touches("request") and _HEAD_END not in self._request:
                return iter(())
            data, self._forth = self._request, self._shapes("request")
        return through(self._forth, data)

    def received(self, data: bytes) -> Iterator[Step]:
        """Take bytes from the server; return what is done toward the client."""
        if not self._answered:
            self._answered = True
            self._back = self._shapes("reply")
            self._reply = b"" if self._faults.touches("events") else None
        if self._reply is not None:
            self._reply += data
            if _HEAD_END not in self._reply:
                return iter(())
            if is_event_stream(self._reply):
                self._back = [*self._shapes("events"), *self._back]
            data, self._reply = self._reply, None
        return through(self._back, data)

    def _shapes(self, stage: NetworkStage) -> list[Shape]:
        return [fault.shape() for fault in self._faults.take(stage, self._path())]

    def _path(self) -> str:
        message = next(parse_messages(self._request), None)
        words = message.start_line.split(" ") if message else []
        return words[1] if len(words) > 1 else ""
