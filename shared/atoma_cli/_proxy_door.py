"""Who may come in to `atoma proxy`: only who has the token, and is no web page."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException

from ._proxy_refusals import refused

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Door"]

_NAMES = ("127.0.0.1", "[::1]", "localhost")


class Door:
    """Refuses whoever may not come in, before anything else is looked at.

    A page of any site can make a browser connect to loopback, and by DNS under that
    site's own name. The browser then sends the name as `Host`, or an `Origin`.

    Args:
        app: What is behind it.
        token: What callers must have.
        port: Of the listening socket.
        say: Takes a line on each who was refused.
    """

    def __init__(
        self, app: ASGIApp, *, token: str, port: int, say: Callable[[str], None]
    ) -> None:
        self._app = app
        self._authorization = f"Bearer {token}".encode()
        self._hosts = {*_NAMES, *(f"{name}:{port}" for name in _NAMES)}
        self._say = say

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        try:
            if scope["type"] == "http":
                self._check(Headers(scope=scope))
        except HTTPException as why:
            self._say(f"Refused, {why.status_code}: {why.detail}")
            await refused(why)(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    def _check(self, headers: Headers) -> None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            raise HTTPException(
                403, "The Host is not this machine: use the address as it was printed."
            )
        if "origin" in headers:
            raise HTTPException(403, "There is an Origin: web pages are not served.")
        given = headers.getlist("authorization")
        if len(given) != 1 or not hmac.compare_digest(
            given[0].encode(), self._authorization
        ):
            raise HTTPException(
                401,
                "The API key is not the token of this atoma proxy, which it printed, "
                "or has in its --token-file.",
                {"www-authenticate": "Bearer"},
            )
