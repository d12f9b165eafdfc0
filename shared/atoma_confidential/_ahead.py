"""The lock for the next chat request, taken while one is being answered (ADR 12).

At most one waits for each model: whoever uses it has the next one taken. It is used by
a first attempt only, for a repetition wants a key that was handed out after it failed.

A request uses up whichever lock of the account runs out first of those that are large
enough, and gives back what itself says (protocol 4.3, 4.4): units that a lock has more
are lost. So no request reserves less than a lock that may still be there.
"""

from __future__ import annotations

from copy import copy

from . import _wire
from ._attempts import LOCK_SECONDS, lock_of, succeed
from ._request import Request
from ._session import Ahead, Alone, Aside, Flow, Session
from ._wire import Lease
from .errors import NodeKeyMissingError

__all__ = ["take_ahead", "taken_ahead", "units_of"]

TAKING_SECONDS = 60
"""For how long a lock may be under way: it may wait for a stack to be bought."""

SENDING_SECONDS = 15
"""What is left of a lock for sending; one that has waited for longer is not used."""

LARGEST = 65_536
"""Compute units above which none is taken: a stack has room for fifteen of them."""


def units_of(session: Session, request: Request) -> int:
    """Return the compute units to reserve for a request that takes a lock itself.

    Where locks are taken ahead that is a power of two, for conversations grow, and no
    less than a lock has that was taken ahead and may not have run out yet.
    """
    if not _is_wanted(session, request):
        return request.units
    floor, until = session.floors.get(request.model, (0, 0.0))
    return max(_size(request), floor if session.now() < until else 0)


def take_ahead(session: Session, request: Request) -> Flow[None]:
    """Have the lock for the request after this one taken, unless one is there."""
    model, now = request.model, session.now()
    if not _is_wanted(session, request) or _size(request) > LARGEST:
        return
    last, process = session.ahead.get(model), session.process()
    if last is not None and last.process == process and now < last.until:
        return
    until = now + TAKING_SECONDS + LOCK_SECONDS
    ahead = Ahead(units_of(session, request), until, process)
    if last is None and session.ahead.setdefault(model, ahead) is not ahead:
        return  # another thread was quicker
    session.ahead[model] = ahead
    session.floors[model] = (ahead.units, until)
    steps = _take(session, model, ahead)
    yield Aside(model, _in_turn(model, steps))


def taken_ahead(session: Session, request: Request) -> Flow[Lease | None]:
    """Return the lock that was taken for this request; None if none is of use.

    Raises:
        NodeKeyMissingError: To take it has bought a stack in vain, and to take another
            could do so again (protocol 4.5).
    """
    model = request.model
    ahead = session.ahead.get(model) if _is_wanted(session, request) else None
    if ahead is None or ahead.is_awaited or ahead.process != session.process():
        return None
    if ahead.outcome is None:
        # Waited for, and by one request only: it may be buying a stack.
        ahead.is_awaited = True
        try:
            yield from _in_turn(model, _nothing())
        finally:
            ahead.is_awaited = False
    if not _is_of_use(session, request, ahead):
        return None  # it waits on, for a smaller request or until it has run out
    if session.ahead.pop(model, None) is not ahead:
        return None  # another was quicker; what it has begun then runs out unused
    if isinstance(ahead.outcome, NodeKeyMissingError):
        raise ahead.outcome
    return ahead.outcome


def _is_of_use(session: Session, request: Request, ahead: Ahead) -> bool:
    if isinstance(ahead.outcome, Lease):
        in_time = session.now() < ahead.until - SENDING_SECONDS
        return in_time and ahead.units >= request.units
    return ahead.outcome is not None


def _is_wanted(session: Session, request: Request) -> bool:
    # What an embedding request has reserved is never given back (protocol 4.4).
    return session.lock_ahead and request.endpoint is _wire.Endpoint.CHAT


def _size(request: Request) -> int:
    size = 1 << (request.units - 1).bit_length()
    return size if size <= LARGEST else request.units


def _in_turn(model: str, steps: Flow[None]) -> Flow[None]:
    yield Alone(f"ahead {model}", steps)


def _nothing() -> Flow[None]:
    yield from ()


def _take(session: Session, model: str, ahead: Ahead) -> Flow[None]:
    try:
        reply = yield from succeed(lock_of(session, model, units=ahead.units))
        lease = _wire.parse_lease(reply.body, units=ahead.units)
        ahead.until = session.now() + LOCK_SECONDS
        ahead.outcome = lease
    except NodeKeyMissingError as error:
        ahead.outcome = copy(error)  # without what the traceback holds
        raise
    finally:
        if ahead.outcome is None and session.ahead.get(model) is ahead:
            del session.ahead[model]
