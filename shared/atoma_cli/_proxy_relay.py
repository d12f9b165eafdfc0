"""How `atoma proxy` passes a call on, and the answer back as it comes.

All of it goes through a transport that does nothing but seal: there is no other way
out. What is said about calls holds no content.
"""

from __future__ import annotations

import asyncio
import json
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, cast

import httpx
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from atoma_confidential.errors import ConfidentialError
from atoma_confidential.httpx import SEALED_BASE_URL
from atoma_confidential.streams import AsyncChatStream

from ._proxy_refusals import failed, not_served, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.types import Message, Receive, Scope, Send

    from atoma_confidential import Verdict
    from atoma_confidential.httpx import AsyncConfidentialTransport

__all__ = ["MAX_BODY_BYTES", "Relay"]

MAX_BODY_BYTES = 8 << 20
"""More than what can be sealed takes, with every character escaped."""

_KEPT = ("content-type", "content-encoding")


class Relay:
    """Passes calls on to a transport.

    Args:
        transport: Seals what comes in, and refuses what it cannot seal.
        say: Takes a line on each call.
    """

    def __init__(
        self, transport: AsyncConfidentialTransport, say: Callable[[str], None]
    ) -> None:
        self._transport = transport
        self._say = say

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a call, for as long as its caller waits."""
        if scope["query_string"]:
            raise not_served()
        try:
            asked = await _read(Request(scope, receive))
        except ClientDisconnect:
            return
        passing = asyncio.ensure_future(self._pass(asked, scope, receive, send))
        gone = asyncio.ensure_future(_hung_up(receive))
        try:
            await asyncio.wait({passing, gone}, return_when=asyncio.FIRST_COMPLETED)
            ended = passing.result() if passing.done() else "the caller hung up"
        finally:
            passing.cancel()
            gone.cancel()
            await asyncio.gather(passing, gone, return_exceptions=True)
        self._say(f"{scope['method']} {scope['path']}: {ended}")

    async def _pass(
        self, asked: httpx.Request, scope: Scope, receive: Receive, send: Send
    ) -> str:
        """Return what became of a call, in a few words."""
        try:
            answer = await self._transport.handle_async_request(asked)
        except ConfidentialError as error:
            refusal = failed(error)
            await refusal(scope, receive, send)
            return f"{refusal.status_code}, {type(error).__name__}"
        async with aclosing(answer):
            failure = await _hand_on(answer, send)
        if failure is not None:
            return f"cut, {type(failure).__name__}"  # to the caller, the body broke
        await send({"type": "http.response.body"})
        made = answer.extensions.get("atoma")
        return f"{answer.status_code}{_in_short(made.verdict) if made else ''}"


async def _hand_on(answer: httpx.Response, send: Send) -> ConfidentialError | None:
    """Send all but the end of an answer; return why there is none."""
    made = answer.extensions.get("atoma")
    headers = [(name.lower(), value) for name, value in answer.headers.raw]
    start = {"type": "http.response.start", "status": answer.status_code}
    await send(start | {"headers": headers})
    try:
        async for part in cast("httpx.AsyncByteStream", answer.stream):
            # A stream has a verdict once all that is left of it is `[DONE]`.
            if isinstance(made, AsyncChatStream) and made.verdict is not None:
                await send(_part(_comment(made.verdict)))
            await send(_part(part))
    except ConfidentialError as error:
        # OpenAI's SDKs raise such an event; others see the body break.
        await send(_part(b"data: " + _json(told(error)) + b"\n\n"))
        return error
    return None


async def _read(request: Request) -> httpx.Request:
    """Return a request with nothing of the caller's but a body and what that is."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise HTTPException(413, f"The body exceeds {MAX_BODY_BYTES} bytes.")
    return httpx.Request(
        request.method,
        SEALED_BASE_URL + request.scope["path"].removeprefix("/v1"),
        headers={n: request.headers[n] for n in _KEPT if n in request.headers},
        content=bytes(body),
    )


async def _hung_up(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _part(data: bytes) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": True}


def _comment(verdict: Verdict) -> bytes:
    return b": x-atoma-verdict " + _json(verdict.as_dict()) + b"\n\n"


def _in_short(verdict: Verdict) -> str:
    return f", sealed to node {verdict.node}, key {verdict.key}, {verdict.assurance}"


def _json(value: Any) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()
