"""A wiretap: everything that leaves the process, recorded, searched and summed up."""

from __future__ import annotations

import ssl
from itertools import zip_longest
from typing import TYPE_CHECKING, NamedTuple, Self
from urllib.parse import urlsplit

from ._http_trace import HttpMessage, parse_messages
from ._relay import Connection, Relay, Target
from .encodings import encodings_of
from .network_faults import NetworkFaults
from .wire_view import WireView

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from types import TracebackType

__all__ = ["Finding", "Wiretap"]

# A long text may cross in pieces; a few windows of it find the pieces.
_WINDOW = 48
_WINDOWS = 8


class Finding(NamedTuple):
    """A text that crossed in a form that can be read.

    It names the text by its place in the list that was searched for, so that a
    failing test does not print the secret.
    """

    text: int
    encoding: str
    where: str
    offset: int


class Wiretap:
    """A TCP relay in front of a server that records every byte both ways.

    Listens on loopback only. To an https target it speaks TLS and rewrites the
    `Host` line; what it records is what the client wrote.

    Args:
        target_url: origin of the server, http or https.
        ssl_context: for an https target with a private certificate.
    """

    def __init__(
        self, target_url: str, *, ssl_context: ssl.SSLContext | None = None
    ) -> None:
        parts = urlsplit(target_url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError("a wiretap needs an http or https origin")
        tls = None
        if parts.scheme == "https":
            tls = ssl_context or ssl.create_default_context()
        port = parts.port or (80 if tls is None else 443)
        self.connections: list[Connection] = []
        self._faults = NetworkFaults()
        self._relay = Relay(
            Target(parts.hostname, port, tls), self._faults, self.connections.append
        )

    def __enter__(self) -> Self:
        self._relay.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._relay.stop()

    @property
    def base_url(self) -> str:
        """Where clients connect instead."""
        return f"http://127.0.0.1:{self._relay.port}"

    @property
    def sent(self) -> bytes:
        """What clients wrote, connection after connection."""
        return b"".join(bytes(c.sent) for c in self.connections)

    @property
    def received(self) -> bytes:
        """What the server answered, likewise."""
        return b"".join(bytes(c.received) for c in self.connections)

    @property
    def requests(self) -> list[HttpMessage]:
        """The recorded requests."""
        return [m for c in self.connections for m in parse_messages(bytes(c.sent))]

    @property
    def responses(self) -> list[HttpMessage]:
        """The recorded responses, in the order of their connections."""
        return [m for c in self.connections for m in parse_messages(bytes(c.received))]

    def find(self, texts: Iterable[str]) -> list[Finding]:
        """Search everything recorded for texts in any encoding.

        Looks into raw bytes, bodies with chunking and compression undone, and the
        text that a clear stream's deltas add up to.

        Raises:
            ValueError: a text is too short to be told from noise.
        """
        patterns = [
            (number, pattern)
            for number, text in enumerate(texts)
            for piece in _pieces(text)
            for pattern in encodings_of(piece)
        ]
        return [
            Finding(number, pattern.encoding, where, offset)
            for where, layer in self._layers()
            for number, pattern in patterns
            if (offset := layer.find(pattern.data)) >= 0
        ]

    def clear(self) -> None:
        """Forget what was recorded; connections that stand go on being recorded.

        For long runs, between two calls: what is on its way is torn in two.
        """
        # Each step holds while the relay's thread adds connections and bytes.
        for connection in list(self.connections):
            over = connection.over
            connection.sent.clear()
            connection.received.clear()
            if over:
                self.connections.remove(connection)

    def view(self) -> WireView:
        """Sum up what an observer of this wire can tell."""
        return WireView.of(
            pair
            for connection in self.connections
            for pair in zip_longest(
                parse_messages(bytes(connection.sent)),
                parse_messages(bytes(connection.received)),
            )
        )

    def _layers(self) -> Iterator[tuple[str, bytes]]:
        for number, connection in enumerate(self.connections):
            for name, recorded in (
                ("sent", bytes(connection.sent)),
                ("received", bytes(connection.received)),
            ):
                where = f"{name} on connection {number}"
                yield where, recorded
                for message in parse_messages(recorded):
                    yield from _message_layers(where, message, recorded)


def _message_layers(
    where: str, message: HttpMessage, recorded: bytes
) -> Iterator[tuple[str, bytes]]:
    if message.body not in recorded:  # it was chunked
        yield f"{where}, body", message.body
    if message.content != message.body:
        yield f"{where}, body decompressed", message.content
    text = message.streamed_text()
    if text:
        yield f"{where}, stream joined", text.encode()


def _pieces(text: str) -> Iterator[str]:
    yield text
    if len(text) < 2 * _WINDOW:
        return
    step = max(_WINDOW, (len(text) - _WINDOW) // (_WINDOWS - 1))
    for start in range(0, len(text) - _WINDOW + 1, step):
        yield text[start : start + _WINDOW]
