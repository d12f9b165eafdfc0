"""A chat page whose questions and answers leave this machine only sealed.

    python chat_page.py            with a local Atoma, and a view of its wire
    python chat_page.py --port 0   on any free port

With `ATOMA_API_KEY` or `ATOMA_BASE_URL` set it talks to what they name instead.
The conversation lives in the browser's tab; nothing of it is kept here.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import contextlib
import hashlib
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvicorn
from langchain_core.messages import AIMessage, AnyMessage, HumanMessage
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route
from wire import Wire

from atoma_confidential import ConfidentialError
from atoma_local import BuiltInBackend, LocalAtoma
from langchain_atoma import AtomaChatModel

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from starlette.requests import Request

CHAT = "meta-llama/Llama-3.3-70B-Instruct"
PAGE = (Path(__file__).parent / "page.html").read_text(encoding="utf-8")
# The built-in model answers at once, and nobody would see it stream.
SECONDS_A_TOKEN = 0.04
LONGEST_REQUEST = 1_000_000
MESSAGES = {"user": HumanMessage, "assistant": AIMessage}


class BadRequestError(Exception):
    """The page, or somebody else, sent what is no conversation."""


def build_app(model: AtomaChatModel, wire: Wire | None = None) -> Starlette:
    """Return the page as an application.

    Args:
        model: What answers.
        wire: What is on the wire, where somebody listens there.
    """

    async def page(_request: Request) -> Response:
        return Response(PAGE, media_type="text/html", headers=_headers(PAGE))

    async def about(_request: Request) -> Response:
        told = {"model": model.model_name, "local": wire is not None}
        return JSONResponse(told, headers={"Cache-Control": "no-store"})

    async def chat(request: Request) -> Response:
        messages = await _conversation(request)
        # No cache may keep an answer.
        headers = {"Cache-Control": "no-store"}
        return StreamingResponse(
            _events(model, messages), media_type="text/event-stream", headers=headers
        )

    async def seen(request: Request) -> Response:
        messages = await _conversation(request)
        if wire is None:
            raise BadRequestError("There is no wire view of an address that is real.")
        texts = [message.text for message in messages]
        told = await run_in_threadpool(wire.seen, texts)
        return JSONResponse(told, headers={"Cache-Control": "no-store"})

    async def refuse(_request: Request, error: Exception) -> Response:
        return JSONResponse({"error": str(error)}, status_code=400)

    return Starlette(
        routes=[
            Route("/", page),
            Route("/about", about),
            Route("/chat", chat, methods=["POST"]),
            Route("/wire", seen, methods=["POST"]),
        ],
        # A name that somebody else's server resolves to this machine is not ours.
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"])
        ],
        exception_handlers={BadRequestError: refuse},
    )


def _headers(page: str) -> dict[str, str]:
    """Let the browser run and load what stands in the page, and nothing else."""
    script, style = (
        base64.b64encode(hashlib.sha256(found.encode()).digest()).decode()
        for tag in ("script", "style")
        for found in re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
    )
    policy = (
        f"default-src 'none'; script-src 'sha256-{script}'; "
        f"style-src 'sha256-{style}'; connect-src 'self'; img-src data:; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    )
    return {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "no-store",
    }


async def _conversation(request: Request) -> list[AnyMessage]:
    # Another site's page can send a form here, but not this type, unless we allow it.
    if request.headers.get("content-type") != "application/json":
        raise BadRequestError("Send the conversation as application/json.")
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LONGEST_REQUEST:
            raise BadRequestError("The conversation is too long: start a new one.")
    try:
        messages = json.loads(body)["messages"]
        return [_message(one["role"], one["content"]) for one in messages]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise BadRequestError(
            "Send messages, each with a role, user or assistant, and a content."
        ) from None


def _message(role: str, content: object) -> AnyMessage:
    if not isinstance(content, str):
        raise TypeError("a content that is no text")
    return MESSAGES[role](content)


async def _events(
    model: AtomaChatModel, messages: list[AnyMessage]
) -> AsyncIterator[str]:
    """Yield a token at a time, then the verdict or what went wrong.

    A reader that hangs up cancels this, which hangs up toward the node in turn.
    """
    verdict = None
    try:
        async with contextlib.aclosing(model.astream(messages)) as chunks:
            async for chunk in chunks:
                if chunk.text:
                    yield _event("token", chunk.text)
                verdict = chunk.response_metadata.get("atoma", verdict)
    except ConfidentialError as error:
        yield _event("error", _sentence(error))
    else:
        yield _event("verdict", verdict)


def _sentence(error: ConfidentialError) -> str:
    """Say what happened, what had left, and what to do; none of it quotes anything."""
    advice = error.advice[:1].lower() + error.advice[1:]
    said = [error.headline, f"left this machine: {error.exposure.value}", advice]
    return "; ".join(part.rstrip(".") for part in said if part) + "."


def _event(kind: str, data: Any) -> str:
    return f"event: {kind}\ndata: {json.dumps(data)}\n\n"


class Unhurried(BuiltInBackend):
    """The built-in model at the pace of a real one, for those who watch."""

    async def stream_chat(self, body: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """Answer a token at a time, with a rest between them."""
        return self._paced(super().stream_chat(body))

    async def _paced(self, chunks: Any) -> AsyncIterator[dict[str, Any]]:
        for chunk in chunks:
            yield chunk
            await asyncio.sleep(SECONDS_A_TOKEN)


def main() -> None:
    """Serve the page on this machine until Ctrl-C."""
    try:
        _serve()
    except ConfidentialError as error:  # no key, or an address that is none
        raise SystemExit(str(error)) from None


def _serve() -> None:
    arguments = argparse.ArgumentParser(description="A chat page.")
    arguments.add_argument("--port", type=int, default=8748)
    port = arguments.parse_args().port
    with contextlib.ExitStack() as stack:
        if os.environ.get("ATOMA_API_KEY") or os.environ.get("ATOMA_BASE_URL"):
            app = build_app(AtomaChatModel(model=CHAT))
        else:
            atoma = stack.enter_context(LocalAtoma(backend=Unhurried(), wiretap=True))
            model = AtomaChatModel(
                model=CHAT, base_url=atoma.base_url, api_key=atoma.api_key
            )
            app = build_app(model, Wire(atoma.tap))
        uvicorn.run(app, host="127.0.0.1", port=port, access_log=False)


if __name__ == "__main__":
    main()
