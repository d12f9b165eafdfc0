"""The rows of the fault table that are about the lock."""

from __future__ import annotations

import gzip
import secrets
from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, Response

from ._fault_rows import html_page, redirect, refuse, send, text_refusal
from .faults import Call, Fault
from .node import to_base64

if TYPE_CHECKING:
    from collections.abc import Callable

    from .stacks import Stack

__all__ = ["LOCK_FAULTS"]

ORDER_8_POINT = "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"


def _lock_key(key: str | Callable[[Call], str], about: str) -> Fault:
    def apply(reply: dict[str, Any], call: Call) -> dict[str, Any]:
        return reply | {"public_key": key if isinstance(key, str) else key(call)}

    return Fault("lock-reply", apply, about)


def _in_place(body: bytes, about: str) -> Fault:
    return send("lock", Response(body, media_type="application/json"), about)


def _gzip() -> Fault:
    body, headers = gzip.compress(b"{}"), {"Content-Encoding": "gzip"}
    reply = Response(body, headers=headers, media_type="application/json")
    return send("lock", reply, "the lock's body is compressed")


def _expire(stack: Stack, _: Call) -> Stack:
    stack.expire_locks()
    return stack


def _steal(stack: Stack, _: Call) -> Stack:
    stack.locks.clear()
    return stack


LOCK_FAULTS: dict[str, Fault | Callable[[int], Fault]] = {
    # -- refused -----------------------------------------------------------------
    "lock-400": refuse("lock", 400, "the request for a lock is refused"),
    "lock-400-concurrent": refuse(
        "lock",
        400,
        "another request is buying a stack",
        text="Request error: Unsupported endpoint: /v1/nodes/lock",
    ),
    "lock-401": refuse("lock", 401, "the token is not known"),
    "lock-402": refuse("lock", 402, "the balance is too low for a stack"),
    "lock-429": refuse("lock", 429, "too many locks at a time"),
    "lock-429-retry-after": lambda seconds: refuse(
        "lock",
        429,
        "too many locks at a time, with N seconds to wait",
        retry_after=str(seconds),
    ),
    "lock-500": refuse("lock", 500, "the proxy fails"),
    "lock-500-no-key": refuse(
        "lock",
        500,
        "a stack was bought on a node without a key",
        text="Node public key not found",
    ),
    "lock-502-html": html_page("lock"),
    "lock-503": refuse("lock", 503, "no node serves the model"),
    "lock-503-retry-after": lambda seconds: refuse(
        "lock",
        503,
        "no node serves the model, with N seconds to wait",
        retry_after=str(seconds),
    ),
    "lock-307": redirect("lock"),
    "lock-404": send("lock", Response(status_code=404), "404: there is no such route"),
    "lock-422": text_refusal("lock", 422, "a field of the lock is refused"),
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
    # -- its answer --------------------------------------------------------------
    "lock-error": _in_place(
        b'{"error":{"code":"ERROR","message":"no"}}', "an error instead of a lock"
    ),
    "lock-html": send("lock", HTMLResponse("<html>ok</html>"), "HTML inside a 200"),
    "lock-not-json": _in_place(b'{"public_key":', "half a JSON object for a lock"),
    "lock-gzip": _gzip(),
    "lock-deep": lambda levels: _in_place(
        b'{"public_key":' + b"[" * levels + b"]" * levels + b"}",
        "a lock of JSON with N levels",
    ),
    "lock-huge": lambda mebibytes: _in_place(
        b" " * (mebibytes << 20), "a lock of N MiB"
    ),
    # -- its use -----------------------------------------------------------------
    "lock-expired": Fault("locks", _expire, "the lock runs out before it is used"),
    "lock-stolen": Fault("locks", _steal, "another request uses the lock up"),
}
