"""The connections of a blocking client, which may be used before a fork and after."""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable

import httpx

from ._deadline import DeadlineTransport
from ._http import proxy_of, tls_context

__all__ = ["Connections"]


class Connections:
    """Those of each process by themselves: it must not use its parent's sockets.

    Closed when nobody holds them any more.

    Args:
        base_url: Where requests go that name no other origin.
        on_first: Called when a process makes its first ones to there.
    """

    def __init__(self, base_url: str, on_first: Callable[[], None]) -> None:
        self._base_url = base_url
        self._on_first = on_first
        self._made: dict[tuple[int, str | None], httpx.Client] = {}
        weakref.finalize(self, _close, self._made)

    def to(self, origin: str | None) -> httpx.Client:
        """Return what makes the connections to an origin; None is the base URL's."""
        key = os.getpid(), origin
        made = self._made.get(key)
        if made is None:
            proxy = proxy_of(origin or self._base_url)
            transport = DeadlineTransport(verify=tls_context(), proxy=proxy)
            made = self._made.setdefault(key, httpx.Client(transport=transport))
            if origin is None:
                self._on_first()
        return made

    def close(self) -> None:
        """Close this process's."""
        _close(self._made)


def _close(made: dict[tuple[int, str | None], httpx.Client]) -> None:
    mine = [key for key in list(made) if key[0] == os.getpid()]
    # Another thread may close as well.
    for client in filter(None, [made.pop(key, None) for key in mine]):
        client.close()
