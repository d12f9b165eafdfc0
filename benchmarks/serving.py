"""The local Atoma's node at no cost, and a plain door of OpenAI's shape beside it.

Admission, envelopes, keys and signatures are the local Atoma's own. What differs is
speed: answers are prepared, a stream's key is derived once, and all of a stream is
sealed before its head is sent, so that no client waits for the sealing of a chunk.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from atoma_local import Node
from atoma_local.app import build_app
from atoma_local.backend import BuiltInBackend, Engine
from atoma_local.faults import Call, Faults
from atoma_local.node import SealedRequest, blake2b_256, to_base64
from atoma_local.proxy import Proxy
from atoma_local.serving import Serving
from atoma_local.stacks import StackBook

from . import answers

__all__ = ["build"]

KEEP_ALIVE = b": keep-alive\n\n"
DONE = b"data: [DONE]\n\n"


class Seals:
    """Seals the answers of one request."""

    def __init__(self, node: QuickNode, request: SealedRequest) -> None:
        self._node = node
        self._cipher = node.cipher(request)

    def fields(self, plaintext: bytes) -> tuple[str, str, str, str]:
        """Return ciphertext, nonce, signature and hash, in base64."""
        nonce = secrets.token_bytes(12)
        sealed = to_base64(self._cipher.encrypt(nonce, plaintext, None))
        digest = blake2b_256(plaintext)
        return sealed, to_base64(nonce), self._node.sign(digest), to_base64(digest)

    def event(self, chunk: bytes) -> bytes:
        sealed, nonce, signature, digest = self.fields(chunk)
        usage = f'"usage":{_usage_in(chunk)},' if b'"choices":[]' in chunk else ""
        return (
            f'data: {{"ciphertext":"{sealed}","nonce":"{nonce}",{usage}'
            f'"signature":"{signature}","response_hash":"{digest}"}}\n\n'
        ).encode()

    def reply(self, answer: bytes, usage: bytes) -> bytes:
        sealed, nonce, signature, digest = self.fields(answer)
        return (
            f'{{"nonce":"{nonce}","ciphertext":"{sealed}","response_hash":"{digest}",'
            f'"signature":"{signature}","usage":{usage.decode()}}}'
        ).encode()


class QuickNode(Node):
    """A node that derives a key once for a request and for all of its answer."""

    _last: tuple[SealedRequest | None, Any] = None, None

    def cipher(self, request: SealedRequest) -> Any:
        return self._cipher(request)

    def _cipher(self, request: SealedRequest) -> Any:
        if self._last[0] is not request:
            self._last = request, super()._cipher(request)
        return self._last[1]


class QuickServing(Serving):
    """Answers from what was prepared."""

    async def confidential(
        self, call: Call, endpoint: str, settle: Callable[[int], None]
    ) -> Response:
        del endpoint
        request = SealedRequest.from_envelope(call.envelope)
        body = json.loads(self.node.open(request))
        settle(1)
        seals = Seals(self.node, request)
        if body.get("stream"):
            return _stream(body, seals.event)
        return _whole(seals.reply(*answers.answer(body)))

    async def plain(
        self, call: Call, endpoint: str, body: Any, settle: Callable[[int], None]
    ) -> Response:
        del call, endpoint, settle
        if body.get("stream"):
            return _stream(body, self._signed_event)
        return _whole(self._with_receipt(answers.answer(body)[0]))

    def _signed_event(self, chunk: bytes) -> bytes:
        return b"data: " + self._with_receipt(chunk) + b"\n\n"

    def _with_receipt(self, answer: bytes) -> bytes:
        """Put signature and hash into an object, as nodes do in plain answers."""
        digest = blake2b_256(answer)
        signature, text = self.node.sign(digest), to_base64(digest)
        receipt = f',"signature":"{signature}","response_hash":"{text}"}}'
        return answer[:-1] + receipt.encode()


class Door:
    """`/openai/…` for peers, as their own provider would answer; the rest is Atoma."""

    def __init__(self, atoma: ASGIApp) -> None:
        self._atoma = atoma

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith("/openai/"):
            await self._atoma(scope, receive, send)
            return
        body = json.loads(await Request(scope, receive).body())
        if body.get("stream"):
            response = _stream(body, lambda chunk: b"data: " + chunk + b"\n\n", DONE)
        else:
            response = _whole(answers.answer(body)[0])
        await response(scope, receive, send)


class Events(Response):
    """Frames, each a chunk of HTTP's; at once, or one in so many milliseconds."""

    def __init__(self, frames: Iterator[bytes], every_ms: float) -> None:
        super().__init__()
        self.raw_headers = [(b"content-type", b"text/event-stream")]
        self._frames = frames
        self._every = every_ms / 1000

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        del scope, receive
        frames = self._paced() if self._every else _each(list(self._frames))
        start = {"type": "http.response.start", "status": 200}
        await send(start | {"headers": self.raw_headers})
        part = {"type": "http.response.body", "more_body": True}
        async for frame in frames:
            await send(part | {"body": frame})
        await send(part | {"more_body": False})

    async def _paced(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        due = loop.time()
        for frame in self._frames:
            yield frame
            due += self._every
            await asyncio.sleep(max(0, due - loop.time()))


async def _each(frames: list[bytes]) -> AsyncIterator[bytes]:
    for frame in frames:
        yield frame


def _stream(
    body: dict[str, Any], frame: Callable[[bytes], bytes], last: bytes = b""
) -> Response:
    wants = answers.wanted(body)
    chunks = answers.chunks(wants.get("chunks", 0), wants.get("tool", 0))

    def frames() -> Iterator[bytes]:
        yield KEEP_ALIVE
        yield from map(frame, chunks)
        if last:
            yield last

    return Events(frames(), wants.get("every_ms", 0))


def _whole(data: bytes) -> Response:
    return Response(data, media_type="application/json")


def _usage_in(chunk: bytes) -> str:
    return json.dumps(json.loads(chunk)["usage"], separators=(",", ":"))


def build(api_key: str) -> ASGIApp:
    """Build the application."""
    node = QuickNode()
    serving = QuickServing(
        node, Engine(BuiltInBackend()), Faults(), opened=deque(maxlen=0)
    )
    proxy = Proxy(serving, {api_key}, StackBook(size=10**12), exchanges=deque(maxlen=0))
    return Door(build_app(proxy))
