"""The lock for the next chat request, taken while one is being answered."""

import asyncio
import base64
import json
import threading

import httpx
import pytest
from shells import CHAT, MESSAGES, SECRET, locks, posts, reserved

import atoma_confidential as ac
from atoma_confidential import _ahead
from atoma_confidential._ahead import take_ahead, taken_ahead
from atoma_confidential._embed import EmbeddingOptions
from atoma_confidential._request import chat_request
from atoma_confidential._session import Ahead, Alone, Aside, Reply, Session

KEY = base64.b64encode(bytes(range(32))).decode()
LOCKED = {"public_key": KEY, "node_small_id": 1, "stack_small_id": 2}
NOW = 1e9


def said_all(replies):
    return all("4711" in r.body["choices"][0]["message"]["content"] for r in replies)


def test_each_request_but_the_first_finds_its_lock(make_atoma, connect):
    atoma = make_atoma()
    assert said_all(connect(atoma, lock_ahead=True).chat_in_turn(4))
    own, *others = reserved(atoma)
    assert others == [2 * own] * 3
    assert len(locks(atoma)) in {4, 5}  # the loop may end before the last is sent


def test_nobody_who_did_not_ask_for_it_has_a_lock_taken(make_atoma, connect):
    atoma = make_atoma()
    assert said_all(connect(atoma).chat_in_turn(3))
    assert len(locks(atoma)) == 3
    assert len(set(reserved(atoma))) == 1


@pytest.mark.parametrize("mode", ["live", "buffered"])
@pytest.mark.filterwarnings("ignore::atoma_confidential.ConfidentialityWarning")
def test_streams_find_theirs_as_well(make_atoma, connect, mode):
    atoma = make_atoma()
    shell = connect(atoma, lock_ahead=True, stream_mode=mode)
    shell.chat_in_turn(1)
    store = shell.client._connection.session.ahead
    store[CHAT] = Ahead(10**5, until=float("inf"), outcome=b"not JSON")
    with pytest.raises(ac.RemoteProtocolError, match="The lock answer"):
        shell.stream()  # which has taken it, for it has read it
    shell.stream()
    assert len(posts(atoma)) == 2


def test_embeddings_take_none_for_their_locks_give_nothing_back(make_atoma, connect):
    atoma = make_atoma()
    connect(atoma, lock_ahead=True).embed([SECRET] * 3, batch_size=1)
    assert len(locks(atoma)) == 3


def test_there_are_none_in_clear(make_atoma, connect):
    atoma = make_atoma()
    hello = [{"role": "user", "content": "Hello"}]
    connect(atoma, lock_ahead=True, confidential=False).chat(hello)
    assert not locks(atoma)


@pytest.mark.parametrize("fault", ["lock-503", "lock-402", "lock-429", "lock-422"])
def test_where_none_can_be_taken_the_request_takes_its_own(
    make_atoma, connect, delays, fault
):
    atoma = make_atoma()
    atoma.faults.once(fault, skip=1)
    assert said_all(connect(atoma, lock_ahead=True).chat_in_turn(2))
    own, other = reserved(atoma)
    assert own == other
    assert delays == []


def test_a_stack_that_was_bought_in_vain_is_not_bought_again(
    make_atoma, connect, delays
):
    atoma = make_atoma()
    atoma.faults.once("lock-500-no-key", skip=1)
    shell = connect(atoma, lock_ahead=True)
    with pytest.raises(ac.NodeKeyMissingError) as caught:
        shell.chat_in_turn(2)
    assert caught.value.exposure is ac.Exposure.LOCK
    assert (len(locks(atoma)), len(posts(atoma))) == (2, 1)
    assert said_all(shell.chat_in_turn(1))  # and is said once


def test_one_that_ran_out_is_replaced_by_the_requests_own(make_atoma, connect, delays):
    atoma = make_atoma()
    atoma.faults.once("lock-expired", skip=1)
    assert said_all(connect(atoma, lock_ahead=True).chat_in_turn(2))
    own, ahead, again = reserved(atoma)
    assert (ahead, again) == (2 * own, own)
    assert delays == [0]


def test_its_key_is_appraised_like_any_other(make_atoma, connect):
    atoma = make_atoma()
    pinned = ac.TrustPolicy.pinned(keys=[atoma.node_public_key])
    shell = connect(atoma, lock_ahead=True, trust=pinned)
    shell.chat_in_turn(1)
    theirs = json.dumps(LOCKED).encode()
    shell.client._connection.session.ahead[CHAT] = Ahead(10**6, 1e12, theirs)
    with pytest.raises(ac.AttestationError):
        shell.chat_in_turn(1)
    assert len(posts(atoma)) == 1


class Held(httpx.HTTPTransport):
    """Holds the second request for a lock until it may go on."""

    def __init__(self):
        super().__init__()
        self.locks = 0
        self.go_on = threading.Event()

    def handle_request(self, request):
        self.locks += request.url.path.endswith("/lock")
        if request.url.path.endswith("/lock") and self.locks == 2:
            assert self.go_on.wait(30)
        return super().handle_request(request)


def test_the_answer_does_not_wait_for_it_and_the_next_request_does(make_atoma):
    atoma = make_atoma()
    held = Held()
    settings = {"api_key": atoma.api_key, "base_url": atoma.base_url}
    with (
        httpx.Client(transport=held) as http,
        ac.Client(**settings, lock_ahead=True, http_client=http) as client,
    ):
        client.chat(MESSAGES, model=CHAT)
        assert len(locks(atoma)) == 1
        threading.Timer(0.2, held.go_on.set).start()
        client.chat(MESSAGES, model=CHAT)
        own, ahead = reserved(atoma)
        assert ahead == 2 * own
        client._connection.session.ahead.pop(CHAT, None)


class HeldForEver(httpx.AsyncHTTPTransport):
    """Never sends the second request for a lock."""

    def __init__(self):
        super().__init__()
        self.locks = 0
        self.cancelled = False

    async def handle_async_request(self, request):
        self.locks += request.url.path.endswith("/lock")
        if request.url.path.endswith("/lock") and self.locks == 2:
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled = True
        return await super().handle_async_request(request)


async def test_a_client_that_is_closed_waits_for_none(make_atoma):
    atoma = make_atoma()
    held = HeldForEver()
    settings = {"api_key": atoma.api_key, "base_url": atoma.base_url}
    async with httpx.AsyncClient(transport=held) as http:
        client = ac.AsyncClient(**settings, lock_ahead=True, http_client=http)
        await client.chat(MESSAGES, model=CHAT)
        async with asyncio.timeout(30):
            await client.aclose()
        assert held.cancelled
        assert client._connection.session.ahead == {}


@pytest.mark.parametrize("given", [1, "yes", None])
def test_it_is_a_switch(given):
    with pytest.raises(ac.InvalidInputError, match="lock_ahead is True or False"):
        ac.Client(api_key="k", base_url="http://127.0.0.1:9", lock_ahead=given)


def session_of(**settings):
    return Session("k", lambda: NOW, lock_ahead=True, **settings)


def asked(units=10):
    limit = {"max_tokens": units}
    return chat_request(
        MESSAGES, model="m", parameters=limit, extra_body=None, stream=False
    )


def result_of(flow):
    """Return what a flow returns that has nothing for its shell to do."""
    return returned(flow, None)


def returned(flow, result):
    """Return what a flow returns once its step has come to this."""
    with pytest.raises(StopIteration) as stopped:
        flow.send(result)
    return stopped.value.value


def inner(flow):
    """Return the steps that a flow has taken alone, or aside."""
    step = next(flow)
    assert isinstance(step, Alone | Aside)
    return step.steps


def stored(session, **changes):
    fields = {"units": 10**6, "until": NOW, "outcome": json.dumps(LOCKED).encode()}
    session.ahead["m"] = ahead = Ahead(**fields | changes)
    return ahead


@pytest.mark.parametrize(
    ("changes", "is_of_use"),
    [
        ({}, True),
        ({"until": NOW - 1}, False),
        ({"units": 10}, False),
        ({"outcome": None}, False),  # whoever took it is stuck
    ],
)
def test_one_is_used_in_time_and_where_it_is_large_enough(changes, is_of_use):
    session = session_of()
    ahead = stored(session, **changes)
    flow = taken_ahead(session, asked())
    popped = result_of(inner(flow))
    assert popped is ahead
    lease = returned(flow, popped)
    assert (lease is not None) is is_of_use
    assert session.ahead == {}
    if is_of_use:
        assert (lease.units, lease.node, lease.stack) == (10**6, 1, 2)


@pytest.mark.parametrize("given", [10, 100_000, 990_000])
def test_it_is_for_more_units_but_never_more_than_a_stack_holds(given):
    session, request = session_of(), asked(given)
    inner(take_ahead(session, request))
    units = session.ahead["m"].units
    grown = min(2 * request.units, request.units + _ahead.GROWTH)
    assert request.units < units == min(grown, 1_000_000)


def test_there_is_one_at_a_time_for_a_model():
    session = session_of()
    inner(take_ahead(session, asked()))
    assert result_of(take_ahead(session, asked())) is None
    session.leave_to_parent()
    inner(take_ahead(session, asked()))


def test_an_embedding_request_has_none():
    session = session_of()
    stored(session)
    request = EmbeddingOptions(model="m").request([SECRET])
    assert result_of(take_ahead(session, request)) is None
    assert result_of(taken_ahead(session, request)) is None


def test_what_failed_late_leaves_the_next_one_in_its_place():
    session = session_of()
    steps = inner(inner(take_ahead(session, asked())))
    next(steps)
    later = stored(session)  # the one before was given up
    returned(steps, Reply(503, {}, b""))
    assert session.ahead == {"m": later}


def test_one_that_is_cancelled_leaves_nothing_behind():
    session = session_of()
    steps = inner(inner(take_ahead(session, asked())))
    next(steps)
    steps.close()
    assert session.ahead == {}
