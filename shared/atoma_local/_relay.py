"""A TCP relay on a thread that notes every byte before it passes it on."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Connection", "HostRewriter", "Relay", "Target"]

_CHUNK = 65536
_START_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where the relay connects to."""

    host: str
    port: int
    tls: ssl.SSLContext | None = None

    @property
    def host_header(self) -> bytes:
        """The value the target expects in `Host`."""
        usual = 80 if self.tls is None else 443
        text = self.host if self.port == usual else f"{self.host}:{self.port}"
        return text.encode()


@dataclass(slots=True)
class Connection:
    """Both directions of one connection, as far as they got."""

    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)


class Relay:
    """Accepts on loopback, connects to the target, copies and records.

    Args:
        target: the other end.
        on_open: called on the relay's thread with each new connection's record.
    """

    def __init__(self, target: Target, on_open: Callable[[Connection], None]) -> None:
        self._target = target
        self._on_open = on_open
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run()), name="wiretap", daemon=True
        )
        self.port = 0
        self.hang_up_after: int | None = None

    def start(self) -> None:
        """Listen, and return once connections are accepted."""
        self._thread.start()
        if not self._ready.wait(_START_SECONDS):
            raise RuntimeError("the wiretap did not start")

    def stop(self) -> None:
        """Close every connection and join the thread."""
        if self._loop and self._stop and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        await self._end_all()
        await server.wait_closed()

    async def _end_all(self) -> None:
        open_now = dict(self._open)
        for task in open_now:
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)
        for writer in open_now.values():  # a task may have ended before it began
            await _close(writer)

    def _accept(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        # Not a coroutine: the writer must be known even if its task never starts.
        task = asyncio.ensure_future(self._converse(reader, writer))
        self._open[task] = writer
        task.add_done_callback(self._forget)

    def _forget(self, task: asyncio.Task[None]) -> None:
        self._open.pop(task, None)

    async def _converse(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        record = Connection()
        self._on_open(record)
        with contextlib.suppress(OSError, asyncio.CancelledError):
            await self._join(reader, writer, record)
        await _close(writer)

    async def _join(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        record: Connection,
    ) -> None:
        target = self._target
        name = target.host if target.tls else None
        upstream_reader, upstream_writer = await asyncio.open_connection(
            target.host, target.port, ssl=target.tls, server_hostname=name
        )
        rewrite = HostRewriter(target.host_header).feed if target.tls else bytes
        forth = asyncio.ensure_future(
            self._forth(reader, upstream_writer, record, rewrite)
        )
        back = asyncio.ensure_future(self._back(upstream_reader, writer, record))
        try:
            await asyncio.wait({forth, back}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # All that must happen comes first: what follows may be cancelled.
            forth.cancel()
            back.cancel()
            upstream_writer.close()
            await asyncio.gather(forth, back, return_exceptions=True)
            await _close(upstream_writer)

    async def _forth(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        record: Connection,
        rewrite: Callable[[bytes], bytes],
    ) -> None:
        while data := await reader.read(_CHUNK):
            record.sent += data
            writer.write(rewrite(data))
            await writer.drain()

    async def _back(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        record: Connection,
    ) -> None:
        while data := await reader.read(_CHUNK):
            cut, self.hang_up_after = self.hang_up_after, None
            record.received += data[:cut]
            writer.write(data[:cut])
            await writer.drain()
            if cut is not None:
                return


class HostRewriter:
    """Replaces the `Host` line of every request on a connection, nothing else.

    Args:
        host: the new value.
    """

    def __init__(self, host: bytes) -> None:
        self._line = b"Host: " + host
        self._head = b""
        self._body_left = 0

    def feed(self, data: bytes) -> bytes:
        """Pass bytes through; a head is held back until it is whole."""
        out = b""
        while data:
            if self._body_left:
                out += data[: self._body_left]
                taken = min(len(data), self._body_left)
                self._body_left, data = self._body_left - taken, data[taken:]
                continue
            head, found, rest = (self._head + data).partition(b"\r\n\r\n")
            if not found:
                self._head = head
                return out
            self._head, data = b"", rest
            out += self._rewritten(head) + found
        return out

    def _rewritten(self, head: bytes) -> bytes:
        lines = head.split(b"\r\n")
        for number, line in enumerate(lines):
            name = line.partition(b":")[0].lower()
            if name == b"host":
                lines[number] = self._line
            elif name == b"content-length":
                self._body_left = int(line.partition(b":")[2])
            elif name == b"transfer-encoding":
                raise ConnectionError("the wiretap relays no chunked requests to TLS")
        return b"\r\n".join(lines)


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError, asyncio.CancelledError):
        await writer.wait_closed()
