"""The table of faults: a name, the stage it hits, what it does there."""

from __future__ import annotations

import gzip
import math
import secrets
import time
from base64 import b64decode
from dataclasses import replace
from email.utils import formatdate
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
from ._stream_faults import ENGINE_ERROR, STREAM_FAULTS
from .faults import Call, Fault, Stage
from .node import NodeError, to_base64

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FAULTS", "find_fault"]

ORDER_8_POINT = "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"
CONTEXT_TOO_LONG = (
    "Request error: This model's maximum context length is 8192 tokens. However, "
    "you requested 9000 tokens. Please reduce the length of the messages."
)


def _raise(error: Exception) -> Callable[[Any, Call], Any]:
    def apply(_value: Any, _call: Call) -> Any:
        # One row serves many requests: without this its traceback would grow.
        raise error.with_traceback(None)

    return apply


def _refuse(
    stage: Stage,
    status: int,
    about: str,
    *,
    text: str | None = None,
    code: str | None = None,
    retry_after: str | None = None,
) -> Fault:
    headers = None if retry_after is None else {"Retry-After": retry_after}
    answer = refusal(status, text, code=code, headers=headers)
    return Fault(stage, _raise(answer), f"{status}: {about}")


def _send(stage: Stage, response: Response, about: str) -> Fault:
    return Fault(stage, _raise(RefusedError(response)), about)


def _in_place(body: bytes, about: str) -> Fault:
    reply = Response(body, media_type="application/json")
    return Fault("response", lambda *_: reply, about)


def _node(status: int, about: str) -> Fault:
    return Fault("open", _raise(NodeError(status)), f"{status} of the node: {about}")


def _redirect(stage: Stage) -> Fault:
    to = {"Location": "http://127.0.0.1:9/elsewhere"}
    return _send(stage, Response(status_code=307, headers=to), "307: a redirect")


def _html(stage: Stage) -> Fault:
    page = HTMLResponse("<html><h1>502 Bad Gateway</h1></html>", status_code=502)
    return _send(stage, page, "502: a gateway's HTML page")


def _lock_key(key: str | Callable[[Call], str], about: str) -> Fault:
    def apply(reply: dict[str, Any], call: Call) -> dict[str, Any]:
        return reply | {"public_key": key if isinstance(key, str) else key(call)}

    return Fault("lock-reply", apply, about)


def _field(name: str, value: Callable[[dict[str, Any]], Any], about: str) -> Fault:
    return Fault("sealed", lambda reply, _: reply | {name: value(reply)}, about)


def _without(name: str) -> Fault:
    def apply(reply: dict[str, Any], _: Call) -> dict[str, Any]:
        return {key: value for key, value in reply.items() if key != name}

    return Fault("sealed", apply, f"the reply has no {name}")


def _reflect(reply: dict[str, Any], call: Call) -> dict[str, Any]:
    sent = call.envelope
    return reply | {
        "nonce": sent["nonce"],
        "ciphertext": sent["ciphertext"],
        "response_hash": sent["plaintext_body_hash"],
    }


def _rotate(_value: Any, call: Call) -> None:
    call.node.rotate()


def _rotate_after(response: Response, call: Call) -> Response:
    call.node.rotate()
    return response


def _shorter(name: str) -> Callable[[dict[str, Any]], str]:
    return lambda reply: to_base64(b64decode(reply[name])[: len(reply[name]) // 3])


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


def _bad_signature(reply: dict[str, Any]) -> str:
    return flip_bit(str(reply["signature"]), at=1)


FAULTS: dict[str, Fault | Callable[[int], Fault]] = {
    # -- the lock ----------------------------------------------------------------
    "lock-400-concurrent": _refuse(
        "lock",
        400,
        "another request is buying a stack",
        text="Request error: Unsupported endpoint: /v1/nodes/lock",
    ),
    "lock-401": _refuse("lock", 401, "the token is not known"),
    "lock-402": _refuse("lock", 402, "the balance is too low for a stack"),
    "lock-429": _refuse("lock", 429, "too many locks at a time"),
    "lock-429-retry-after": lambda seconds: _refuse(
        "lock",
        429,
        "too many locks at a time, with N seconds to wait",
        retry_after=str(seconds),
    ),
    "lock-500": _refuse("lock", 500, "the proxy fails"),
    "lock-500-no-key": _refuse(
        "lock",
        500,
        "a stack was bought on a node without a key",
        text="Node public key not found",
    ),
    "lock-502-html": _html("lock"),
    "lock-503": _refuse("lock", 503, "no node serves the model"),
    "lock-503-retry-after": lambda seconds: _refuse(
        "lock",
        503,
        "no node serves the model, with N seconds to wait",
        retry_after=str(seconds),
    ),
    "lock-307": _redirect("lock"),
    "lock-key-short": _lock_key(to_base64(bytes(31)), "the node's key has 31 bytes"),
    "lock-key-long": _lock_key(to_base64(bytes(33)), "the node's key has 33 bytes"),
    "lock-key-zero": _lock_key(to_base64(bytes(32)), "the node's key is all zeros"),
    "lock-key-low-order": _lock_key(
        to_base64(bytes.fromhex(ORDER_8_POINT)), "the node's key is of order 8"
    ),
    "lock-key-urlsafe": _lock_key(
        to_base64(b"\xff" * 32).replace("/", "_"), "the node's key in URL-safe base64"
    ),
    "lock-key-stale": _lock_key(
        lambda call: to_base64(call.node.former_public_key),
        "the key that the node had before it was rotated",
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
    "post-400": _refuse("post", 400, "the request is refused"),
    "post-400-context": _refuse(
        "post", 400, "the input is longer than the model takes", text=CONTEXT_TOO_LONG
    ),
    "post-400-fiat": _refuse(
        "post",
        400,
        "the account can only pay in fiat",
        text="Only fiat payments are supported",
        code="FIAT_PAYMENTS_ONLY",
    ),
    "post-401": _refuse("post", 401, "the token is not known"),
    "post-402": _refuse("post", 402, "the balance is too low"),
    "post-403": _refuse(
        "post", 403, "the token may not do this", text="Forbidden", code="FORBIDDEN"
    ),
    "post-404": _refuse("post", 404, "there is no such endpoint"),
    "post-413": _send(
        "post",
        PlainTextResponse("length limit exceeded", status_code=413),
        "413: the body is larger than the proxy takes",
    ),
    "post-423": _node(423, "the node has shut the stack"),
    "post-425": _refuse("post", 425, "the lock expired, or another request used it"),
    "post-429": _refuse("post", 429, "too many requests"),
    "post-429-retry-after": lambda seconds: _refuse(
        "post",
        429,
        "too many requests, with N seconds to wait",
        retry_after=str(seconds),
    ),
    "post-429-retry-date": lambda seconds: _refuse(
        "post",
        429,
        "too many requests, with a date in N seconds",
        retry_after=formatdate(time.time() + seconds, usegmt=True),
    ),
    "post-500": _refuse("post", 500, "the proxy fails"),
    "post-500-bad-request": _node(400, "the node does not understand the request"),
    "post-500-node": _node(500, "the node fails"),
    "post-501": _refuse(
        "post", 501, "not implemented", text="Not implemented", code="NOT_IMPLEMENTED"
    ),
    "post-502-html": _html("post"),
    "post-503": _refuse("post", 503, "the node is away"),
    "post-307": _redirect("post"),
    "post-silent": Fault("response", lambda *_: SilentReply(), "no answer ever comes"),
    "post-cut": Fault(
        "response",
        lambda response, _: CutReply(response),
        "the connection is closed in the middle of the answer",
    ),
    "stack-unindexed": Fault(
        "open", _unindexed, "the node knows the stack only by X-Tx-Digest"
    ),
    "key-rotated-before-open": Fault(
        "open", _rotate, "the node restarted after the lock, with a new key"
    ),
    "key-rotated-before-seal": Fault(
        "seal", _rotate, "the node changed its key while the engine worked"
    ),
    "key-rotated-after": Fault(
        "response", _rotate_after, "the node changes its key after the answer"
    ),
    # -- the sealed reply --------------------------------------------------------
    "hash-wrong": _field(
        "response_hash",
        lambda _: to_base64(secrets.token_bytes(32)),
        "the hash is of something else",
    ),
    "hash-short": _field("response_hash", _shorter("response_hash"), "half a hash"),
    "hash-missing": _without("response_hash"),
    "signature-wrong": _field(
        "signature", _bad_signature, "the signature does not verify"
    ),
    "signature-short": _field("signature", _shorter("signature"), "half a signature"),
    "signature-missing": _without("signature"),
    "nonce-wrong": _field(
        "nonce", lambda _: to_base64(secrets.token_bytes(12)), "another nonce"
    ),
    "nonce-short": _field("nonce", lambda _: to_base64(bytes(8)), "a nonce of 8 bytes"),
    "nonce-missing": _without("nonce"),
    "ciphertext-missing": _without("ciphertext"),
    "tag-tampered": _field(
        "ciphertext",
        lambda reply: flip_bit(reply["ciphertext"], at=-1),
        "one bit of the ciphertext's tag is flipped",
    ),
    "base64-urlsafe": _field(
        "ciphertext",
        lambda reply: reply["ciphertext"].replace("+", "-").replace("/", "_"),
        "the ciphertext in URL-safe base64",
    ),
    "reflection": Fault("sealed", _reflect, "the request comes back as the reply"),
    "usage-forged": _field(
        "usage", lambda _: {"total_tokens": 10**6}, "a usage in clear that is untrue"
    ),
    "reply-clear": Fault(
        "sealed", _raise(ClearReply()), "the answer comes in clear inside a 200"
    ),
    "reply-error": _in_place(
        b'{"error":{"code":"ERROR","message":"no"}}', "an error in clear inside a 200"
    ),
    "reply-gzip": Fault("response", _gzip, "the body is compressed"),
    "reply-html": Fault(
        "response", lambda *_: HTMLResponse("<html>ok</html>"), "HTML inside a 200"
    ),
    "reply-not-json": _in_place(b'{"nonce":', "half a JSON object inside a 200"),
    "reply-deep": lambda levels: _in_place(
        b'{"nonce":' + b"[" * levels + b"]" * levels + b"}", "JSON of N levels"
    ),
    "reply-huge": lambda mebibytes: _in_place(
        b" " * (mebibytes << 20), "a body of N MiB inside a 200"
    ),
    # -- the engine --------------------------------------------------------------
    "engine-error-object": _answer(
        lambda _: dict(ENGINE_ERROR), "the engine's error, sealed inside a 200"
    ),
    "answer-no-choices": _answer(
        lambda a: a | {"choices": []}, "an answer without choices"
    ),
    "answer-not-an-answer": _answer(
        lambda _: {"hello": 1}, "a JSON object that is no answer"
    ),
    "embeddings-reversed": _data(lambda data: data[::-1], "the last vector first"),
    "embeddings-missing": _data(lambda data: data[:-1], "one vector too few"),
    "embeddings-extra": _data(
        lambda data: [*data, data[-1]], "one vector too many, with an index twice"
    ),
    "embeddings-duplicate": _data(
        lambda data: [*data[:-1], data[-1] | {"index": 0}],
        "the last vector has the index of the first",
    ),
    "embeddings-no-index": _data(
        lambda data: [{k: v for k, v in d.items() if k != "index"} for d in data],
        "vectors without an index",
    ),
    "embeddings-short": _vectors(
        lambda vector: vector[:-1], "the last vector has a dimension less"
    ),
    "embeddings-nan": _vectors(
        lambda vector: [math.nan, *vector[1:]], "the last vector has a NaN"
    ),
    "embeddings-infinite": _vectors(
        lambda vector: [math.inf, *vector[1:]], "the last vector has an infinity"
    ),
    **STREAM_FAULTS,
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
