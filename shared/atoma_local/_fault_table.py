"""The table of faults: a name, the stage it hits, what it does there."""

from __future__ import annotations

import enum
import gzip
import json
import math
import secrets
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, PlainTextResponse, Response

from ._fault_replies import (
    ClearReply,
    CutReply,
    SilentReply,
    break_embeddings,
    change_vectors,
    flip_bit,
)
from ._refusals import RefusedError, refusal
from .faults import Call, Fault, Stage
from .node import NodeError, to_base64

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FAULTS", "Mark", "find_fault"]

Frames = list["bytes | Mark"]

ORDER_8_POINT = "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"
CONTEXT_TOO_LONG = (
    "Request error: This model's maximum context length is 8192 tokens. However, "
    "you requested 9000 tokens. Please reduce the length of the messages."
)
CLEAR_CHUNK = {
    "id": "chatcmpl-clear",
    "object": "chat.completion.chunk",
    "created": 0,
    "model": "clear",
    "choices": [{"index": 0, "delta": {"content": "clear"}, "finish_reason": None}],
}
ENGINE_ERROR = {
    "error": {"message": "engine failed", "type": "InternalServerError", "code": 500}
}


class Mark(enum.Enum):
    """What a stream may do besides sending bytes."""

    CUT = "close the connection without ending the body"
    STALL = "send keep-alives for ever"
    SILENCE = "send nothing for ever"


def _raise(error: Exception) -> Callable[[Any, Call], Any]:
    def apply(_value: Any, _call: Call) -> Any:
        # One row serves many requests: without this its traceback would grow.
        raise error.with_traceback(None)

    return apply


def _refuse(
    stage: Stage,
    status: int,
    message: str | None = None,
    *,
    code: str | None = None,
    retry_after: str | None = None,
) -> Fault:
    headers = None if retry_after is None else {"Retry-After": retry_after}
    about = message or f"the proxy answers {status}"
    answer = refusal(status, message, code=code, headers=headers)
    return Fault(stage, _raise(answer), about)


def _send(stage: Stage, response: Response, about: str) -> Fault:
    return Fault(stage, _raise(RefusedError(response)), about)


def _node(status: int) -> Fault:
    return Fault("open", _raise(NodeError(status)), f"the node answers {status}")


def _redirect(stage: Stage) -> Fault:
    to = {"Location": "http://127.0.0.1:9/elsewhere"}
    return _send(stage, Response(status_code=307, headers=to), "a redirect")


def _html(stage: Stage) -> Fault:
    page = HTMLResponse("<html><h1>502 Bad Gateway</h1></html>", status_code=502)
    return _send(stage, page, "a gateway's HTML page")


def _lock_key(key: str | Callable[[Call], str], about: str) -> Fault:
    def apply(reply: dict[str, Any], call: Call) -> dict[str, Any]:
        return reply | {"public_key": key if isinstance(key, str) else key(call)}

    return Fault("lock-reply", apply, about)


def _field(name: str, value: Callable[[dict[str, Any]], Any], about: str) -> Fault:
    return Fault("sealed", lambda reply, _: reply | {name: value(reply)}, about)


def _without(name: str) -> Fault:
    def apply(reply: dict[str, Any], _: Call) -> dict[str, Any]:
        return {key: value for key, value in reply.items() if key != name}

    return Fault("sealed", apply, f"the reply lacks {name}")


def _reflect(reply: dict[str, Any], call: Call) -> dict[str, Any]:
    sent = call.envelope
    return reply | {
        "nonce": sent["nonce"],
        "ciphertext": sent["ciphertext"],
        "response_hash": sent["plaintext_body_hash"],
    }


def _rotate(_value: Any, call: Call) -> None:
    call.node.rotate()


def _unindexed(_value: Any, call: Call) -> None:
    if "x-tx-digest" not in call.headers:
        raise NodeError(400)


def _gzip(response: Response, _: Call) -> Response:
    if not response.body:  # a stream, which is compressed by nobody
        return response
    body, kind = gzip.compress(bytes(response.body)), response.media_type
    return Response(body, headers={"Content-Encoding": "gzip"}, media_type=kind)


def _answer(edit: Callable[[dict[str, Any]], dict[str, Any]], about: str) -> Fault:
    return Fault("answer", lambda answer, _: edit(answer), about)


def _data(edit: Callable[[list[Any]], list[Any]], about: str) -> Fault:
    return Fault("answer", lambda answer, _: break_embeddings(answer, edit), about)


def _vectors(edit: Callable[[list[float]], list[float]], about: str) -> Fault:
    return Fault("answer", lambda answer, _: change_vectors(answer, edit), about)


def _frames(edit: Callable[[Frames], Frames], about: str) -> Fault:
    return Fault("frames", lambda frames, _: edit(frames), about)


def _chunks(edit: Callable[[list[Any]], list[Any]], about: str) -> Fault:
    return Fault("chunks", lambda chunks, _: edit(chunks), about)


def _resplit(frames: Frames, size: int) -> Frames:
    body = b"".join(frame for frame in frames if isinstance(frame, bytes))
    return [body[start : start + size] for start in range(0, len(body), size)]


def _event(payload: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(payload).encode() + b"\n\n"


def _bad_signature(reply: dict[str, Any]) -> str:
    return flip_bit(str(reply["signature"]), at=1)


FAULTS: dict[str, Fault | Callable[[int], Fault]] = {
    # -- the lock ----------------------------------------------------------------
    "lock-400-concurrent": _refuse(
        "lock", 400, "Request error: Unsupported endpoint: /v1/nodes/lock"
    ),
    "lock-402": _refuse("lock", 402),
    "lock-429": _refuse("lock", 429),
    "lock-500": _refuse("lock", 500),
    "lock-500-no-key": _refuse("lock", 500, "Node public key not found"),
    "lock-502-html": _html("lock"),
    "lock-503": _refuse("lock", 503),
    "lock-503-retry-after": lambda seconds: _refuse(
        "lock", 503, retry_after=str(seconds)
    ),
    "lock-307": _redirect("lock"),
    "lock-key-short": _lock_key(to_base64(bytes(31)), "a key of 31 bytes"),
    "lock-key-zero": _lock_key(to_base64(bytes(32)), "the all-zero key"),
    "lock-key-low-order": _lock_key(
        to_base64(bytes.fromhex(ORDER_8_POINT)), "a key of order 8"
    ),
    "lock-key-urlsafe": _lock_key(
        to_base64(b"\xff" * 32).replace("/", "_"), "the key in the other base64"
    ),
    "lock-key-stale": _lock_key(
        lambda call: to_base64(call.node.former_public_key),
        "the proxy has not seen the rotation",
    ),
    "lock-key-substituted": _lock_key(
        lambda _: to_base64(secrets.token_bytes(32)), "the key of a man in the middle"
    ),
    "lock-no-stack-id": Fault(
        "lock-reply",
        lambda reply, _: reply | {"stack_small_id": None},
        "the stack's id is null",
    ),
    # -- the request -------------------------------------------------------------
    "post-400": _refuse("post", 400),
    "post-400-context": _refuse("post", 400, CONTEXT_TOO_LONG),
    "post-400-fiat": _refuse(
        "post",
        400,
        "Only fiat payments are supported",
        code="FIAT_PAYMENTS_ONLY",
    ),
    "post-401": _refuse("post", 401),
    "post-402": _refuse("post", 402),
    "post-403": _refuse("post", 403, "Forbidden", code="FORBIDDEN"),
    "post-404": _refuse("post", 404),
    "post-413": _send(
        "post",
        PlainTextResponse("length limit exceeded", status_code=413),
        "the body is larger than the proxy takes",
    ),
    "post-423": _node(423),
    "post-425": _refuse("post", 425),
    "post-429": _refuse("post", 429),
    "post-429-retry-after": lambda seconds: _refuse(
        "post", 429, retry_after=str(seconds)
    ),
    "post-500": _refuse("post", 500),
    "post-500-bad-request": _node(400),
    "post-500-node": _node(500),
    "post-501": _refuse("post", 501, "Not implemented", code="NOT_IMPLEMENTED"),
    "post-502-html": _html("post"),
    "post-503": _refuse("post", 503),
    "post-307": _redirect("post"),
    "post-silent": Fault("response", lambda *_: SilentReply(), "no answer ever comes"),
    "post-cut": Fault(
        "response",
        lambda response, _: CutReply(response),
        "the connection breaks within the answer",
    ),
    "stack-unindexed": Fault(
        "open", _unindexed, "the node needs X-Tx-Digest to know the stack"
    ),
    "key-rotated-before-open": Fault(
        "open", _rotate, "the node restarted after the lock"
    ),
    "key-rotated-before-seal": Fault(
        "seal", _rotate, "the node restarted while the engine worked"
    ),
    # -- the sealed reply --------------------------------------------------------
    "hash-wrong": _field(
        "response_hash",
        lambda _: to_base64(secrets.token_bytes(32)),
        "the hash is of something else",
    ),
    "hash-missing": _without("response_hash"),
    "signature-wrong": _field("signature", _bad_signature, "the signature is off"),
    "signature-missing": _without("signature"),
    "nonce-missing": _without("nonce"),
    "nonce-short": _field("nonce", lambda _: to_base64(bytes(8)), "8-byte nonce"),
    "ciphertext-missing": _without("ciphertext"),
    "tag-tampered": _field(
        "ciphertext", lambda reply: flip_bit(reply["ciphertext"], at=-1), "one bit"
    ),
    "base64-urlsafe": _field(
        "ciphertext",
        lambda reply: reply["ciphertext"].replace("+", "-").replace("/", "_"),
        "the other base64",
    ),
    "reflection": Fault("sealed", _reflect, "the request comes back as the reply"),
    "usage-forged": _field("usage", lambda _: {"total_tokens": 10**6}, "clear usage"),
    "reply-clear": Fault(
        "sealed", _raise(ClearReply()), "the answer comes in clear inside a 200"
    ),
    "reply-gzip": Fault("response", _gzip, "the body is compressed"),
    "reply-html": Fault(
        "response", lambda *_: HTMLResponse("<html>ok</html>"), "HTML inside a 200"
    ),
    "reply-not-json": Fault(
        "response",
        lambda *_: Response(b'{"nonce":', media_type="application/json"),
        "half a JSON object inside a 200",
    ),
    # -- the engine --------------------------------------------------------------
    "engine-error-object": _answer(lambda _: dict(ENGINE_ERROR), "an error, sealed"),
    "answer-no-choices": _answer(lambda a: a | {"choices": []}, "no choices"),
    "answer-not-an-answer": _answer(lambda _: {"hello": 1}, "another JSON object"),
    "embeddings-reversed": _data(lambda data: data[::-1], "the last one first"),
    "embeddings-missing": _data(lambda data: data[:-1], "one vector too few"),
    "embeddings-extra": _data(lambda data: [*data, data[-1]], "one index twice"),
    "embeddings-duplicate": _data(
        lambda data: [*data[:-1], data[-1] | {"index": 0}], "one index for another"
    ),
    "embeddings-no-index": _data(
        lambda data: [{k: v for k, v in d.items() if k != "index"} for d in data],
        "no index at all",
    ),
    "embeddings-short": _vectors(lambda vector: vector[:-1], "a dimension less"),
    "embeddings-nan": _vectors(lambda vector: [math.nan, *vector[1:]], "a NaN"),
    # -- the stream --------------------------------------------------------------
    "nonces-reused": Fault("nonces", lambda *_: "reused", "one nonce for a stream"),
    "nonces-fresh": Fault("nonces", lambda *_: "fresh", "a nonce for each event"),
    "stream-empty": _frames(lambda _: [], "a clean end before the first event"),
    "stream-truncated": lambda k: _frames(
        lambda f: f[:k], "a clean end after k events"
    ),
    "stream-cut": lambda k: _frames(
        lambda f: [*f[:k], Mark.CUT], "the connection breaks after k events"
    ),
    "stream-dropped": lambda k: _frames(
        lambda f: f[:k] + f[k + 1 :], "event k is missing"
    ),
    "stream-duplicated": lambda k: _frames(
        lambda f: f[: k + 1] + f[k:], "event k comes twice"
    ),
    "stream-reordered": lambda k: _frames(
        lambda f: [*f[:k], *f[k : k + 2][::-1], *f[k + 2 :]], "k and k+1 swapped"
    ),
    "stream-clear-event": lambda k: _frames(
        lambda f: [*f[:k], _event(CLEAR_CHUNK), *f[k:]], "a clear event before k"
    ),
    "stream-garbage": lambda k: _frames(
        lambda f: [*f[:k], b"data: {\n\n", *f[k:]], "half a JSON object before k"
    ),
    "stream-coalesced": _frames(
        lambda f: _resplit(f, 1 << 30), "all events in one frame"
    ),
    "stream-resplit": lambda k: _frames(
        lambda f: _resplit(f, k), "frames of k bytes, whatever they tear apart"
    ),
    "stream-done": _frames(lambda f: [*f, b"data: [DONE]\n\n"], "[DONE] at the end"),
    "stream-stalled": lambda k: _frames(
        lambda f: [*f[:k], Mark.STALL], "only keep-alives after k events"
    ),
    "stream-silent": lambda k: _frames(
        lambda f: [*f[:k], Mark.SILENCE], "not a byte after k events"
    ),
    "stream-engine-error": lambda k: _chunks(
        lambda chunks: [*chunks[:k], dict(ENGINE_ERROR)], "the engine fails at k"
    ),
    "stream-no-finish": _chunks(
        lambda chunks: [
            chunk
            for chunk in chunks
            if not any(c.get("finish_reason") for c in chunk["choices"])
        ],
        "no choice ever finishes",
    ),
    "stream-two-ids": lambda k: _chunks(
        lambda chunks: [
            chunk | {"id": "chatcmpl-other"} if n >= k else chunk
            for n, chunk in enumerate(chunks)
        ],
        "another id from k on",
    ),
}

_DEFAULT_NUMBER = 1


def find_fault(name: str) -> Fault:
    """Look a fault up by `name` or `name:number`.

    Raises:
        KeyError: the table has no such row.
    """
    row, _, number = name.partition(":")
    found = FAULTS[row]
    if not isinstance(found, Fault):
        found = found(int(number or _DEFAULT_NUMBER))
    return replace(found, name=name)
