"""The proxy: tokens, locks and admission (protocol sections 1, 4, 5, 8)."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from starlette.responses import JSONResponse, Response

from ._bodies import extract_json, optional_u64, parse_envelope
from ._refusals import RefusedError, extractor_refusal, node_refusal, refusal
from .backend import EngineError
from .faults import Call
from .node import NodeError, to_base64
from .stacks import (
    DEFAULT_TIMEOUT,
    DEFAULT_UNITS,
    NoLockError,
    StackBook,
    UnknownStackError,
)
from .streaming import compact_json

if TYPE_CHECKING:
    from collections.abc import Callable

    from starlette.requests import Request

    from .serving import Serving
    from .stacks import Stack

__all__ = ["EMBEDDINGS", "Exchange", "Proxy"]

EMBEDDINGS = "embeddings"


class Exchange(NamedTuple):
    """A request as it reached the proxy."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass(slots=True)
class Proxy:
    """Who may ask, what they locked, and the node behind.

    Args:
        serving: the node.
        tokens: API tokens that are accepted.
        stacks: the book of stacks and locks.
        strict: refuse a body whose length is not that of its compact form, because
            upstream forwards the client's `Content-Length` (protocol section 5.1).
        evidence: what the attestation record holds, if there is one.
        clock: what locks expire by.
    """

    serving: Serving
    tokens: set[str]
    stacks: StackBook
    strict: bool = True
    evidence: bytes | None = None
    clock: Callable[[], float] = time.monotonic
    exchanges: list[Exchange] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)

    def user(self, request: Request) -> str:
        """Return the token that pays (section 1: the prefix is exact)."""
        header = request.headers.get("authorization", "")
        token = header.removeprefix("Bearer ")
        if token == header or token not in self.tokens:
            raise refusal(401)
        return token

    async def lock(self, request: Request) -> Response:
        """Grant a lock: `POST /v1/nodes/lock`."""
        body = extract_json(
            request, await request.body()
        )  # before the token is looked at
        model = body.get("model")
        units = optional_u64(body, "max_num_tokens", DEFAULT_UNITS)
        timeout = optional_u64(body, "timeout", DEFAULT_TIMEOUT)
        if not isinstance(model, str):
            raise extractor_refusal(422, "model: invalid type or missing field")
        user = self.user(request)
        call = self._call(request)
        self.serving.faults.apply("lock", None, call)
        if not await self._serves(model):
            raise refusal(503)
        grant = self.stacks.lock(
            user, model, units=units, timeout=timeout, now=self.clock()
        )
        reply = {
            "public_key": to_base64(self.serving.node.public_key),
            "node_small_id": self.serving.node.small_id,
            "stack_entry_digest": grant.stack_entry_digest,
            "stack_small_id": grant.stack_small_id,
        }
        return JSONResponse(self.serving.faults.apply("lock-reply", reply, call))

    async def confidential(self, request: Request, endpoint: str) -> Response:
        """Admit an envelope, use up its lock, and hand it to the node."""
        self.user(request)
        raw = await request.body()
        envelope = parse_envelope(raw)
        units = optional_u64(envelope, "num_compute_units", DEFAULT_UNITS)
        call = self._call(request, envelope)
        stack = self._consume(call, envelope["stack_small_id"], units)
        release = 0 if endpoint == EMBEDDINGS else units  # an upstream leak (4.4)
        extract_json(
            request, raw
        )  # the handler's extractor runs after the lock is gone
        try:
            self._check_length(request, raw, envelope, endpoint)
            self.serving.faults.apply("post", None, call)
            return await self.serving.confidential(
                call,
                endpoint,
                lambda used: self.stacks.settle(stack, release=release, used=used),
            )
        except NodeError as error:
            self.stacks.settle(stack, release=release, used=0)
            raise self._shown(error, request, stack) from error
        except RefusedError:
            self.stacks.settle(stack, release=release, used=0)
            raise

    async def plain(self, request: Request, endpoint: str) -> Response:
        """Hand a body in clear to the node, with upstream's one insertion."""
        self.user(request)
        body = extract_json(request, await request.body())
        if endpoint == EMBEDDINGS and not isinstance(body.get("input"), str):
            raise refusal(400, "Request error: input must be a string")
        if not {"max_tokens", "max_completion_tokens"} & body.keys():
            body["max_completion_tokens"] = DEFAULT_UNITS
        call = self._call(request)
        self.serving.faults.apply("post", None, call)
        try:
            return await self.serving.plain(call, endpoint, body, lambda _used: None)
        except NodeError as error:
            raise node_refusal(error, stack_header=False) from error

    async def _serves(self, model: str) -> bool:
        try:
            return await self.serving.engine.serves(model)
        except EngineError:  # a node whose engine is down is none for this model
            return False

    def _call(self, request: Request, envelope: dict[str, Any] | None = None) -> Call:
        headers = dict(request.headers)
        return Call(self.serving.node, request.url.path, headers, envelope or {})

    def _consume(self, call: Call, small_id: int, units: int) -> Stack:
        if named := self.stacks.stacks.get(small_id):
            self.serving.faults.apply("locks", named, call)
        try:
            return self.stacks.consume(small_id, units=units, now=self.clock())
        except UnknownStackError as error:
            raise refusal(500) from error
        except NoLockError as error:
            raise refusal(425) from error

    def _shown(self, error: NodeError, request: Request, stack: Stack) -> RefusedError:
        named = "x-stack-small-id" in request.headers
        if error.status == 423 and named:  # noqa: PLR2004
            stack.shut = True
        return node_refusal(error, stack_header=named)

    def _check_length(
        self, request: Request, raw: bytes, envelope: dict[str, Any], endpoint: str
    ) -> None:
        declared = request.headers.get("content-length")
        forwarded = len(compact_json(envelope))
        if not self.strict or declared == str(forwarded) == str(len(raw)):
            return
        self.violations.append(
            f"{endpoint}: Content-Length {declared}, forwarded {forwarded} bytes"
        )
        raise refusal(500 if endpoint == EMBEDDINGS else 429)
