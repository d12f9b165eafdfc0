"""The lock for the next chat request, taken while one is being answered (ADR 12).

At most one waits for each model: whoever uses it has the next one taken. It is used by
a first attempt only, for a repetition wants a key that was handed out after it failed.

A request uses up whichever lock of the account runs out first of those that are large
enough, and gives back what itself says (protocol 4.3, 4.4): units that a lock has more
are lost. So none is smaller here than one that waits, and sizes are few.
"""

from __future__ import annotations

from copy import copy

from . import _wire
from ._attempts import succeed
from ._request import Request
from ._session import Ahead, Alone, Aside, Flow, Send, Session
from .errors import Exposure, NodeKeyMissingError

__all__ = ["lock_of", "take_ahead", "taken_ahead", "units_of"]

LOCK_SECONDS = 60
"""How long a node stays reserved; the default of 5 is too short to seal and send."""

SENDING_SECONDS = 15
"""What is left of them for sending; a lock that has waited for longer is not used."""

LARGEST = 262_144
"""Compute units above which none is taken: two are to leave room in a stack."""


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


def units_of(session: Session, request: Request) -> int:
    """Return the compute units to reserve for a request that takes a lock itself.

    Where locks are taken ahead that is a power of two, for conversations grow, and no
    less than one has that is still waiting.
    """
    if not _is_wanted(session, request):
        return request.units
    waiting = _waiting(session, request.model)
    return max(_size(request), 0 if waiting is None else waiting.units)


def take_ahead(session: Session, request: Request) -> Flow[None]:
    """Have the lock for the request after this one taken, unless one is waiting."""
    model, units = request.model, _size(request)
    if not _is_wanted(session, request) or units > LARGEST:
        return
    if _waiting(session, model) is None:
        session.ahead.pop(model, None)
    until = session.now() + LOCK_SECONDS
    ahead = Ahead(units, until, process=session.process())
    if session.ahead.setdefault(model, ahead) is ahead:
        send = lock_of(session, model, units=units, before=Exposure.NOTHING)
        yield Aside(model, _in_turn(ahead, _take(ahead, send)))


def taken_ahead(session: Session, request: Request) -> Flow[_wire.Lease | None]:
    """Return the lock that was taken for this request; None if none is of use.

    Raises:
        NodeKeyMissingError: To take it has bought a stack in vain, and to take another
            could do so again (protocol 4.5).
    """
    if not _is_wanted(session, request):
        return None
    ahead = session.ahead.pop(request.model, None)
    if ahead is None or ahead.process != session.process():
        return None
    in_time = session.now() < ahead.until - SENDING_SECONDS
    is_bad_news = isinstance(ahead.outcome, NodeKeyMissingError)
    if not is_bad_news and (ahead.units < request.units or not in_time):
        # It waits on, for a smaller request or to run out.
        session.ahead.setdefault(request.model, ahead)
        return None
    # One that is under way is waited for: it may be buying a stack.
    yield from _in_turn(ahead, _give_up(ahead))
    return _lease(ahead)


def _lease(ahead: Ahead) -> _wire.Lease | None:
    match ahead.outcome:
        case None:
            return None  # the request takes its own, and says what is wrong
        case bytes(reply):
            return _wire.parse_lease(reply, units=ahead.units)
        case error:
            raise error


def _is_wanted(session: Session, request: Request) -> bool:
    # What an embedding request has reserved is never given back (protocol 4.4).
    return session.lock_ahead and request.endpoint is _wire.Endpoint.CHAT


def _size(request: Request) -> int:
    size = 1 << (request.units - 1).bit_length()
    return size if size <= LARGEST else request.units


def _waiting(session: Session, model: str) -> Ahead | None:
    """Return the lock that waits, also where it is not used any more."""
    ahead = session.ahead.get(model)
    return ahead if ahead is not None and session.now() < ahead.until else None


def _in_turn(ahead: Ahead, steps: Flow[None]) -> Flow[None]:
    yield Alone(f"ahead {id(ahead)}", steps)


def _take(ahead: Ahead, send: Send) -> Flow[None]:
    if ahead.given_up:
        return
    try:
        reply = yield from succeed(send)
    except NodeKeyMissingError as error:
        ahead.outcome = copy(error)  # without what the traceback holds
        raise
    ahead.outcome = reply.body


def _give_up(ahead: Ahead) -> Flow[None]:
    """Let nobody begin to take it any more."""
    ahead.given_up = True
    yield from ()
