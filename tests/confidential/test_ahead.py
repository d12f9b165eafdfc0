"""The lock for the next chat request, taken while one is being answered: calls."""

import asyncio
import json
import threading
import time
from dataclasses import replace

import httpx
import pytest
from aheads import LEASE, waiting
from shells import CHAT, MESSAGES, SECRET, Blocking, locks, posts

import atoma_confidential as ac


def said_all(replies):
    return all("4711" in r.body["choices"][0]["message"]["content"] for r in replies)


def store_of(shell):
    return shell.client._connection.session.ahead


def lost(atoma):
    """Return the units that are reserved, and will be for ever (protocol 4.4)."""
    held = (sum(lock.units for lock in stack.locks) for stack in atoma.stacks)
    return sum(stack.reserved for stack in atoma.stacks) - sum(held)


def is_nothing_lost(atoma):
    """Tell, once the last lock has come."""
    until = time.monotonic() + 10
    while lost(atoma) and time.monotonic() < until:
        time.sleep(0.01)
    return lost(atoma) == 0


def test_each_request_but_the_first_finds_its_lock(make_atoma, connect, telemetry):
    atoma = make_atoma()
    assert said_all(connect(atoma, lock_ahead=True).chat_in_turn(4))
    assert telemetry.own_locks == [1, 0, 0, 0]
    assert len(locks(atoma)) in {4, 5}  # the loop may end before the last is sent


def test_its_span_is_below_the_callers_as_that_of_the_call_is(
    make_atoma, connect, telemetry
):
    shell = connect(make_atoma(), lock_ahead=True)
    with telemetry.tracer.start_as_current_span("turn") as turn:
        shell.chat_in_turn(2)
    ahead = [call for call in telemetry.calls if call.name == f"lock_ahead {CHAT}"]
    assert {call.parent.span_id for call in ahead} == {turn.context.span_id}


def test_nobody_who_did_not_ask_for_it_has_a_lock_taken(make_atoma, connect, telemetry):
    atoma = make_atoma()
    assert said_all(connect(atoma).chat_in_turn(3))
    assert telemetry.own_locks == [1, 1, 1]
    assert len(locks(atoma)) == 3


@pytest.mark.parametrize("mode", ["auto", "live", "buffered"])
@pytest.mark.filterwarnings("ignore::atoma_confidential.ConfidentialityWarning")
def test_streams_find_theirs_as_well(make_atoma, connect, telemetry, mode):
    atoma = make_atoma()
    shell = connect(atoma, lock_ahead=True, stream_mode=mode)
    if mode == "auto":
        shell.probe_nonces()
    shell.chat_in_turn(1)
    known = replace(LEASE, recipient=ac.Recipient(atoma.node_public_key))
    store_of(shell)[CHAT] = waiting(until=float("inf"), outcome=known)
    with pytest.raises(ac.ServerError):  # it is no lock of this Atoma's
        shell.stream()
    assert telemetry.own_locks == [1, 0]


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
    make_atoma, connect, delays, telemetry, fault
):
    atoma = make_atoma()
    atoma.faults.once(fault, skip=1)
    assert said_all(connect(atoma, lock_ahead=True).chat_in_turn(2))
    assert telemetry.own_locks == [1, 1]
    assert delays == []
    errors = [call.attributes.get("error.type") for call in telemetry.calls]
    assert any(errors)  # and whoever looks can see why


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


def test_one_that_ran_out_is_replaced_by_the_requests_own(
    make_atoma, connect, delays, telemetry
):
    atoma = make_atoma()
    atoma.faults.once("lock-expired", skip=1)
    assert said_all(connect(atoma, lock_ahead=True).chat_in_turn(2))
    assert telemetry.own_locks == [1, 1]
    assert len(posts(atoma)) == 3
    assert delays == [0]


def test_its_key_is_appraised_like_any_other(make_atoma, connect):
    atoma = make_atoma()
    pinned = ac.TrustPolicy.pinned(keys=[atoma.node_public_key])
    shell = connect(atoma, lock_ahead=True, trust=pinned)
    shell.chat_in_turn(1)
    store_of(shell)[CHAT] = waiting(until=float("inf"))
    with pytest.raises(ac.AttestationError) as caught:
        shell.chat_in_turn(1)
    assert caught.value.exposure is ac.Exposure.LOCK
    assert len(posts(atoma)) == 1


def test_it_is_explained(make_atoma):
    atoma = make_atoma()
    shell = Blocking(api_key=atoma.api_key, base_url=atoma.base_url, lock_ahead=True)
    shell.chat_in_turn(2)
    told = shell.client.explain(MESSAGES, model=CHAT)
    (post, _), lock = posts(atoma), locks(atoma)[0]
    assert [one.path for one in told.crossings] == [lock.path, lock.path, post.path]
    units = json.loads(lock.body)["max_num_tokens"]
    assert {one.clear.get("max_num_tokens", str(units)) for one in told.crossings} == {
        str(units)
    }


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


@pytest.fixture
def held(make_atoma):
    """Return a local Atoma, what holds the second lock, and a client on that."""
    atoma, transport = make_atoma(), Held()
    settings = {"api_key": atoma.api_key, "base_url": atoma.base_url}
    with (
        httpx.Client(transport=transport) as http,
        ac.Client(**settings, lock_ahead=True, http_client=http) as client,
    ):
        yield atoma, transport, client
        transport.go_on.set()


def test_the_answer_does_not_wait_for_it_and_the_next_request_does(held, telemetry):
    atoma, transport, client = held
    client.chat(MESSAGES, model=CHAT)
    assert len(locks(atoma)) == 1
    threading.Timer(0.2, transport.go_on.set).start()
    client.chat(MESSAGES, model=CHAT)
    assert telemetry.own_locks == [1, 0]


def test_only_one_request_waits_for_it(held, telemetry):
    _, transport, client = held
    client.chat(MESSAGES, model=CHAT)
    waits = threading.Thread(target=lambda: client.chat(MESSAGES, model=CHAT))
    waits.start()
    while not client._connection.session.ahead[CHAT].is_awaited:
        waits.join(0.001)
    client.chat(MESSAGES, model=CHAT)
    assert waits.is_alive()
    transport.go_on.set()
    waits.join(30)
    assert telemetry.own_locks == [1, 1, 0]


class Unreachable(httpx.HTTPTransport):
    """Reaches the server for locks only."""

    def handle_request(self, request):
        if not request.url.path.endswith("/lock"):
            raise httpx.ConnectError("unreachable")
        return super().handle_request(request)


def test_what_it_has_let_out_is_counted(make_atoma):
    """Where nothing of a request leaves, the model's name has, with its lock."""
    atoma = make_atoma()
    settings = {"api_key": atoma.api_key, "base_url": atoma.base_url}
    with (
        httpx.Client(transport=Unreachable()) as http,
        ac.Client(
            **settings, lock_ahead=True, http_client=http, max_retries=0
        ) as client,
    ):
        client._connection.session.ahead[CHAT] = waiting(until=float("inf"))
        with pytest.raises(ac.ConnectionFailedError) as caught:
            client.chat(MESSAGES, model=CHAT)
        assert caught.value.exposure is ac.Exposure.LOCK


class Refusing(httpx.HTTPTransport):
    """Fails the second request for a lock as no transport of httpx does."""

    locks = 0

    def handle_request(self, request):
        self.locks += request.url.path.endswith("/lock")
        if request.url.path.endswith("/lock") and self.locks == 2:
            raise LookupError("a transport of somebody's own")
        return super().handle_request(request)


def test_what_a_given_transport_raises_is_nobodys(make_atoma, telemetry):
    atoma = make_atoma()
    settings = {"api_key": atoma.api_key, "base_url": atoma.base_url}
    with (
        httpx.Client(transport=Refusing()) as http,
        ac.Client(**settings, lock_ahead=True, http_client=http) as client,
    ):
        assert said_all([client.chat(MESSAGES, model=CHAT) for _ in range(2)])
    assert telemetry.own_locks == [1, 1]


def test_where_there_are_no_more_threads_there_is_no_lock(
    make_atoma, telemetry, monkeypatch
):
    def refuse(_thread):
        raise RuntimeError("can't start new thread")

    atoma = make_atoma()
    settings = {"api_key": atoma.api_key, "base_url": atoma.base_url}
    with ac.Client(**settings, lock_ahead=True) as client:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        assert said_all([client.chat(MESSAGES, model=CHAT) for _ in range(2)])
    assert telemetry.own_locks == [1, 1]


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


async def test_a_client_that_is_closed_waits_for_none(make_atoma, telemetry):
    atoma = make_atoma()
    transport = HeldForEver()
    settings = {"api_key": atoma.api_key, "base_url": atoma.base_url}
    async with httpx.AsyncClient(transport=transport) as http:
        client = ac.AsyncClient(**settings, lock_ahead=True, http_client=http)
        await client.chat(MESSAGES, model=CHAT)
        async with asyncio.timeout(30):
            await client.aclose()
        assert transport.cancelled
        cut, answered = sorted(telemetry.calls, key=lambda call: call.end_time)[::-1]
        assert answered.name == f"chat {CHAT}"
        assert cut.attributes["error.type"] == "CancelledError"
        await client.chat(MESSAGES, model=CHAT)  # takes its own
        await client.aclose()


def test_nothing_that_is_reserved_is_lost(make_atoma, connect, delays):
    atoma = make_atoma()
    shell = connect(atoma, lock_ahead=True)
    atoma.faults.once("post-429", skip=2)
    for words in (1, 9000, 1, 20_000, 1):  # now larger than what waits, now smaller
        shell.chat([{"role": "user", "content": f"{SECRET} {'so ' * words}"}])
        shell.chat_in_turn(2)
    assert delays
    assert is_nothing_lost(atoma)


def test_none_of_two_shells_loses_what_the_other_reserves(make_atoma):
    """They share what they know, and not their turns."""
    atoma = make_atoma()
    settings = {"api_key": atoma.api_key, "base_url": atoma.base_url}
    long = [{"role": "user", "content": f"{SECRET} {'so ' * 9000}"}]

    async def ask(client):
        async with client:
            await client.chat(MESSAGES, model=CHAT)

    with ac.Client(**settings, lock_ahead=True) as client:
        for messages in (long, MESSAGES, MESSAGES):
            client.chat(messages, model=CHAT)
            asyncio.run(ask(ac.AsyncClient.beside(client)))
    assert is_nothing_lost(atoma)


def test_calls_side_by_side_buy_no_more_stacks(make_atoma, connect):
    atoma = make_atoma()
    shell = connect(atoma, lock_ahead=True)
    shell.chat([{"role": "user", "content": f"{SECRET} {'so ' * 18_000}"}])
    shell.chat_at_once(8)
    assert len(atoma.stacks) == 1


@pytest.mark.parametrize("given", [1, "yes", None])
def test_it_is_a_switch(given):
    with pytest.raises(ac.InvalidInputError, match="lock_ahead is True or False"):
        ac.Client(api_key="k", base_url="http://127.0.0.1:9", lock_ahead=given)
