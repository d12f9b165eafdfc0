"""Bytes of a text/event-stream in, the data of its events out (WHATWG HTML 9.2).

No JSON lives here and no meaning: comments, ids and event names are dropped, because
nothing on this wire uses them (protocol 7.2).
"""

from __future__ import annotations

from .errors import Exposure, RemoteProtocolError

__all__ = ["EventDecoder"]

MAX_EVENT_BYTES = 8 * 1024 * 1024
"""A chunk holds a token or so; a relayed whole answer is the largest event."""

_BOM = b"\xef\xbb\xbf"


class EventDecoder:
    """Splits any cutting of a stream into the same events, in linear time."""

    def __init__(
        self, exposure: Exposure, *, max_event_bytes: int = MAX_EVENT_BYTES
    ) -> None:
        self._exposure = exposure
        self._limit = max_event_bytes
        self._buffer = bytearray()
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._first_line = True
        self._skip_lf = False

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the events that this chunk completes.

        Raises:
            RemoteProtocolError: An event exceeds the limit.
        """
        if chunk:
            if self._skip_lf:
                chunk = chunk.removeprefix(b"\n")
            self._skip_lf = chunk.endswith(b"\r")  # the LF of a CRLF may follow
        # What was buffered has no line end: only what is new is searched for one.
        end = max(chunk.rfind(b"\n"), chunk.rfind(b"\r")) + 1
        lines = self._lines(chunk[:end]) if end else []
        self._buffer += chunk[end:]
        self._check_size(len(self._buffer))
        return [event for line in lines if (event := self._take(line)) is not None]

    def _lines(self, chunk: bytes) -> list[bytes]:
        """Return the lines that end in these bytes, which end with the last of them."""
        lines = (bytes(self._buffer) + chunk).splitlines()
        self._buffer.clear()
        if self._first_line:
            self._first_line = False
            lines[0] = lines[0].removeprefix(_BOM)
        return lines

    def _take(self, line: bytes) -> bytes | None:
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
