"""A TCP relay on a thread that notes every byte, and breaks what it is told to."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
import struct
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ._door import Door
from ._shapes import End, Pause, Step
from ._shaping import Shaping

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from .network_faults import NetworkFaults

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


@dataclass(slots=True, eq=False)
class Connection:
    """Both directions of one connection, as far as they got."""

    sent: bytearray = field(default_factory=bytearray)
    received: bytearray = field(default_factory=bytearray)
    over: bool = False


class Relay:
    """Accepts on loopback, connects to the target, copies and records.

    Args:
        target: the other end.
        faults: of the network in between.
        on_open: called on the relay's thread with each new connection's record.
    """

    def __init__(
        self,
        target: Target,
        faults: NetworkFaults,
        on_open: Callable[[Connection], None],
    ) -> None:
        self._target = target
        self._faults = faults
        self._on_open = on_open
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._door: Door | None = None
        self._open: dict[asyncio.Task[None], asyncio.StreamWriter] = {}
        self._thread = threading.Thread(
            target=lambda: asyncio.run(self._run()), name="wiretap", daemon=True
        )
        self.port = 0

    def start(self) -> None:
        """Listen, and return once connections are accepted."""
        self._thread.start()
        if not self._ready.wait(_START_SECONDS):
            raise RuntimeError("the wiretap did not start")
        self._faults.on_refusing(self._refuse)

    def stop(self) -> None:
        """Close every connection and join the thread."""
        self._faults.on_refusing(None)
        if self._loop and self._stop and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def _run(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        self._door = Door(self._accept)
        await self._door.open()
        self.port = self._door.port
        self._ready.set()
        await self._stop.wait()
        self._door.close()
        await self._end_all()

    def _refuse(self, refusing: bool) -> None:
        """Refuse connections, or not any more; that holds when this returns."""
        if self._loop is not None and self._door is not None:
            turn = self._turn(self._door, refusing=refusing)
            asyncio.run_coroutine_threadsafe(turn, self._loop).result(_START_SECONDS)

    async def _turn(self, door: Door, *, refusing: bool) -> None:
        if not refusing:
            await door.open()
            return
        door.shut()
        await self._end_all()

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
        record.over = True
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
        shaping = Shaping(self._faults)
        rewrite = HostRewriter(target.host_header).feed if target.tls else bytes
        forth = asyncio.ensure_future(
            _forth(
                reader,
                upstream_writer,
                writer,
                record,
                lambda data: shaping.sent(rewrite(data)),
            )
        )
        back = asyncio.ensure_future(_back(upstream_reader, writer, record, shaping))
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
    reader: asyncio.StreamReader,
    upstream: asyncio.StreamWriter,
    writer: asyncio.StreamWriter,
    record: Connection,
    shape: Callable[[bytes], Iterable[Step]],
) -> None:
    while data := await reader.read(_CHUNK):
        record.sent += data
        # After a stall all is one, but what is not passed on is recorded all the same.
        end = await _do(shape(data), upstream)
        if end is End.RESET:
            _reset(writer)
        if end in {End.RESET, End.CLOSE}:
            return


async def _back(
    reader: asyncio.StreamReader,
    writer: asyncio.StreamWriter,
    record: Connection,
    shaping: Shaping,
) -> None:
    while data := await reader.read(_CHUNK):
        end = await _do(shaping.received(data), writer, record.received)
        if end is End.RESET:
            _reset(writer)
        elif end is End.HALF_CLOSE:
            writer.write_eof()
        if end in {End.HALF_CLOSE, End.STALL}:
            await asyncio.Event().wait()  # until the client has enough of it
        if end is not None:
            return


async def _do(
    steps: Iterable[Step],
    writer: asyncio.StreamWriter,
    record: bytearray | None = None,
) -> End | None:
    for step in steps:
        if isinstance(step, End):
            return step
        if isinstance(step, Pause):
            await asyncio.sleep(step.seconds)
            continue
        if record is not None:
            record += step
        writer.write(step)
        await writer.drain()
    return None


def _reset(writer: asyncio.StreamWriter) -> None:
    # Not to linger makes closing a reset (socket(7)).
    no_time = struct.pack("ii", 1, 0)
    raw = writer.get_extra_info("socket")
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, no_time)
    writer.transport.abort()


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
