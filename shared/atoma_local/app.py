"""The routes of protocol section 2 over a proxy and its node."""

from __future__ import annotations

from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

from starlette.applications import Starlette
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from ._refusals import RefusedError, refusal
from .backend import EngineError
from .proxy import EMBEDDINGS, Exchange

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from starlette.requests import Request
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .proxy import Proxy

__all__ = ["build_app"]

ENDPOINTS = ("chat/completions", "completions", EMBEDDINGS)


def build_app(proxy: Proxy) -> ASGIApp:
    """Build the ASGI application over a proxy."""

    async def models(request: Request) -> Response:
        proxy.user(request)
        names = await proxy.serving.engine.models()
        facts = {"object": "model", "created": 1686935002, "owned_by": "atoma"}
        return JSONResponse(
            {"object": "list", "data": [{"id": name, **facts} for name in names]}
        )

    async def attestation(request: Request) -> Response:
        small_id = request.path_params["small_id"]
        if proxy.evidence is None or small_id != proxy.serving.node.small_id:
            return Response(status_code=404)
        record = list(proxy.evidence)
        return JSONResponse({"node_small_id": small_id, "compressed_evidence": record})

    async def tasks(_request: Request) -> Response:
        names = await proxy.serving.engine.models()
        return JSONResponse([_task(n, name) for n, name in enumerate(names, 1)])

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await proxy.serving.engine.aclose()

    post = ["POST"]
    routes = [
        Route("/health", _health),
        Route("/tasks", tasks),
        Route("/v1/get_node_attestation/{small_id:int}", attestation),
        Route("/v1/models", models),
        Route("/v1/nodes/lock", proxy.lock, methods=post),
    ]
    for name in ENDPOINTS:
        sealed, clear = f"/v1/confidential/{name}", f"/v1/{name}"
        routes.append(Route(sealed, _bound(proxy.confidential, name), methods=post))
        routes.append(Route(clear, _bound(proxy.plain, name), methods=post))
    app = Starlette(
        routes=routes,
        lifespan=lifespan,
        exception_handlers={
            RefusedError: _refused,
            EngineError: _without_engine,
            404: _empty,
            405: _empty,
        },
    )
    return _Recorder(app, proxy.exchanges)


class _Recorder:
    """Reads each request whole, notes it, and replays it to the application."""

    def __init__(self, app: ASGIApp, exchanges: list[Exchange]) -> None:
        self._app = app
        self._exchanges = exchanges

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body += message.get("body", b"")
            more = message.get("more_body", False)
        headers = {k.decode(): v.decode("latin-1") for k, v in scope["headers"]}
        self._exchanges.append(Exchange(scope["method"], scope["path"], headers, body))
        replay: list[Message] = [{"type": "http.request", "body": body}]

        async def receive_again() -> Message:
            return replay.pop() if replay else await receive()

        await self._app(scope, receive_again, send)


def _bound(
    handler: Callable[[Request, str], Awaitable[Response]], endpoint: str
) -> Callable[[Request], Awaitable[Response]]:
    async def handle(request: Request) -> Response:
        return await handler(request, endpoint)

    return handle


def _task(small_id: int, model: str) -> list[Any]:
    modality = "Embeddings" if "e5" in model.lower() else "Chat Completions"
    task = {
        "task_small_id": small_id,
        "task_id": f"0x{small_id:064x}",
        "role": 0,
        "model_name": model,
        "is_deprecated": False,
        "valid_until_epoch": None,
        "deprecated_at_epoch": None,
        "security_level": 1,
        "minimum_reputation_score": None,
    }
    return [task, [modality]]


async def _health(_request: Request) -> Response:
    return JSONResponse({"message": "ok"})


async def _refused(_request: Request, error: Exception) -> Response:
    if not isinstance(error, RefusedError):
        raise error
    return error.response


async def _without_engine(_request: Request, _error: Exception) -> Response:
    """Answer for a list that the network keeps itself, and we have from the engine."""
    return refusal(503).response


async def _empty(_request: Request, error: Exception) -> Response:
    return Response(status_code=getattr(error, "status_code", 404))
