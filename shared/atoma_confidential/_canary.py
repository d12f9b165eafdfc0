"""A harmless stream, to see how a node treats nonces before any content is streamed."""

from __future__ import annotations

from dataclasses import replace

from ._attempts import succeed
from ._reply import StreamOpener
from ._request import Request, chat_request
from ._session import Flow, Send, Session, Shown
from .envelope import Opener
from .errors import ConfidentialError

__all__ = ["canary_request", "send_canary"]

_MESSAGES = [{"role": "user", "content": "Count from one to four."}]
"""Fixed and harmless: it may travel in a stream whose text can be read on the way."""


def canary_request(model: str) -> Request:
    """Return the request for a short stream of several events."""
    return chat_request(
        _MESSAGES,
        model=model,
        parameters={"max_tokens": 4, "temperature": 0},
        extra_body=None,
        stream=True,
    )


def send_canary(session: Session, key: bytes, opener: Opener, send: Send) -> Flow[None]:
    """Send a sealed canary, and note in the session what the node has shown.

    One that fails says nothing, and the next request asks again.

    Args:
        session: Where it is noted.
        key: The node's public key.
        opener: Opens the canary's stream.
        send: The request, sealed.
    """
    stream = StreamOpener(opener, refuse_nonce_reuse=False)
    session.probing.add(key)
    try:
        reply = yield from succeed(replace(send, wait="probe"))
        for _ in stream.feed(reply.body):
            pass
        stream.finish()
    except ConfidentialError:
        if not stream.nonce_reused:
            return
    finally:
        session.probing.discard(key)
    session.note_nonces(key, _shown(stream))


def _shown(stream: StreamOpener) -> Shown:
    if stream.nonce_reused:
        return "reused"
    return "fresh" if stream.events > 1 else "unproven"
