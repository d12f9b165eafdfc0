"""The lock for the next chat request, taken while one is being answered (ADR 12).

At most one waits for each model: whoever uses it has the next one taken. It is used by
a first attempt only, for a repetition wants a key that was handed out after it failed.
"""

from __future__ import annotations

from typing import cast

from . import _wire
from ._attempts import succeed
from ._request import Request
from ._session import Ahead, Alone, Aside, Flow, Send, Session
from ._units import MAX_UNITS
from .errors import ConfidentialError, Exposure, NodeKeyMissingError

__all__ = ["lock_of", "take_ahead", "taken_ahead"]

LOCK_SECONDS = 60
"""How long a node stays reserved; the default of 5 is too short to seal and send."""

USED_WITHIN = 45
"""Seconds for which a lock waits for its request; the rest is for sending that."""

GROWTH = 32_768
"""Compute units that a conversation may grow by from one request to the next."""


def lock_of(session: Session, model: str, *, units: int, before: Exposure) -> Send:
    """Return the request for a lock."""
    return Send(
        "POST",
        _wire.LOCK_PATH,
        session.headers(),
        _wire.lock_body(model, units=units, seconds=LOCK_SECONDS),
        before=before,
        exposure=Exposure.LOCK,  # by itself; `repeated` adds what left before
        wait="lock",
    )


def take_ahead(session: Session, request: Request) -> Flow[None]:
    """Have the lock for the request after this one taken, unless one is there.

    It is for more units than this one needs, up to twice as many: conversations grow.
    """
    if not _is_wanted(session, request):
        return
    units = min(request.units + min(request.units, GROWTH), MAX_UNITS)
    ahead = Ahead(units, until=session.now() + USED_WITHIN)
    if session.ahead.setdefault(request.model, ahead) is ahead:
        steps = _take(session, request.model, ahead)
        yield Aside(request.model, steps)


def taken_ahead(session: Session, request: Request) -> Flow[_wire.Lease | None]:
    """Return the lock that was taken for this request; None if none is of use.

    Raises:
        NodeKeyMissingError: To take it has bought a stack in vain, and to take another
            could do so again (protocol 4.5).
    """
    model = request.model
    if not _is_wanted(session, request) or model not in session.ahead:
        return None
    # One that is still under way is waited for: it may be buying a stack.
    steps = _pop(session, model)
    ahead = cast("Ahead | None", (yield Alone(_turn(model), steps)))
    if ahead is None or ahead.outcome is None or session.now() > ahead.until:
        return None
    if isinstance(ahead.outcome, ConfidentialError):
        raise ahead.outcome
    if ahead.units < request.units:
        return None
    return _wire.parse_lease(ahead.outcome, units=ahead.units)


def _is_wanted(session: Session, request: Request) -> bool:
    # An embedding request never gives back what its lock has too many (protocol 4.4).
    return session.lock_ahead and request.endpoint is _wire.Endpoint.CHAT


def _turn(model: str) -> str:
    return f"ahead {model}"


def _pop(session: Session, model: str) -> Flow[Ahead | None]:
    yield from ()
    return session.ahead.pop(model, None)


def _take(session: Session, model: str, ahead: Ahead) -> Flow[None]:
    send = lock_of(session, model, units=ahead.units, before=Exposure.NOTHING)
    yield Alone(_turn(model), _taken(session, model, ahead, send))


def _taken(session: Session, model: str, ahead: Ahead, send: Send) -> Flow[None]:
    try:
        reply = yield from succeed(send)
        ahead.outcome = reply.body
    except NodeKeyMissingError as error:
        ahead.outcome = error.with_traceback(None)
    except ConfidentialError:
        pass  # the next request takes its own, and says what is wrong
    finally:
        if ahead.outcome is None and session.ahead.get(model) is ahead:
            session.ahead.pop(model, None)
