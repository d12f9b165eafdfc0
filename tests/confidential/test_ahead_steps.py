"""The lock for the next chat request, taken while one is being answered: steps."""

import json
import os

import pytest
from aheads import LEASE, NOW, waiting
from shells import MESSAGES, SECRET

import atoma_confidential as ac
from atoma_confidential._ahead import take_ahead, taken_ahead, units_of
from atoma_confidential._embed import EmbeddingOptions
from atoma_confidential._request import chat_request
from atoma_confidential._session import Alone, Aside, Reply, Session


def session_of(**settings):
    fields = {"lock_ahead": True, "process": os.getpid} | settings
    return Session("k", lambda: NOW, **fields)


def asked(tokens=10):
    limit = {"max_tokens": tokens}
    return chat_request(
        MESSAGES, model="m", parameters=limit, extra_body=None, stream=False
    )


def returned(flow):
    """Return what a flow returns whose steps nobody else takes."""
    try:
        step = next(flow)
        while True:
            assert isinstance(step, Alone)
            step = flow.send(returned(step.steps))
    except StopIteration as stop:
        return stop.value


def aside(flow):
    """Return the steps that a flow has the shell take aside."""
    step = next(flow)
    assert isinstance(step, Aside)
    turn = next(step.steps)
    assert isinstance(turn, Alone)
    return turn.steps


@pytest.mark.parametrize(
    ("changes", "is_of_use"),
    [
        ({}, True),
        ({"until": NOW + 15}, False),  # too late to send a request on it
        ({"units": 2**6}, False),  # perhaps a smaller one comes
        ({"process": 1}, False),  # its parent's
        ({"outcome": None}, False),  # another shell's, which has not come
        ({"outcome": None, "is_awaited": True}, False),  # by another request
    ],
)
def test_one_is_used_in_time_and_where_it_is_large_enough(changes, is_of_use):
    session = session_of()
    session.ahead["m"] = ahead = waiting(**changes)
    lease = returned(taken_ahead(session, asked()))
    assert lease is (LEASE if is_of_use else None)
    assert session.ahead == ({} if is_of_use else {"m": ahead})
    assert ahead.is_awaited is bool(changes.get("is_awaited"))


def test_two_never_use_the_same():
    session = session_of()
    session.ahead["m"] = ahead = waiting(outcome=None)
    flow = taken_ahead(session, asked())
    next(flow)
    ahead.outcome = LEASE
    session.ahead.pop("m")  # by another thread
    with pytest.raises(StopIteration) as stopped:
        flow.send(None)
    assert stopped.value.value is None


def test_a_stack_bought_in_vain_is_told_of_however_late():
    session = session_of()
    error = ac.NodeKeyMissingError("No key.", ac.Exposure.LOCK)
    session.ahead["m"] = waiting(until=NOW - 100, outcome=error)
    with pytest.raises(ac.NodeKeyMissingError):
        returned(taken_ahead(session, asked()))
    assert session.ahead == {}


@pytest.mark.parametrize("tokens", [10, 9_000, 60_000])
def test_units_are_few_sizes_and_none_is_below_one_that_waits(tokens):
    session, request = session_of(), asked(tokens)
    units = units_of(session, request)
    assert request.units <= units < 2 * request.units
    assert units.bit_count() == 1
    aside(take_ahead(session, request))
    assert session.ahead["m"].units == units
    assert units_of(session, asked(1)) == units
    session.floors["m"] = (units, NOW)  # it has run out
    assert units_of(session, asked(1)) < units or tokens == 10


def test_a_large_request_has_none_for_they_would_fill_a_stack():
    session, request = session_of(), asked(70_000)
    assert units_of(session, request) == request.units
    assert returned(take_ahead(session, request)) is None


def test_there_is_one_at_a_time_for_a_model():
    session = session_of()
    aside(take_ahead(session, asked()))
    assert returned(take_ahead(session, asked())) is None
    session.ahead["m"].until = NOW
    aside(take_ahead(session, asked()))


def test_what_a_parent_has_taken_keeps_no_child_from_its_own():
    session = session_of()
    session.ahead["m"] = waiting(process=1)
    aside(take_ahead(session, asked()))
    assert session.ahead["m"].process == os.getpid()


def test_whoever_waits_for_it_may_be_cancelled():
    session = session_of()
    session.ahead["m"] = ahead = waiting(outcome=None)
    flow = taken_ahead(session, asked())
    next(flow)
    assert ahead.is_awaited
    flow.close()
    assert not ahead.is_awaited


def test_of_two_threads_one_takes_it():
    session = session_of()

    class Raced(dict):
        def setdefault(self, _name, _ahead):
            return waiting()

    session.ahead = Raced()
    assert returned(take_ahead(session, asked())) is None


def test_an_embedding_request_has_none():
    session = session_of()
    session.ahead["m"] = waiting()
    request = EmbeddingOptions(model="m").request([SECRET])
    assert returned(take_ahead(session, request)) is None
    assert returned(taken_ahead(session, request)) is None
    assert units_of(session, request) == request.units


def test_what_failed_late_leaves_the_next_one_in_its_place():
    session = session_of()
    steps = aside(take_ahead(session, asked()))
    next(steps)
    session.ahead["m"] = later = waiting()
    with pytest.raises(ac.ConfidentialError):
        steps.send(Reply(503, {}, b""))
    assert session.ahead == {"m": later}


def test_one_that_is_cancelled_leaves_nothing_behind():
    session = session_of()
    steps = aside(take_ahead(session, asked()))
    next(steps)
    steps.close()
    assert session.ahead == {}


def test_what_it_holds_of_an_error_is_no_traceback():
    session = session_of()
    steps = aside(take_ahead(session, asked()))
    ahead = session.ahead["m"]
    next(steps)
    body = json.dumps({"error": {"message": "Node public key not found"}}).encode()
    with pytest.raises(ac.NodeKeyMissingError):
        steps.send(Reply(500, {}, body))
    assert ahead.outcome.__traceback__ is None
