"""Connections that are not lost where a call is cut short or its client closed.

The calls of each kind, cut short at each of their awaits, are in tests/lifecycles.
"""

import asyncio
import pickle
import socket
import threading

import httpcore
import httpx
import pytest
from endless import Endless
from scripted import CHAT

import atoma_confidential as ac
from atoma_confidential._deadline import DeadlineTransport, _Backend, _Stream
from atoma_confidential._http import tls_context
from atoma_confidential._pools import AsyncPoolTransport, _Body
from atoma_confidential.streams import AsyncChatStream

HELLO = [{"role": "user", "content": "Hello"}]


class Silent:
    """Accepts connections, reads a request, and says nothing."""

    def __init__(self):
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.asked = threading.Event()
        self._accepted = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self._accepted.append(connection)
            if connection.recv(65536):
                self.asked.set()

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for connection in self._accepted:
            connection.close()


@pytest.fixture
def silent():
    server = Silent()
    yield server
    server.close()


def test_closing_ends_what_another_thread_waits_for(silent):
    client = ac.Client(api_key="k", base_url=silent.url)
    found = []

    def ask():
        with pytest.raises(ac.ClientClosedError) as caught:
            client.chat(HELLO, model="m")
        found.append(caught.value.exposure)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    assert silent.asked.wait(30)
    client.close()
    thread.join(30)
    assert found == [ac.Exposure.LOCK]


async def test_closing_ends_what_another_task_waits_for(silent):
    client = ac.AsyncClient(api_key="k", base_url=silent.url)
    call = asyncio.ensure_future(client.chat(HELLO, model="m"))
    assert await asyncio.to_thread(silent.asked.wait, 30)
    await client.aclose()
    (error,) = await asyncio.gather(call, return_exceptions=True)
    assert type(error) is ac.ClientClosedError
    assert error.exposure is ac.Exposure.LOCK


async def test_a_stream_that_another_task_closes_ends(make_atoma):
    atoma = make_atoma(backend=Endless())
    settings = {"api_key": atoma.api_key, "base_url": atoma.base_url}
    async with ac.AsyncClient(stream_mode="live", **settings) as client:
        stream = client.stream_chat(HELLO, model=CHAT)
        begun = asyncio.Event()

        async def read():
            async for _ in stream:
                begun.set()

        task = asyncio.ensure_future(read())
        await begun.wait()
        await stream.aclose()
        with pytest.raises(ac.StreamTruncatedError):
            await task


async def test_a_stream_that_is_closed_before_it_begins_is_not_asked_for(make_atoma):
    atoma = make_atoma()
    settings = {"api_key": atoma.api_key, "base_url": atoma.base_url}
    async with ac.AsyncClient(stream_mode="live", **settings) as client:
        stream = client.stream_chat(HELLO, model=CHAT)
        task = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0)  # it has begun to wait for the lock
        await stream.aclose()
        with pytest.raises(ac.ClientClosedError) as caught:
            await task
    assert caught.value.exposure in (ac.Exposure.NOTHING, ac.Exposure.LOCK)
    assert not atoma.opened


async def test_a_stream_that_is_closed_between_two_attempts_ends(make_atoma):
    atoma = make_atoma()
    atoma.faults.once("tag-tampered")
    settings = {"api_key": atoma.api_key, "base_url": atoma.base_url}
    async with ac.AsyncClient(stream_mode="live", **settings) as client:
        stream = client.stream_chat(HELLO, model=CHAT)
        task = asyncio.ensure_future(anext(stream))
        while not (source := stream._outcome.source) or not source.is_closed:  # noqa: ASYNC110 - nobody tells when
            await asyncio.sleep(0)
        await stream.aclose()
        with pytest.raises(ac.ClientClosedError) as caught:
            await task
    assert caught.value.exposure is ac.Exposure.SEALED
    assert len(atoma.opened) == 1


async def test_a_stream_that_is_closed_while_it_is_read_is_left_to_its_reader():
    reading, go_on = asyncio.Event(), asyncio.Event()

    class Source:
        closed = False

        async def aclose(self):
            self.closed = True

    async def chunks(outcome):
        outcome.source = source
        reading.set()
        await go_on.wait()
        yield {}

    source = Source()
    stream = AsyncChatStream(chunks)
    task = asyncio.ensure_future(anext(stream))
    await reading.wait()
    await stream.aclose()
    assert source.closed
    go_on.set()
    assert await task == {}
    await stream.aclose()


def test_what_is_being_connected_when_its_client_is_closed(silent):
    transport = DeadlineTransport(verify=tls_context(), proxy=None)
    real = transport._backend._inner.connect_tcp

    def connect(*args):
        transport.close()
        return real(*args)

    transport._backend._inner.connect_tcp = connect
    with (
        httpx.Client(transport=transport) as http,
        pytest.raises(httpx.ReadError, match="closed"),
    ):
        http.get(silent.url)
    assert not silent.asked.is_set()


async def test_what_a_loop_is_connecting_when_its_client_is_closed(silent):
    transport = AsyncPoolTransport(verify=tls_context(), proxy=None)
    real = transport._backend._inner.connect_tcp

    async def connect(*args):
        await transport.aclose()
        return await real(*args)

    transport._backend._inner.connect_tcp = connect
    async with httpx.AsyncClient(transport=transport) as http:
        with pytest.raises(httpx.ConnectError):
            await http.get(silent.url)
    assert not silent.asked.is_set()


def test_a_connection_that_was_interrupted_before_its_request(silent, monkeypatch):
    def interrupt(*_args):
        raise KeyboardInterrupt

    transport = DeadlineTransport(verify=tls_context(), proxy=None)
    with httpx.Client(transport=transport) as http:
        with monkeypatch.context() as patch:
            patch.setattr(httpcore.HTTP11Connection, "handle_request", interrupt)
            with pytest.raises(KeyboardInterrupt):
                http.get(silent.url)
        assert all(one.is_closed() for one in transport._pool.connections)


async def test_a_connection_whose_call_was_cancelled_before_its_request(
    silent, monkeypatch
):
    async def cancel(*_args):
        raise asyncio.CancelledError

    transport = AsyncPoolTransport(verify=tls_context(), proxy=None)
    async with httpx.AsyncClient(transport=transport) as http:
        with monkeypatch.context() as patch:
            name = "handle_async_request"
            patch.setattr(httpcore.AsyncHTTP11Connection, name, cancel)
            with pytest.raises(asyncio.CancelledError):
                await http.get(silent.url)
        assert all(one.is_closed() for one in transport._pool.connections)


def test_a_connection_that_another_thread_takes_just_then_is_not_abandoned(
    scripted, monkeypatch
):
    """Between two readings of the pool, a request is begun on its idle connection."""
    transport = DeadlineTransport(verify=tls_context(), proxy=None)
    pool = transport._pool
    real = type(pool).connections
    url = f"{scripted.base_url}/v1/models"
    headers = {"Authorization": f"Bearer {scripted.api_key}"}
    others, taken, go_on = [], threading.Event(), threading.Event()
    read = _Stream.read

    def wait_and_read(*args, **named):
        if threading.current_thread() in others:
            taken.set()
            assert go_on.wait(30)
        return read(*args, **named)

    def connections(self):
        if not others:
            locked = pool._optional_thread_lock._lock.locked()
            others.append(threading.Thread(target=ask))
            others[0].start()
            # Where the lock is held it cannot begin, and need not be waited for.
            assert locked or taken.wait(30)
        return real.fget(self)

    def ask():
        told.append(http.get(url, headers=headers).status_code)

    told = []
    with httpx.Client(transport=transport) as http:
        ask()
        monkeypatch.setattr(_Stream, "read", wait_and_read)
        monkeypatch.setattr(type(pool), "connections", property(connections))
        with pytest.raises(httpx.ConnectError):
            http.get(nobody_listens())
        go_on.set()
        others[0].join(30)
    assert told == [200, 200]


def nobody_listens():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return f"http://127.0.0.1:{listener.getsockname()[1]}"


async def test_a_body_is_closed_to_the_end_even_if_that_is_cancelled():
    begun, go_on, closed = asyncio.Event(), asyncio.Event(), []

    class Slow(httpx.AsyncByteStream):
        async def aclose(self):
            begun.set()
            await go_on.wait()
            closed.append(True)

    task = asyncio.ensure_future(_Body(Slow()).aclose())
    await begun.wait()
    task.cancel()
    await asyncio.sleep(0)
    assert not task.done()
    task.cancel()  # once more
    await asyncio.sleep(0)
    assert not task.done()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert closed == [True]


async def test_a_body_that_cannot_be_closed_says_so():
    class Broken(httpx.AsyncByteStream):
        async def aclose(self):
            raise httpx.ReadError("broken")

    with pytest.raises(httpx.ReadError):
        await _Body(Broken()).aclose()


def test_a_socket_is_closed_when_nobody_reads_it_any_more():
    """Or its number would be that of another one, which would be read instead."""
    ours, theirs = socket.socketpair()
    reading, order = threading.Event(), []

    class Socket(httpcore.NetworkStream):
        def read(self, max_bytes, timeout=None):
            reading.set()
            data = ours.recv(max_bytes)
            order.append("read")
            return data

        def close(self):
            order.append("closed")
            ours.close()

        def get_extra_info(self, info):
            return ours

    backend = _Backend(httpcore.NetworkBackend())
    stream = _Stream(Socket(), backend)
    reader = threading.Thread(target=stream.read, args=(1,))
    with theirs:
        reader.start()
        assert reading.wait(30)
        backend.closed = True
        stream.close()
        reader.join(30)
    assert order == ["read", "closed"]


def test_a_tls_socket_that_is_closed_while_it_is_read():
    class Closing(httpcore.NetworkStream):
        def read(self, max_bytes, timeout=None):
            raise ValueError("Read on closed or unwrapped SSL socket.")

    with pytest.raises(httpcore.ReadError):
        _Stream(Closing(), _Backend(httpcore.NetworkBackend())).read(1)


async def test_a_given_client_that_was_closed_before():
    with httpx.Client() as http:
        pass
    with pytest.raises(ac.ClientClosedError) as caught:
        ac.Client(api_key="k", http_client=http).chat(HELLO, model="m")
    assert caught.value.exposure is ac.Exposure.NOTHING
    async with httpx.AsyncClient() as http:
        pass
    with pytest.raises(ac.ClientClosedError):
        await ac.AsyncClient(api_key="k", http_client=http).chat(HELLO, model="m")


async def test_what_a_given_client_raises_of_its_own_is_left_alone():
    def fail(_request):
        raise RuntimeError("mine")

    transport = httpx.MockTransport(fail)
    with (
        httpx.Client(transport=transport) as http,
        pytest.raises(RuntimeError, match="mine"),
    ):
        ac.Client(api_key="k", http_client=http).chat(HELLO, model="m")
    async with httpx.AsyncClient(transport=transport) as http:
        with pytest.raises(RuntimeError, match="mine"):
            await ac.AsyncClient(api_key="k", http_client=http).chat(HELLO, model="m")


@pytest.mark.parametrize("kind", [ac.Client, ac.AsyncClient])
def test_a_client_is_not_pickled(kind):
    with pytest.raises(TypeError, match="holds the API key"):
        pickle.dumps(kind(api_key="secret-key"))
