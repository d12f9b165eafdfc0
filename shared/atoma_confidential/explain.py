"""Who would see what of a call, taken from the call itself.

The exchange is rehearsed: it runs against a lock answer made up here, with a key nobody
holds, and what it would send is taken apart instead of being sent. So a field that
crosses in clear cannot be left out of the account.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, cast

from . import _wire
from ._flow import exchange, exchange_stream
from ._json import dump
from ._request import Request
from ._session import Alone, Aside, Flow, Reply, Send, Session
from .attestation import TrustPolicy

__all__ = ["RANDOM", "Crossing", "Explanation", "explain"]

RANDOM = "random"
"""Stands for a value that is drawn for each request, or a digest of such values."""
_FIRST_OF_A_NODE = "a fixed, harmless probe, once for each node key"


@dataclass(frozen=True, slots=True)
class Crossing:
    """One request, as the proxy sees it.

    Attributes:
        purpose: What it is for.
        method: Its HTTP method.
        path: Its path.
        headers: Its header fields; the node's operator gets them all but the token.
        clear: All fields of its body that cross readably, with their values or, where
            those are secret or say nothing, what they are.
        sealed: The fields that cross only inside the ciphertext.
        sealed_bytes: Bytes of ciphertext; they show the padded length.
    """

    purpose: str
    method: str
    path: str
    headers: Mapping[str, str]
    clear: Mapping[str, str]
    sealed: tuple[str, ...] = ()
    sealed_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Explanation:
    """Who sees what of one call.

    Attributes:
        crossings: The requests, in their order.
        answer_clear: The fields of an answer that cross readably.
        policy: Name of the policy that would have to accept the node's key.
        asked: Whom that policy would ask about it, and what they would learn.
        proxy: What the proxy, and whoever controls it, sees or can find out.
        node: What the node that serves the request sees.
        network: What the network between them sees.
    """

    crossings: tuple[Crossing, ...]
    answer_clear: tuple[str, ...]
    policy: str
    asked: tuple[str, ...]
    proxy: tuple[str, ...]
    node: tuple[str, ...]
    network: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain values, for JSON."""
        return asdict(self)


def explain(session: Session, request: Request, *, stream: bool = False) -> Explanation:
    """Return who would see what of a request; nothing is sent.

    Args:
        session: The client's own.
        request: What would be asked.
        stream: Whether the answer would be streamed.

    Raises:
        InvalidInputError: The request would be refused.
    """
    content = tuple(request.body)
    sends = _rehearsed(session, request, stream=stream)
    return Explanation(
        tuple(_crossing(send, content) for send in sends),
        _wire.CLEAR_REPLY_FIELDS if session.confidential else ("everything",),
        session.trust.name if session.confidential else "none",
        session.trust.asks if session.confidential else (),
        **(_SEALED if session.confidential else _PLAIN),
    )


_SEALED = {
    "proxy": (
        "your API token and network address, and the time of each request",
        "every field in clear listed here, and the size of everything sealed",
        "which node serves the request, and its token counts (usage)",
        "of a live stream: size and time of each piece",
        "everything, if it hands out a key of its own and the policy lets it",
    ),
    "node": (
        "the whole request and answer",
        "the header fields, but not your API token",
        "an id of your account, which the proxy adds",
        "its published software logs the bodies of embedding requests",
    ),
    "network": ("TLS connections to the proxy, with their times and sizes",),
}
_PLAIN = {
    "proxy": ("everything",),
    "node": ("everything but your API token",),
    "network": ("TLS connections to the proxy, with their times and sizes",),
}


def _rehearsed(session: Session, request: Request, *, stream: bool) -> list[Send]:
    """Return what an exchange would send, up to the request itself."""
    key = os.urandom(32)
    nobody = replace(
        session,
        trust=TrustPolicy.proxy_asserted(),
        nonces={},
        probing=set(),
        locked=set(),
        warned=set(),
        ahead={},
        floors={},
    )

    def run() -> list[Send]:
        flow = exchange_stream(nobody, request) if stream else exchange(nobody, request)
        sends: list[Send] = []
        _take(flow, key, sends)
        return sends

    sends = run()
    if sends[-1].wait == "probe":
        nobody.nonces[key] = "fresh"  # as if the probe had shown it
        sends.append(run()[-1])
    return sends


def _take(flow: Flow[Any], key: bytes, sends: list[Send]) -> Any:
    """Take a flow's steps until it would send a request or a probe.

    Args:
        flow: Is told that the node has this key.
        key: Nobody's.
        sends: Where its requests are added.

    Returns:
        What the flow returns, where it ends before.
    """
    lock = {
        "public_key": base64.b64encode(key).decode(),
        "node_small_id": 0,
        "stack_small_id": 0,
    }
    result: Any = None
    try:
        while True:
            step = flow.send(result)
            if isinstance(step, Alone | Aside):
                result = _take(step.steps, key, sends)
                continue
            # A rehearsal asks a relay that never fails: there is nothing to wait for.
            send = cast("Send", step)
            sends.append(send)
            if send.path != _wire.LOCK_PATH:
                return None
            result = Reply(200, {}, dump(lock))
    except StopIteration as stop:
        return stop.value
    finally:
        flow.close()


def _crossing(send: Send, content: tuple[str, ...]) -> Crossing:
    body: dict[str, Any] = json.loads(send.body or b"{}")
    ciphertext = body.pop(_wire.CIPHERTEXT, None)
    sealed_bytes = len(base64.b64decode(ciphertext)) if ciphertext else 0
    return Crossing(
        purpose=_purpose(send, is_sealed=bool(ciphertext)),
        method=send.method,
        path=send.path,
        headers={**send.headers, "Authorization": "your API token"},
        clear={name: _shown(name, value) for name, value in body.items()},
        sealed=() if send.wait == "probe" or not ciphertext else content,
        sealed_bytes=sealed_bytes,
    )


def _purpose(send: Send, *, is_sealed: bool) -> str:
    if send.path == _wire.LOCK_PATH:
        return "reserves a node and asks for its key, before each request"
    if send.wait == "probe":
        return _FIRST_OF_A_NODE
    return "the request, sealed" if is_sealed else "the request, in clear"


def _shown(name: str, value: Any) -> str:
    if name in _wire.OPAQUE_FIELDS:
        return RANDOM
    if isinstance(value, Mapping | list):
        return "in clear"
    return str(value)
