"""A last moment for blocking requests, which httpx does not have.

Its read timeout starts anew with each byte, so that a server that drips its head, or
sends interim responses for ever, would be waited for without end.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from contextvars import ContextVar
from typing import Any

import httpcore
import httpx

from ._heard import note
from ._pools import abandoned

__all__ = ["DeadlineTransport", "deadline"]


class _Moment:
    """The last moment of one block, held by that block alone."""

    __slots__ = ("__weakref__", "at")

    def __init__(self, at: float) -> None:
        self.at = at


_last: ContextVar[Callable[[], _Moment | None]] = ContextVar(
    "last", default=lambda: None
)
"""Told weakly: where an interrupt skips the end of a block, its moment goes with it."""


@contextlib.contextmanager
def deadline(seconds: float) -> Iterator[None]:
    """Let no read or write in this block go on for longer than so many seconds."""
    moment = _Moment(time.monotonic() + seconds)
    token = _last.set(weakref.ref(moment))
    try:
        yield
    finally:
        _last.reset(token)


class DeadlineTransport(httpx.HTTPTransport):
    """A transport whose connections keep the deadline of the block they are used in.

    Closing it ends what other threads wait for; to close their sockets would not.
    """

    def __init__(self, *, verify: ssl.SSLContext, proxy: str | None) -> None:
        super().__init__(verify=verify, proxy=proxy)
        # The one place where httpcore lets reads be bounded, and httpx does not pass
        # it on; tests of dripping heads fail if it ever moves.
        self._backend = _Backend(self._pool._network_backend)  # noqa: SLF001
        self._pool._network_backend = self._backend  # noqa: SLF001

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        try:
            return super().handle_request(request)
        except BaseException:
            for connection in abandoned(self._pool):
                connection.close()
            raise

    def close(self) -> None:
        """Close all connections, those too that are being made or used."""
        self._backend.closed = True
        super().close()


class _Backend(httpcore.NetworkBackend):
    def __init__(self, inner: httpcore.NetworkBackend) -> None:
        self._inner = inner
        self.closed = False

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        inner = self._inner.connect_tcp(
            host, port, _left(timeout), local_address, socket_options
        )
        return _Stream(inner, self)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, backend: _Backend) -> None:
        self._inner = inner
        self._backend = backend
        # Held while the socket is used: where it is closed meanwhile, the next one may
        # get its number, and would be read and written instead. A signal's handler may
        # close what its own thread reads.
        self._in_use = threading.RLock()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with self._in_use:
            self._check_open()
            try:
                data = self._inner.read(max_bytes, _left(timeout))
            except ValueError:  # of a TLS socket that another thread shuts down
                raise httpcore.ReadError from None
        if data:
            note(a_byte=True)
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with self._in_use:
            self._check_open()
            note(a_byte=False)
            self._inner.write(buffer, _left(timeout))

    def close(self) -> None:
        if self._backend.closed:
            with contextlib.suppress(OSError):
                # Wakes up who waits for it. Not the method of a TLS socket, which would
                # no more be readable.
                socket.socket.shutdown(self.get_extra_info("socket"), socket.SHUT_RDWR)
        with self._in_use:
            self._inner.close()

    def _check_open(self) -> None:
        if self._backend.closed:
            raise httpcore.ReadError("The client was closed.")

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        inner = self._inner.start_tls(ssl_context, server_hostname, _left(timeout))
        return _Stream(inner, self._backend)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)


def _left(timeout: float | None) -> float | None:
    """Return the shorter of a timeout and what is left until the deadline."""
    moment = _last.get()()
    if moment is None:
        return timeout
    left = moment.at - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("The deadline has passed.")
    return left if timeout is None else min(timeout, left)
