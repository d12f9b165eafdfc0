"""Threads, forks, event loops, and connections that are not left behind."""

import asyncio
import gc
import multiprocessing
import threading
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

import atoma_confidential as ac
from atoma_confidential import _flow
from atoma_confidential._reply import open_answer

CHAT = "meta-llama/Llama-3.3-70B-Instruct"
EMBEDDING = "intfloat/multilingual-e5-large-instruct"
SECRET = "The notary of Iphofen keeps canary-heliotrope-5f1d9c, the second key."
MESSAGES = [{"role": "user", "content": SECRET}]


@pytest.fixture(autouse=True)
def _nothing_in_clear(recorded):
    yield
    assert recorded.find([SECRET]) == []


def settings(atoma):
    return {"api_key": atoma.api_key, "base_url": atoma.base_url}


def locks(atoma):
    return [seen for seen in atoma.exchanges if seen.path == "/v1/nodes/lock"]


def test_construction_makes_no_client_and_no_request(atoma, monkeypatch):
    def refuse(*_args, **_kwargs):
        raise AssertionError

    monkeypatch.setattr(httpx.Client, "__init__", refuse)
    monkeypatch.setattr(httpx.AsyncClient, "__init__", refuse)
    ac.Client(**settings(atoma))
    ac.AsyncClient(**settings(atoma))
    monkeypatch.undo()
    with ac.Client(**settings(atoma)) as client:
        client.chat(MESSAGES, model=CHAT)


def test_one_client_serves_many_threads(atoma):
    with ac.Client(**settings(atoma)) as client, ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(client.chat, MESSAGES, model=CHAT) for _ in range(24)]
        assert all(call.result().verdict.sealed for call in calls)
    assert len(locks(atoma)) == 24


class LocksInFlight:
    """Count the locks under way at a time, until the first has been granted."""

    def __init__(self):
        self.now = self.most = 0
        self.granted = False

    def request(self, request):
        if request.url.path == "/v1/nodes/lock" and not self.granted:
            self.now += 1
            self.most = max(self.most, self.now)

    def response(self, response):
        self.granted = self.granted or response.request.url.path == "/v1/nodes/lock"

    async def async_request(self, request):
        self.request(request)

    async def async_response(self, response):
        self.response(response)


def test_first_locks_of_threads_are_taken_one_at_a_time(atoma):
    seen = LocksInFlight()
    hooks = {"request": [seen.request], "response": [seen.response]}
    with (
        httpx.Client(event_hooks=hooks) as http,
        ac.Client(http_client=http, **settings(atoma)) as client,
        ThreadPoolExecutor(8) as pool,
    ):
        calls = [pool.submit(client.chat, MESSAGES, model=CHAT) for _ in range(8)]
        assert all(call.result().verdict.sealed for call in calls)
    assert seen.most == 1


async def test_first_locks_of_tasks_are_taken_one_at_a_time(atoma):
    seen = LocksInFlight()
    hooks = {"request": [seen.async_request], "response": [seen.async_response]}
    async with (
        httpx.AsyncClient(event_hooks=hooks) as http,
        ac.AsyncClient(http_client=http, **settings(atoma)) as client,
    ):
        calls = [client.chat(MESSAGES, model=CHAT) for _ in range(8)]
        await asyncio.gather(*calls)
    assert seen.most == 1


def test_an_async_client_survives_its_loops(atoma):
    client = ac.AsyncClient(**settings(atoma))
    with warnings.catch_warnings():
        warnings.simplefilter("error", ResourceWarning)
        for _ in range(3):
            reply = asyncio.run(client.chat(MESSAGES, model=CHAT))
            assert reply.verdict.sealed
            gc.collect()


def test_closed_loops_are_let_go(atoma):
    client = ac.AsyncClient(**settings(atoma))
    loops = []

    async def ask():
        loops.append(weakref.ref(asyncio.get_running_loop()))
        await client.chat(MESSAGES, model=CHAT)

    for _ in range(3):
        asyncio.run(ask())
    gc.collect()
    assert [loop() is None for loop in loops] == [True, True, False]


def test_a_client_beside_another_knows_what_that_one_knows(atoma):
    with ac.Client(**settings(atoma)) as client:
        list(client.stream_chat(MESSAGES, model=CHAT))
        beside = ac.AsyncClient.beside(client)

        async def ask():
            async with beside.stream_chat(MESSAGES, model=CHAT) as stream:
                return [chunk async for chunk in stream]

        assert asyncio.run(ask())
    assert len(atoma.opened) == 3  # one canary, two answers


def test_two_loops_at_the_same_time(atoma):
    client = ac.AsyncClient(**settings(atoma))

    def run():
        return asyncio.run(client.chat(MESSAGES, model=CHAT)).verdict.sealed

    with ThreadPoolExecutor(4) as pool:
        assert all(call.result() for call in [pool.submit(run) for _ in range(8)])


def test_a_forgotten_client_closes_its_connections(atoma):
    client = ac.Client(**settings(atoma))
    client.chat(MESSAGES, model=CHAT)
    http = client._own.to(None)
    del client
    gc.collect()
    assert http.is_closed


async def test_a_forgotten_stream_is_closed_by_its_loop(atoma):
    async with ac.AsyncClient(**settings(atoma)) as client:
        stream = client.stream_chat(MESSAGES, model=CHAT)
        await anext(stream)
        del stream
        gc.collect()
        await asyncio.sleep(0)
        assert (await client.chat(MESSAGES, model=CHAT)).verdict.sealed


@pytest.fixture
def opened_on(monkeypatch):
    """The threads on which answers are opened, one for each."""
    threads = []

    def noted(*args):
        threads.append(threading.current_thread())
        return open_answer(*args)

    monkeypatch.setattr(_flow, "open_answer", noted)
    return threads


MANY = [f"Deed number {i} of the notary of Iphofen, the longer." for i in range(256)]


async def test_a_large_answer_is_opened_beside_the_loop(atoma, opened_on, no_plaintext):
    no_plaintext(*MANY)
    async with ac.AsyncClient(**settings(atoma)) as client:
        await client.embed("Deed", model=EMBEDDING)
        reply = await client.embed(MANY, model=EMBEDDING)
    small, large = opened_on
    assert small is threading.current_thread()
    assert large is not small
    with ac.Client(**settings(atoma)) as blocking:
        assert blocking.embed(MANY, model=EMBEDDING).vectors == reply.vectors
    assert opened_on[2] is threading.current_thread()


async def test_a_large_answer_that_does_not_open_is_an_error_as_any(
    make_atoma, opened_on, no_plaintext
):
    atoma = make_atoma()
    no_plaintext(*MANY)
    atoma.faults.always("tag-tampered")
    async with ac.AsyncClient(**settings(atoma), max_retries=0) as client:
        with pytest.raises(ac.OpenError) as caught:
            await client.embed(MANY, model=EMBEDDING)
    assert opened_on
    assert threading.current_thread() not in opened_on
    assert caught.value.exposure is ac.Exposure.SEALED
    assert caught.value.indices == range(len(MANY))


async def test_a_call_may_be_cancelled_while_its_answer_is_opened(
    atoma, monkeypatch, no_plaintext
):
    no_plaintext(*MANY)
    begun, go_on, ended = asyncio.Event(), threading.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slow(*args):
        loop.call_soon_threadsafe(begun.set)
        go_on.wait(10)
        opened = open_answer(*args)
        ended.set()
        return opened

    async with ac.AsyncClient(**settings(atoma)) as client:
        monkeypatch.setattr(_flow, "open_answer", slow)
        call = asyncio.ensure_future(client.embed(MANY, model=EMBEDDING))
        await begun.wait()  # the loop goes on meanwhile
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        monkeypatch.undo()
        assert not ended.is_set()
        go_on.set()
        assert await asyncio.to_thread(ended.wait, 10)
        assert (await client.embed("Deed", model=EMBEDDING)).verdict.sealed


async def test_cancelling_a_batch_cancels_its_requests(make_atoma, no_plaintext):
    atoma = make_atoma()
    texts = [f"Deed number {i} of the notary of Iphofen." for i in range(40)]
    no_plaintext(*texts)
    atoma.faults.always("post-silent")
    async with ac.AsyncClient(**settings(atoma)) as client:
        call = client.embed(texts, model=EMBEDDING, batch_size=1, max_concurrency=4)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.3):
                await call
        assert len(asyncio.all_tasks()) == 1
    assert len(locks(atoma)) <= 8


async def test_the_first_failed_batch_stops_the_others(make_atoma, no_plaintext):
    atoma = make_atoma()
    texts = [f"Deed number {i} of the notary of Iphofen." for i in range(40)]
    no_plaintext(*texts)
    atoma.faults.always("post-401")
    async with ac.AsyncClient(**settings(atoma)) as client:
        with pytest.raises(ac.AuthenticationError):
            await client.embed(texts, model=EMBEDDING, batch_size=1, max_concurrency=2)
    assert len(locks(atoma)) <= 6


def test_a_given_http_client_is_used_and_not_closed(atoma):
    seen = []
    with httpx.Client(
        headers={"X-Caller": "alice"},
        cookies={"session": "alice"},
        auth=("alice", "password"),
        follow_redirects=True,
        event_hooks={"request": [lambda request: seen.append(request.url.path)]},
    ) as http:
        with ac.Client(http_client=http, **settings(atoma)) as client:
            client.chat(MESSAGES, model=CHAT)
        assert not http.is_closed
    assert seen == ["/v1/nodes/lock", "/v1/confidential/chat/completions"]
    for exchange in atoma.exchanges:
        assert not {"x-caller", "cookie"} & exchange.headers.keys()
        assert exchange.headers["authorization"] == f"Bearer {atoma.api_key}"


async def test_a_given_async_http_client_is_used_and_not_closed(atoma):
    async with httpx.AsyncClient() as http:
        async with ac.AsyncClient(http_client=http, **settings(atoma)) as client:
            await client.chat(MESSAGES, model=CHAT)
        assert not http.is_closed


def _ask(client, queue):
    queue.put(client.chat(MESSAGES, model=CHAT).verdict.sealed)


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.parametrize("lock_ahead", [False, True])
def test_a_forked_process_makes_connections_of_its_own(atoma, lock_ahead):
    context = multiprocessing.get_context("fork")
    with ac.Client(**settings(atoma), lock_ahead=lock_ahead, max_retries=0) as client:
        client.chat(MESSAGES, model=CHAT)
        queue = context.Queue()
        child = context.Process(target=_ask, args=(client, queue))
        child.start()
        assert queue.get(timeout=20)
        child.join(20)
        assert child.exitcode == 0
        assert client.chat(MESSAGES, model=CHAT).verdict.sealed


def test_nothing_shows_the_key(atoma):
    client = ac.Client(**settings(atoma))
    shown = [repr(client), repr(vars(client)), repr(client._connection.session)]
    assert not any(atoma.api_key in text for text in shown)
