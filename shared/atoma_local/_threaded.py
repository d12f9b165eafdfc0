"""uvicorn on a socket of ours, in the foreground or on a thread."""

from __future__ import annotations

import asyncio
import socket
import threading
from typing import TYPE_CHECKING

import uvicorn

if TYPE_CHECKING:
    from starlette.types import ASGIApp

__all__ = ["Server", "ThreadedServer", "listen", "url_of"]

_GRACE_SECONDS = 0.5
_START_SECONDS = 10.0


def listen(address: tuple[str, int]) -> socket.socket:
    """Open a listening socket that asyncio knows to be TCP."""
    family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
    # Without the protocol asyncio does not recognise TCP, leaves Nagle's algorithm
    # on, and each answer waits 40 ms for an acknowledgement.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


def url_of(listener: socket.socket) -> str:
    """Spell out where a socket listens."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """uvicorn without its two tenths of a second of polling at the end."""

    def __init__(self, app: ASGIApp) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                log_level="critical",  # faults break responses on purpose
                access_log=False,
                date_header=False,
                server_header=False,
                lifespan="on",
                http="h11",
                ws="none",
                timeout_graceful_shutdown=1,
            )
        )


class ThreadedServer(Server):
    """Runs on a thread of its own and stops at once."""

    def __init__(self, app: ASGIApp, address: tuple[str, int]) -> None:
        super().__init__(app)
        self._listener = listen(address)
        self.url = url_of(self._listener)
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(
            target=self.run, args=([self._listener],), name="atoma-local", daemon=True
        )

    def start(self) -> None:
        """Return once requests are served."""
        self._thread.start()
        if not self._ready.wait(_START_SECONDS):
            raise RuntimeError("the local Atoma did not start")

    def stop(self) -> None:
        """Close every connection and join the thread; again does nothing."""
        if self._loop is not None and self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()

    async def main_loop(self) -> None:
        """Wait for `stop` instead of polling for it."""
        self._loop = asyncio.get_running_loop()
        await self.on_tick(0)
        self._ready.set()
        await self._stopping.wait()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close listeners, connections and the application, in this order."""
        for server in self.servers:
            server.close()
        for listener in sockets or []:
            listener.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        await self._drain()
        await self.lifespan.shutdown()

    async def _drain(self) -> None:
        """Let short answers finish; break off those that stall by design."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _GRACE_SECONDS
        state = self.server_state
        # uvicorn has no event for "all connections are closed".
        while (state.connections or state.tasks) and loop.time() < deadline:  # noqa: ASYNC110
            await asyncio.sleep(0.002)
        for task in list(state.tasks):
            task.cancel()
        await asyncio.gather(*state.tasks, return_exceptions=True)
        for connection in list(state.connections):
            connection.transport.abort()
        await asyncio.sleep(0)
