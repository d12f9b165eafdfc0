"""Pools of connections that lose none when a call is cut short, or the client closed.

Where a call is cut short before its request began, or while its answer is closed,
httpcore leaves the connection in the pool: nobody uses it again or closes it. And to
close a pool leaves those behind that are just being made.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterable
from typing import Any, cast
from weakref import WeakSet

import httpcore
import httpx

from ._heard import note

__all__ = ["AsyncPoolTransport", "abandoned"]


def abandoned(pool: httpcore.ConnectionPool | httpcore.AsyncConnectionPool) -> Any:
    """Return the connections of a pool that no request uses or can use any more."""
    # Of one moment: an idle one may be given to another thread's request at any time.
    # Between tasks this lock does nothing, and need not: nothing is awaited here.
    with pool._optional_thread_lock:  # noqa: SLF001
        used = [request.connection for request in pool._requests]  # noqa: SLF001
        return [
            connection
            for connection in pool.connections
            if not (
                connection.is_idle() or connection.is_closed() or connection in used
            )
        ]


class AsyncPoolTransport(httpx.AsyncHTTPTransport):
    """A transport that closes what is being made, too, and drops what was abandoned."""

    def __init__(self, *, verify: ssl.SSLContext, proxy: str | None) -> None:
        super().__init__(verify=verify, proxy=proxy)
        # As in `_deadline`: tests of closing fail if it ever moves.
        self._backend = _Backend(self._pool._network_backend)  # noqa: SLF001
        self._pool._network_backend = self._backend  # noqa: SLF001

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request."""
        try:
            response = await super().handle_async_request(request)
        except BaseException:
            for connection in abandoned(self._pool):
                await connection.aclose()
            raise
        response.stream = _Body(cast("httpx.AsyncByteStream", response.stream))
        return response

    async def aclose(self) -> None:
        """Close all connections, those too that are being made or used."""
        self._backend.closed = True
        try:
            await super().aclose()
        finally:
            for stream in list(self._backend.streams):
                await stream.aclose()


class _Body(httpx.AsyncByteStream):
    """Comes to its end even where the task that ends it is cancelled."""

    def __init__(self, inner: httpx.AsyncByteStream) -> None:
        self._inner = inner

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self._inner.__aiter__()

    async def aclose(self) -> None:
        closing = asyncio.ensure_future(self._inner.aclose())
        cancelled: asyncio.CancelledError | None = None
        while not closing.done():
            try:
                await asyncio.wait([closing])
            except asyncio.CancelledError as error:
                cancelled = error  # maybe not the first one
        failure = cancelled or closing.exception()
        if failure is not None:
            raise failure


class _Backend(httpcore.AsyncNetworkBackend):
    def __init__(self, inner: httpcore.AsyncNetworkBackend) -> None:
        self._inner = inner
        self.streams: WeakSet[httpcore.AsyncNetworkStream] = WeakSet()
        self.closed = False

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        stream = await self._inner.connect_tcp(
            host, port, timeout, local_address, socket_options
        )
        if self.closed:
            await stream.aclose()
            raise httpcore.ConnectError
        self.streams.add(stream)
        return _Stream(stream)


class _Stream(httpcore.AsyncNetworkStream):
    """Notes whether a byte of an answer was read."""

    def __init__(self, inner: httpcore.AsyncNetworkStream) -> None:
        self._inner = inner

    async def read(
        self,
        max_bytes: int,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
    ) -> bytes:
        data = await self._inner.read(max_bytes, timeout)
        if data:
            note(a_byte=True)
        return data

    async def write(
        self,
        buffer: bytes,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
    ) -> None:
        note(a_byte=False)
        await self._inner.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._inner.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - httpcore's signature
    ) -> httpcore.AsyncNetworkStream:
        return _Stream(
            await self._inner.start_tls(ssl_context, server_hostname, timeout)
        )

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
