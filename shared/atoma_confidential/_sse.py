"""Bytes of a text/event-stream in, the data of its events out (WHATWG HTML 9.2).

No JSON lives here and no meaning: comments, ids and event names are dropped, because
nothing on this wire uses them (protocol 7.2).
"""

from __future__ import annotations

import re

from .errors import Exposure, RemoteProtocolError

__all__ = ["EventDecoder"]

MAX_EVENT_BYTES = 8 * 1024 * 1024
"""A chunk holds a token or so; a relayed whole answer is the largest event."""

_LINE_END = re.compile(rb"[\r\n]")
_CR = ord("\r")
_LF = ord("\n")
_BOM = b"\xef\xbb\xbf"


class EventDecoder:
    """Splits any cutting of a stream into the same events, in linear time."""

    def __init__(
        self, exposure: Exposure, *, max_event_bytes: int = MAX_EVENT_BYTES
    ) -> None:
        self._exposure = exposure
        self._limit = max_event_bytes
        self._buffer = bytearray()
        self._searched = 0
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._first_line = True
        self._skip_lf = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the events that this chunk completes.

        Raises:
            RemoteProtocolError: An event exceeds the limit.
        """
        self._buffer += chunk
        events: list[bytes] = []
        start = self._pass_line_feed()
        search = max(start, self._searched)
        while match := _LINE_END.search(self._buffer, search):
            line = bytes(self._buffer[start : match.start()])
            start = search = self._after_line_end(match.start())
            if (event := self._take(line)) is not None:
                events.append(event)
        del self._buffer[:start]
        self._searched = len(self._buffer)
        self._check_size(len(self._buffer))
        return events

    def _pass_line_feed(self) -> int:
        """Return where the first line starts, past the LF of a CRLF cut in two."""
        if not self._skip_lf or not self._buffer:
            return 0
        self._skip_lf = False
        return 1 if self._buffer[0] == _LF else 0

    def _after_line_end(self, position: int) -> int:
        following = position + 1
        if self._buffer[position] == _CR:
            if following == len(self._buffer):
                self._skip_lf = True
            elif self._buffer[following] == _LF:
                following += 1
        return following

    def _take(self, line: bytes) -> bytes | None:
        if self._first_line:
            self._first_line = False
            line = line.removeprefix(_BOM)
        if not line:
            return self._dispatch()
        field, _, value = line.partition(b":")
        if field == b"data":
            self._data.append(value.removeprefix(b" "))
            self._data_bytes += len(value) + 1  # an empty line costs memory too
            self._check_size(self._data_bytes)
        return None

    def _dispatch(self) -> bytes | None:
        event = b"\n".join(self._data)
        self._data.clear()
        self._data_bytes = 0
        return event or None

    def _check_size(self, size: int) -> None:
        if size > self._limit:
            raise RemoteProtocolError(
                f"A stream event exceeds {self._limit} bytes.", self._exposure
            )
