"""One request that must succeed, and attempts repeated while that is safe."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from . import _wire
from ._session import Flow, Reply, Send, Session, Sleep
from ._wire import Lease, status_error
from .errors import ConfidentialError, Exposure, RemoteProtocolError, greater
from .retry import Budget

__all__ = ["LOCK_SECONDS", "lock_of", "repeated", "succeed"]

LOCK_SECONDS = 60
"""How long a node stays reserved; the default of 5 is too short to seal and send."""

T = TypeVar("T")


def repeated(
    session: Session,
    attempt: Callable[[], Flow[T]],
    left: Callable[[], Exposure] = lambda: Exposure.NOTHING,
) -> Flow[T]:
    """Make attempts until one succeeds, or none is due any more.

    Args:
        session: Whose retry policy holds.
        attempt: Makes one, with keys of its own.
        left: What all attempts so far have let out.

    Raises:
        ConfidentialError: Of the last attempt, with the most that any has let out.
    """
    budget = Budget(session.retry)
    while True:
        try:
            return (yield from attempt())
        except ConfidentialError as error:
            delay = budget.delay(error)  # by what this attempt has let out
            error.exposure = greater(error.exposure, left())
            if delay is None:
                raise
            cause = type(error).__name__
        yield Sleep(delay, cause)


def lock_of(
    session: Session, model: str, *, units: int, before: Exposure = Exposure.NOTHING
) -> Send:
    """Return the request for a lock; `before` it, so much had left the process."""
    return Send(
        "POST",
        _wire.LOCK_PATH,
        session.headers(),
        _wire.lock_body(model, units=units, seconds=LOCK_SECONDS),
        before=before,
        exposure=Exposure.LOCK,  # by itself; `repeated` adds what left before
        wait="lock",
    )


def succeed(send: Send, lease: Lease | None = None) -> Flow[Reply]:
    """Make a request and insist on a 200.

    Raises:
        StatusError: The answer has another status.
        RemoteProtocolError: It is encoded, which nobody has asked for.
    """
    reply = yield send
    if not isinstance(reply, Reply):
        raise TypeError("A Send is resumed with its Reply.")
    if reply.status != 200:  # noqa: PLR2004
        raise status_error(
            reply.status,
            reply.headers,
            reply.body,
            exposure=send.exposure,
            purchased=lease is not None and lease.purchase is not None,
        )
    # Ciphertext does not shrink, but a few bytes could swell.
    if reply.headers.get("content-encoding", "identity") != "identity":
        raise RemoteProtocolError("The answer is compressed.", send.exposure)
    return reply
