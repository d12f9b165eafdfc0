"""The node at work: opens a request, asks the engine, seals what it says."""

from __future__ import annotations

import json
import secrets
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias

from starlette.responses import Response

from ._fault_replies import ClearReply
from .backend import EngineError
from .node import NONCE_BYTES, NodeError, SealedRequest, blake2b_256, to_base64
from .streaming import EventStream, compact_json, event_frame

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from ._stream_faults import Mark
    from .backend import Engine
    from .faults import Call, Faults
    from .node import Node

__all__ = ["NonceMode", "Opened", "Serving"]

NonceMode = Literal["fresh", "reused"]
Json: TypeAlias = dict[str, Any]


class Opened(NamedTuple):
    """A plaintext body as the node saw it."""

    path: str
    body: Json


@dataclass(slots=True)
class Serving:
    """One node and its engine.

    `settle` arguments are called once with the tokens used, when they are known.
    """

    node: Node
    engine: Engine
    faults: Faults
    nonces: NonceMode = "fresh"
    opened: list[Opened] = field(default_factory=list)

    async def confidential(
        self, call: Call, endpoint: str, settle: Callable[[int], None]
    ) -> Response:
        """Answer an envelope.

        Raises:
            NodeError: it was refused.
        """
        self.faults.apply("open", None, call)
        sealed = SealedRequest.from_envelope(call.envelope)
        body = await self._parse(call, self.node.open(sealed))
        relayed = call.envelope.get("stream") is True
        if body.get("stream") is not True:
            reply = await self._sealed_reply(call, sealed, endpoint, body)
            settle(_total(reply.get("usage")))
            return self._respond(call, reply, as_event=relayed)
        if not relayed or endpoint == "embeddings":
            raise NodeError(500)
        if endpoint == "completions":  # every event is dropped (section 7.7)
            return self._stream(call, _nothing(), _nothing())
        chunks = await self._chunks(call, body)
        events = self._sealed_events(call, sealed, chunks, settle)
        return self._stream(call, events, chunks)

    async def plain(
        self, call: Call, endpoint: str, body: Json, settle: Callable[[int], None]
    ) -> Response:
        """Answer a body in clear.

        Raises:
            NodeError: it was refused.
        """
        self.faults.apply("open", None, call)
        body = await self._parse(call, compact_json(body))
        if body.get("stream") is True and endpoint == "chat/completions":
            chunks = await self._chunks(call, body)
            return self._stream(call, self._plain_events(chunks, settle), chunks)
        answer = await self._answer(call, endpoint, body)
        settle(_total(answer.get("usage")))
        return self._respond(call, self._signed(answer))

    async def _parse(self, call: Call, plaintext: bytes) -> Json:
        try:
            body = json.loads(plaintext)
        except ValueError as error:
            raise NodeError(400) from error
        if not isinstance(body, dict) or not isinstance(body.get("model"), str):
            raise NodeError(400)
        try:
            served = await self.engine.serves(body["model"])
        except EngineError as error:
            raise _after_admission(error, call) from error
        if not served:
            raise NodeError(400)
        self.opened.append(Opened(call.path, body))
        return body

    async def _answer(self, call: Call, endpoint: str, body: Json) -> Json:
        try:
            answer = await self.engine.answer(endpoint, body)
        except EngineError as error:
            raise _after_admission(error, call) from error
        if call.envelope and "usage" not in answer:  # needed to seal it (section 6)
            raise _after_admission(EngineError(400, "no usage"), call)
        edited: Json = self.faults.apply("answer", answer, call)
        return edited

    async def _chunks(self, call: Call, body: Json) -> AsyncIterator[Json]:
        try:
            chunks = await self.engine.stream(body)
        except EngineError as error:
            raise _after_admission(error, call) from error
        if not self.faults.touches("chunks"):
            return chunks
        # A fault sees the whole stream, so that it can be a line in a table.
        whole = self.faults.apply("chunks", [chunk async for chunk in chunks], call)
        return _each(whole)

    async def _sealed_reply(
        self, call: Call, sealed: SealedRequest, endpoint: str, body: Json
    ) -> Json:
        answer = await self._answer(call, endpoint, body)
        self.faults.apply("seal", None, call)
        reply: Json = {**self.node.seal(sealed, compact_json(answer))}
        if "usage" in answer:  # a fault may have taken it
            reply["usage"] = answer["usage"]
        return self._faulty(call, reply, answer)

    async def _sealed_events(
        self,
        call: Call,
        sealed: SealedRequest,
        chunks: AsyncIterator[Json],
        settle: Callable[[int], None],
    ) -> AsyncIterator[bytes]:
        reused = self.faults.apply("nonces", self.nonces, call) == "reused"
        nonce = secrets.token_bytes(NONCE_BYTES) if reused else None
        usage = None
        self.faults.apply("seal", None, call)
        async for chunk in chunks:
            seal = self.node.seal(sealed, compact_json(chunk), nonce=nonce)
            usage = chunk.get("usage") or usage
            # The node's own order of fields (section 7.3).
            event: Json = {"ciphertext": seal["ciphertext"], "nonce": seal["nonce"]}
            event |= {} if usage is None else {"usage": usage}
            event |= {k: seal[k] for k in ("signature", "response_hash")}
            yield event_frame(self._faulty(call, event, chunk))
        settle(_total(usage))

    async def _plain_events(
        self, chunks: AsyncIterator[Json], settle: Callable[[int], None]
    ) -> AsyncIterator[bytes]:
        usage = None
        async for chunk in chunks:
            usage = chunk.get("usage") or usage
            yield event_frame(self._signed(chunk))
        settle(_total(usage))

    async def _frames(
        self, call: Call, frames: AsyncIterator[bytes]
    ) -> AsyncIterator[bytes | Mark]:
        if self.faults.touches("frames"):
            whole = [frame async for frame in frames]
            frames = _each(self.faults.apply("frames", whole, call))
        async for frame in frames:
            yield frame

    def _stream(
        self, call: Call, frames: AsyncIterator[bytes], source: AsyncIterator[Any]
    ) -> Response:
        response = EventStream(self._frames(call, frames), source)
        edited: Response = self.faults.apply("response", response, call)
        return edited

    def _faulty(self, call: Call, reply: Json, answer: Json) -> Json:
        try:
            edited: Json = self.faults.apply("sealed", reply, call)
        except ClearReply:
            return self._signed(answer)
        return edited

    def _signed(self, answer: Json) -> Json:
        digest = blake2b_256(compact_json(answer))
        receipt = {
            "signature": self.node.sign(digest),
            "response_hash": to_base64(digest),
        }
        return answer | receipt

    def _respond(self, call: Call, reply: Json, *, as_event: bool = False) -> Response:
        if as_event:
            return self._stream(call, _each([event_frame(reply)]), _nothing())
        response = Response(compact_json(reply), media_type="application/json")
        edited: Response = self.faults.apply("response", response, call)
        return edited


def _after_admission(error: EngineError, call: Call) -> NodeError:
    """Say what the proxy gets to see of it.

    Of an engine's statuses the node keeps two; of the node's, the proxy keeps them for
    embeddings and plain endpoints only (section 8.3).
    """
    wrapped = call.path.startswith("/v1/confidential/") and not call.path.endswith(
        "/embeddings"
    )
    kept = error.status in {400, 401} and not wrapped
    return NodeError(error.status if kept else 500)


def _total(usage: Any) -> int:
    total = usage.get("total_tokens") if isinstance(usage, dict) else None
    return total if isinstance(total, int) else 0


async def _each(items: list[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


def _nothing() -> AsyncIterator[bytes]:
    return _each([])
