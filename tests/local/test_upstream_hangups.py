"""Who hangs up is hung up for at the engine."""

import asyncio
import json
import socket
import threading

import httpx
import pytest
from mocked_engine import BODY, EVENT_STREAM, EVENTS, STREAM, mock
from plain_socket import SECONDS, chunk

from atoma_local import UpstreamBackend
from atoma_local.streaming import EventStream


class HeldEngine:
    """An engine on a plain socket: sends its head and an event when it is let."""

    def __init__(self):
        self.asked, self.let = threading.Event(), threading.Event()
        self.hung_up = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self):
        peer, _ = self._listener.accept()
        with peer:
            peer.settimeout(SECONDS)
            data = b""
            while b'"stream"' not in data:
                data = peer.recv(65536)
            self.asked.set()
            assert self.let.wait(SECONDS)
            peer.sendall(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
                b"transfer-encoding: chunked\r\n\r\n" + chunk(STREAM.encode())
            )
            while data:  # until the node hangs up
                data = peer.recv(65536)
            self.hung_up.set()

    def close(self):
        self._listener.close()
        self._thread.join()


class Named(UpstreamBackend):
    async def serves(self, _model):
        return True


@pytest.fixture
def held():
    engine = HeldEngine()
    yield engine
    engine.close()


def test_who_hangs_up_is_hung_up_for_at_the_engine(held, make_atoma, connect):
    wire = connect(make_atoma(backend=Named(held.url)))
    sealed = wire.seal(BODY | {"stream": True}, stream=True)
    held.let.set()

    with wire.streaming(sealed) as reply:
        lines = (line for line in reply.iter_lines() if line.startswith("data: "))
        first = sealed.open(json.loads(next(lines).removeprefix("data: ")))

    assert first == EVENTS[0]  # while the engine has not ended
    assert held.hung_up.wait(SECONDS)


def test_who_hangs_up_before_the_engine_has_begun(held, make_atoma, connect):
    wire = connect(make_atoma(backend=Named(held.url)))
    sealed = wire.seal(BODY | {"stream": True}, stream=True)

    leaving = threading.Thread(target=_ask_and_leave, args=(wire, sealed, held))
    leaving.start()
    leaving.join()
    held.let.set()

    assert held.hung_up.wait(SECONDS)


class Unending(httpx.AsyncByteStream):
    closed = False

    async def __aiter__(self):
        yield STREAM.encode()
        await asyncio.Event().wait()

    async def aclose(self):
        self.closed = True


async def test_who_hangs_up_without_reading_is_hung_up_for_too():
    answer, stuck = Unending(), asyncio.Event()
    backend = mock(lambda _: httpx.Response(200, headers=EVENT_STREAM, stream=answer))
    source = await backend.stream_chat(BODY)

    async def frames():
        async for event in source:
            yield json.dumps(event).encode()

    async def send(message):
        if b"id" in message.get("body", b""):
            stuck.set()
            await asyncio.Event().wait()

    async def receive():
        await stuck.wait()
        return {"type": "http.disconnect"}

    await EventStream(frames(), source)({}, receive, send)
    assert answer.closed
    await backend.aclose()


def _ask_and_leave(wire, sealed, held):
    address = wire.atoma.base_url.removeprefix("http://").split(":")
    body = json.dumps(sealed.envelope, separators=(",", ":")).encode()
    with socket.create_connection((address[0], int(address[1])), SECONDS) as one:
        one.sendall(
            b"POST /v1/confidential/chat/completions HTTP/1.1\r\nhost: x\r\n"
            b"content-type: application/json\r\ncontent-length: %d\r\n"
            b"authorization: Bearer %b\r\n\r\n%b"
            % (len(body), wire.atoma.api_key.encode(), body)
        )
        assert held.asked.wait(SECONDS)
