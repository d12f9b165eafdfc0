"""A listening socket that can be shut and opened again."""

from __future__ import annotations

import asyncio
import socket
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Door"]


class Door:
    """A listening socket that can be shut, and opened again at the same port."""

    def __init__(
        self, accept: Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]
    ) -> None:
        self._accept = accept
        self._server: asyncio.Server | None = None
        self._bound = _bind(0)
        self.port: int = self._bound.getsockname()[1]

    async def open(self) -> None:
        """Accept connections."""
        if self._server is None:
            self._server = await asyncio.start_server(self._accept, sock=self._bound)

    def shut(self) -> None:
        """Refuse connections, and keep the port."""
        if self._server is not None:
            self._server.close()
            self._server = None
            # Bound without listening: connections are refused, nobody takes the port.
            self._bound = _bind(self.port)

    def close(self) -> None:
        """Give the port up."""
        if self._server is not None:
            self._server.close()
        self._bound.close()


def _bind(port: int) -> socket.socket:
    # With the protocol named, asyncio turns Nagle's algorithm off.
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    bound.bind(("127.0.0.1", port))
    return bound
