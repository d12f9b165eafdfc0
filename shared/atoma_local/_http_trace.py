"""Recorded HTTP/1.1 bytes read back as messages, after the fact.

Forgiving on purpose: a tap must show what it can of a broken exchange. What cannot
be parsed stays searchable as raw bytes.
"""

from __future__ import annotations

import gzip
import json
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HttpMessage", "parse_messages", "take_chunk"]

_BODILESS = {"204", "304"}


@dataclass(frozen=True, slots=True)
class HttpMessage:
    """A request or a response: start line, headers, and the body de-chunked."""

    start_line: str
    headers: dict[str, str]
    body: bytes

    @property
    def content(self) -> bytes:
        """The body without its content encoding, as far as it can be undone."""
        encoding = self.headers.get("content-encoding", "")
        try:
            if encoding == "gzip":
                return gzip.decompress(self.body)
            if encoding == "deflate":
                return zlib.decompress(self.body)
        except (OSError, EOFError, zlib.error):
            return self.body
        return self.body

    def json(self) -> Any:
        """Parse the body, or return None where it is not JSON."""
        try:
            return json.loads(self.content)
        except ValueError:
            return None

    def events(self) -> Iterator[Any]:
        """Yield the parsed data of each server-sent event."""
        if not self.headers.get("content-type", "").startswith("text/event-stream"):
            return
        for line in self.content.splitlines():
            if line.startswith(b"data:"):
                try:
                    yield json.loads(line[5:])
                except ValueError:
                    continue

    def streamed_text(self) -> str:
        """Join what the clear deltas of a stream say, field by field.

        A word split over two events is in no event; joined it can be found.
        """
        said: dict[str, str] = {}
        for event in self.events():
            for path, text in _delta_texts(event):
                said[path] = said.get(path, "") + text
        return "\n".join(said.values())


def parse_messages(data: bytes) -> Iterator[HttpMessage]:
    """Split one direction of a connection into messages, until it stops parsing."""
    while data:
        head, found, rest = data.partition(b"\r\n\r\n")
        if not found:
            return
        start_line, *lines = head.decode("latin-1").split("\r\n")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.strip().lower()] = value.strip()
        body, data = _take_body(start_line, headers, rest)
        yield HttpMessage(start_line, headers, body)


def _take_body(
    start_line: str, headers: dict[str, str], rest: bytes
) -> tuple[bytes, bytes]:
    if headers.get("transfer-encoding", "").lower() == "chunked":
        return _take_chunks(rest)
    if "content-length" in headers:
        length = int(headers["content-length"])
        return rest[:length], rest[length:]
    is_response = start_line.startswith("HTTP/")
    status = start_line.split(" ")[1] if is_response else ""
    if not is_response or status in _BODILESS or status.startswith("1"):
        return b"", rest
    return rest, b""


def take_chunk(data: bytes) -> tuple[bytes, bytes] | None:
    """Split the first chunk off a chunked body; None where it is not whole.

    The last chunk is empty.
    """
    line, found, after = data.partition(b"\r\n")
    size = _chunk_size(line)
    if not found or size is None or len(after) < size + 2:
        return None
    return after[:size], after[size + 2 :]


def _take_chunks(rest: bytes) -> tuple[bytes, bytes]:
    body = bytearray()
    while taken := take_chunk(rest):
        chunk, rest = taken
        if not chunk:
            return bytes(body), rest
        body += chunk
    line, _, after = rest.partition(b"\r\n")
    return bytes(body + after[: _chunk_size(line) or 0]), b""


def _chunk_size(line: bytes) -> int | None:
    try:
        size = int(line.split(b";")[0], 16)
    except ValueError:
        return None
    return size if size >= 0 else None


def _delta_texts(event: Any, path: str = "") -> Iterator[tuple[str, str]]:
    if isinstance(event, str):
        yield path, event
    elif isinstance(event, dict):
        for key, value in event.items():
            yield from _delta_texts(value, f"{path}.{key}")
    elif isinstance(event, list):
        for item in event:
            index = item.get("index", 0) if isinstance(item, dict) else 0
            yield from _delta_texts(item, f"{path}[{index}]")
