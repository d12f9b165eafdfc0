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
    change_all_vectors,
    change_vectors,
    flip_bit,
)
from ._fault_rows import html_page, raising, redirect, refuse, send, text_refusal
from ._lock_faults import LOCK_FAULTS
from ._refusals import refusal
from ._stream_faults import ENGINE_ERROR, STREAM_FAULTS, nested
from .faults import Call, Fault
from .node import NodeError, to_base64
from .streaming import EventStream

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FAULTS", "find_fault"]

CONTEXT_TOO_LONG = (
    "Request error: This model's maximum context length is 8192 tokens. However, "
    "you requested 9000 tokens. Please reduce the length of the messages."
)


def _in_place(body: bytes, about: str) -> Fault:
    reply = Response(body, media_type="application/json")
    return Fault("response", lambda *_: reply, about)


def _node(status: int, about: str) -> Fault:
    return Fault("open", raising(NodeError(status)), f"{status} of the node: {about}")


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
    if isinstance(response, EventStream):  # its events are not yet sealed
        response.on_end(call.node.rotate)
    else:
        call.node.rotate()
    return response


def _shorter(name: str) -> Callable[[dict[str, Any]], str]:
    return lambda reply: to_base64(b64decode(reply[name])[: len(reply[name]) // 3])


def _unindexed(_value: Any, call: Call) -> None:
    if "x-tx-digest" not in call.headers:
        raise NodeError(400)


def _unreachable(_value: Any, call: Call) -> None:
    # Chat and completions have a status of their own for it (protocol 8.3).
    if call.path.endswith("/embeddings"):
        raise refusal(500, "Failed to connect to the node")
    raise refusal(429)


def _halved(vector: list[float]) -> list[float]:
    return vector[: len(vector) // 2]


def _gzip(response: Response, _: Call) -> Response:
    if not response.body:  # a stream, which is compressed by nobody
        return response
    body, kind = gzip.compress(bytes(response.body)), response.media_type
    return Response(body, headers={"Content-Encoding": "gzip"}, media_type=kind)


def _swollen(response: Response, mebibytes: int) -> Response:
    body = bytes(response.body) + b" " * (mebibytes << 20)
    return Response(body, media_type="application/json")


def _answer(edit: Callable[[dict[str, Any]], dict[str, Any]], about: str) -> Fault:
    return Fault("answer", lambda answer, _: edit(answer), about)


def _data(edit: Callable[[list[Any]], list[Any]], about: str) -> Fault:
    return Fault("answer", lambda answer, _: break_embeddings(answer, edit), about)


def _vectors(edit: Callable[[list[float]], list[float]], about: str) -> Fault:
    return Fault("answer", lambda answer, _: change_vectors(answer, edit), about)


def _bad_signature(reply: dict[str, Any]) -> str:
    return flip_bit(str(reply["signature"]), at=1)


FAULTS: dict[str, Fault | Callable[[int], Fault]] = {
    **LOCK_FAULTS,
    # -- the request -------------------------------------------------------------
    "post-400": refuse("post", 400, "the request is refused"),
    "post-400-text": text_refusal("post", 400, "the body is not understood"),
    "post-400-context": refuse(
        "post", 400, "the input is longer than the model takes", text=CONTEXT_TOO_LONG
    ),
    "post-400-fiat": refuse(
        "post",
        400,
        "the account can only pay in fiat",
        text="Only fiat payments are supported",
        code="FIAT_PAYMENTS_ONLY",
    ),
    "post-400-concurrent": refuse(
        "post",
        400,
        "another request is buying a stack, at a plain endpoint",
        text="Request error: Many concurrent requests, a stack is being bought",
    ),
    "post-401": refuse("post", 401, "the token is not known"),
    "post-402": refuse("post", 402, "the balance is too low"),
    "post-403": refuse(
        "post", 403, "the token may not do this", text="Forbidden", code="FORBIDDEN"
    ),
    "post-404": refuse("post", 404, "there is no such endpoint"),
    "post-405": send("post", Response(status_code=405), "405: the route takes no POST"),
    "post-413": send(
        "post",
        PlainTextResponse("length limit exceeded", status_code=413),
        "413: the body is larger than the proxy takes",
    ),
    "post-415": text_refusal("post", 415, "no JSON was sent"),
    "post-422": text_refusal("post", 422, "a field of the envelope is refused"),
    "post-423": _node(423, "the node has shut the stack"),
    "post-425": refuse("post", 425, "the lock expired, or another request used it"),
    "post-429": refuse("post", 429, "too many requests"),
    "post-429-retry-after": lambda seconds: refuse(
        "post",
        429,
        "too many requests, with N seconds to wait",
        retry_after=str(seconds),
    ),
    "post-429-retry-date": lambda seconds: refuse(
        "post",
        429,
        "too many requests, with a date in N seconds",
        retry_after=formatdate(time.time() + seconds, usegmt=True),
        date=formatdate(time.time(), usegmt=True),
    ),
    "post-429-retry-garbage": refuse(
        "post",
        429,
        "too many requests, and a wait that is none",
        retry_after="soon",
    ),
    "post-500": refuse("post", 500, "the proxy fails"),
    "post-500-bad-request": _node(400, "the node does not understand the request"),
    "post-500-node": _node(500, "the node fails"),
    "post-500-node-status": _node(502, "a status that the proxy does not pass on"),
    "post-500-invalid": refuse(
        "post",
        500,
        "the node's answer has no valid signature",
        text="Invalid response from inference service",
    ),
    "post-unreachable": Fault(
        "post", _unreachable, "the proxy does not reach the node: 429, or 500"
    ),
    "post-501": refuse(
        "post", 501, "not implemented", text="Not implemented", code="NOT_IMPLEMENTED"
    ),
    "post-502-html": html_page("post"),
    "post-503": refuse("post", 503, "the node is away"),
    "post-307": redirect("post"),
    "post-silent": Fault("response", lambda *_: SilentReply(), "no answer ever comes"),
    "post-cut": Fault(
        "response",
        lambda response, _: CutReply(response),
        "the connection is closed in the middle of the answer",
    ),
    "stack-unindexed": Fault(
        "open", _unindexed, "the node knows the stack only by X-Tx-Digest"
    ),
    "stack-unknown": _node(400, "the node does not know a stack, even by its digest"),
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
        "sealed", raising(ClearReply()), "the answer comes in clear inside a 200"
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
    "reply-huge": lambda mebibytes: Fault(
        "response",
        lambda response, _: _swollen(response, mebibytes),
        "N MiB of blanks after the answer, which would still be one",
    ),
    # -- the engine --------------------------------------------------------------
    "engine-error-object": _answer(
        lambda _: dict(ENGINE_ERROR), "the engine's error, sealed inside a 200"
    ),
    "answer-deep": lambda levels: _answer(
        lambda answer: answer | {"nested": nested(levels)},
        "a sealed answer with a field of N levels",
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
    "embeddings-dimensions": _answer(
        lambda answer: change_all_vectors(answer, _halved),
        "every vector has half of the dimensions",
    ),
    "embeddings-none": _data(lambda _: [], "no vector at all"),
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
