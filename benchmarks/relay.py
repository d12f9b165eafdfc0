"""A line of so many milliseconds: a TCP relay that holds back bytes, both ways.

A connection pays too: what a client sends first waits for a round trip more, as it
would for the handshake, which on this machine takes no time. TLS is not modelled.
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

__all__ = ["start"]

_END = None


class Line:
    """One direction: hands on what comes, half a round trip later, in order."""

    def __init__(self, delay: float, held_back: float = 0.0) -> None:
        self._loop = asyncio.get_running_loop()
        self._delay = delay
        self._not_before = self._loop.time() + held_back + delay
        self._queue: deque[tuple[float, bytes | None]] = deque()
        self._to: asyncio.Transport | None = None
        self._waiting = False

    def connect(self, to: asyncio.Transport) -> None:
        self._to = to
        self._wait()

    def put(self, data: bytes | None) -> None:
        due = max(self._loop.time() + self._delay, self._not_before)
        self._queue.append((due, data))
        self._wait()

    def _wait(self) -> None:
        if self._queue and self._to is not None and not self._waiting:
            self._waiting = True
            self._loop.call_at(self._queue[0][0], self._hand_on)

    def _hand_on(self) -> None:
        self._waiting = False
        now = self._loop.time() + 0.0005
        while self._queue and self._queue[0][0] <= now:
            _, data = self._queue.popleft()
            if data is _END:
                self._to.close()
            else:
                self._to.write(data)
        self._wait()


class End(asyncio.Protocol):
    """One end of a connection; what it reads goes onto the line to the other end."""

    def __init__(self, onto: Line, back: Line) -> None:
        self._onto, self._back = onto, back

    def connection_made(self, transport: Any) -> None:
        self._back.connect(transport)

    def data_received(self, data: bytes) -> None:
        self._onto.put(data)

    def connection_lost(self, exc: Exception | None) -> None:
        del exc
        self._onto.put(_END)


class Entrance(End):
    """The client's end; connects to the server at once, at no cost."""

    def __init__(self, port: int, one_way: float) -> None:
        super().__init__(Line(one_way, held_back=2 * one_way), Line(one_way))
        self._port = port
        self._connecting: asyncio.Task[Any] | None = None

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        loop = asyncio.get_running_loop()
        self._connecting = loop.create_task(
            loop.create_connection(
                lambda: End(self._back, self._onto), "127.0.0.1", self._port
            )
        )


async def start(port: int, round_trip_ms: float) -> int:
    """Relay to a port of this machine; return the relay's own."""
    one_way = round_trip_ms / 2000
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Entrance(port, one_way), "127.0.0.1", 0, backlog=256
    )
    return int(server.sockets[0].getsockname()[1])
