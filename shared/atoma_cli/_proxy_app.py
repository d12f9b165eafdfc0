"""The application of `atoma proxy`."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.routing import Route

from ._proxy_door import Door
from ._proxy_refusals import failed_here, not_served, refused
from ._proxy_relay import Relay

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from starlette.requests import Request
    from starlette.responses import Response

    from atoma_confidential.httpx import AsyncConfidentialTransport

__all__ = ["build_app"]


def build_app(
    transport: AsyncConfidentialTransport,
    *,
    token: str,
    port: int,
    say: Callable[[str], None],
) -> Starlette:
    """Return the application, which closes the transport when it ends.

    Args:
        transport: Seals what comes in.
        token: What callers must have.
        port: Where it will listen, on loopback.
        say: Takes a line on each call, without content.
    """

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        async with transport:
            yield

    async def broken(_request: Request, error: Exception) -> Response:
        say(f"500, a bug: {type(error).__name__}")
        return failed_here()

    relay = Relay(transport, say)
    app = Starlette(
        routes=[
            Route("/v1/chat/completions", relay, methods=["POST"]),
            Route("/v1/embeddings", relay, methods=["POST"]),
            Route("/v1/models", relay, methods=["GET"]),
        ],
        middleware=[Middleware(Door, token=token, port=port, say=say)],
        exception_handlers={HTTPException: _refuse, Exception: broken},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False  # a path is served exactly so, or not at all
    return app


async def _refuse(_request: Request, error: Exception) -> Response:
    if isinstance(error, HTTPException) and error.status_code == 413:  # noqa: PLR2004
        return refused(error)
    return refused(not_served())  # the router's own, of a path or a method, say less
