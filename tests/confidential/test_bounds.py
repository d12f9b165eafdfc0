"""Each bound at its last value and one beyond it, in both shells."""

import asyncio
import contextlib
import json
import socket
import threading

import httpx
import pytest
from long_streams import peak_of, streaming
from scripted import ScriptedEngine
from shells import CHAT, MESSAGES, locks, posts

import atoma_confidential as ac
from atoma_confidential import _http, _json, _nonces, _reply, _request, _session, _wire
from atoma_confidential._nonces import SeenNonces
from atoma_confidential.errors import Exposure

CHUNK = {"delta": {"content": "x"}}
LAST = {"delta": {}, "finish_reason": "stop"}


@pytest.fixture
def engine():
    return ScriptedEngine()


@pytest.fixture
def scripted(make_atoma, engine):
    return make_atoma(backend=engine)


@pytest.fixture
def sizes(monkeypatch):
    """The sizes of the replies that were read whole."""
    seen = []
    real = _http.Whole.reply

    def reply(self):
        seen.append(len(self._body))
        return real(self)

    monkeypatch.setattr(_http.Whole, "reply", reply)
    return seen


# --- what comes ---------------------------------------------------------------------


@pytest.mark.parametrize("way", ["chat", "embed"])
def test_an_answer_may_have_max_reply_bytes(scripted, connect, sizes, way):
    ask = {"chat": lambda s: s.chat(), "embed": lambda s: s.embed(["a"])}
    ask[way](connect(scripted))
    assert ask[way](connect(scripted, max_reply_bytes=sizes[-1]))
    with pytest.raises(ac.RemoteProtocolError, match="max_reply_bytes") as caught:
        ask[way](connect(scripted, max_reply_bytes=sizes[-1] - 1))
    assert caught.value.exposure is Exposure.SEALED


@pytest.mark.parametrize("size", [0, -1, 1.5, "1", True])
def test_max_reply_bytes_is_a_number_of_bytes(size):
    with pytest.raises(ac.InvalidInputError, match="max_reply_bytes"):
        ac.Client(api_key="k", max_reply_bytes=size)


def test_max_reply_bytes_has_a_default():
    limits = ac.Client(api_key="k", max_reply_bytes=None)._connection.limits
    assert limits.reply_bytes == _http.MAX_REPLY_BYTES
    limits = ac.Client(api_key="k", max_reply_bytes=1, timeout=5)._connection.limits
    assert (limits.reply_bytes, limits.answer) == (1, 5)


class Padded:
    """Answers each lock with so many bytes, and nothing else."""

    def __init__(self, size):
        lease = {"node_small_id": 1, "stack_small_id": 1, "public_key": "A" * 43 + "="}
        self._lease = json.dumps(lease).ljust(size)
        self.asked = []
        self.transport = httpx.MockTransport(self.answer)

    def answer(self, request):
        self.asked.append(request.url.path)
        if request.url.path == "/v1/nodes/lock":
            return httpx.Response(200, text=self._lease)
        return httpx.Response(401)


async def asked(size):
    """Ask both clients, and return what each said and the requests it made."""
    told = []
    padded = Padded(size)
    with (
        httpx.Client(transport=padded.transport) as http,
        ac.Client(http_client=http, api_key="k") as client,
        pytest.raises(ac.ConfidentialError) as caught,
    ):
        client.chat(MESSAGES, model=CHAT)
    told.append((caught.value, len(padded.asked)))
    padded.asked.clear()
    async with (
        httpx.AsyncClient(transport=padded.transport) as http,
        ac.AsyncClient(http_client=http, api_key="k") as client,
    ):
        with pytest.raises(ac.ConfidentialError) as caught:
            await client.chat(MESSAGES, model=CHAT)
    return [*told, (caught.value, len(padded.asked))]


async def test_what_is_no_answer_has_at_most_a_mebibyte():
    for error, requests in await asked(_http.MAX_NOTE_BYTES):
        assert (type(error), requests) == (ac.UnusableKeyError, 1)  # it was read
    for error, requests in await asked(_http.MAX_NOTE_BYTES + 1):
        assert (type(error), requests) == (ac.RemoteProtocolError, 1)
        assert f"exceeds {_http.MAX_NOTE_BYTES} bytes" in str(error)
        assert error.exposure is Exposure.LOCK


class Heads:
    """Answers each connection with a head of so many bytes and a 401."""

    def __init__(self, size):
        self._head = b"HTTP/1.1 401 No\r\nContent-Length: 0\r\nX: " + b"x" * size
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.base_url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self.api_key = "k"
        threading.Thread(target=self._answer, daemon=True).start()

    def _answer(self):
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listener.accept()
                with connection, contextlib.suppress(OSError):
                    connection.recv(65536)
                    connection.sendall(self._head + b"\r\n\r\n")
                    connection.recv(65536)

    def close(self):
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@pytest.mark.parametrize(
    ("size", "kind"),
    [(60_000, ac.AuthenticationError), (200_000, ac.RemoteProtocolError)],
)
def test_a_head_has_at_most_100_kibibytes(connect, size, kind):
    server = Heads(size)
    with pytest.raises(kind):
        connect(server, max_retries=0).chat()
    server.close()


class Full:
    """Listens, and has no room for a further connection."""

    def __init__(self):
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        address = self._listener.getsockname()
        self.base_url = f"http://127.0.0.1:{address[1]}"
        self.api_key = "k"
        self._waiting = [socket.socket() for _ in range(4)]
        for one in self._waiting:
            one.setblocking(False)  # noqa: FBT003
            one.connect_ex(address)

    def close(self):
        for one in [self._listener, *self._waiting]:
            one.close()


def test_a_connection_stands_in_time(connect, monkeypatch):
    server = Full()
    monkeypatch.setattr(_http.Limits, "head", lambda *_: 30)  # not the reply's time
    with pytest.raises(ac.ConnectionFailedError, match="ConnectTimeout") as caught:
        connect(server, max_retries=0, timeout=0.2).chat()
    assert caught.value.exposure is Exposure.NOTHING
    server.close()


@pytest.mark.parametrize(("size", "fits"), [(6_280_000, True), (6_300_000, False)])
def test_an_event_has_at_most_eight_mebibytes(scripted, engine, connect, size, fits):
    """Of base64: `test_sse` has the exact bound."""
    engine.chunks = [{"delta": {"content": "x" * size}}, LAST]
    shell = connect(scripted, stream_mode="live")
    if fits:
        assert len(shell.stream()[0]) == 3
        return
    with pytest.raises(ac.RemoteProtocolError, match="event exceeds 8388608"):
        shell.stream()


def test_a_stream_has_at_most_so_many_events(scripted, engine, connect, monkeypatch):
    engine.chunks = [CHUNK] * 5 + [LAST]
    shell = connect(scripted, stream_mode="live")
    monkeypatch.setattr(_reply, "MAX_EVENTS", 7)
    assert len(shell.stream()[0]) == 7  # usage has one of its own
    monkeypatch.setattr(_reply, "MAX_EVENTS", 6)
    with pytest.raises(ac.RemoteProtocolError, match="does not end"):
        shell.stream()


def nested(levels):
    value = []
    for _ in range(levels - 1):
        value = [value] if levels % 2 else {"a": value}
    return value


@pytest.mark.parametrize("levels", [_json.MAX_DEPTH - 1, _json.MAX_DEPTH - 2])
def test_an_answer_nests_so_deeply(scripted, engine, connect, levels):
    shell = connect(scripted, stream_mode="live")
    engine.answer_fields = {"extra": nested(levels)}
    assert shell.chat().body["extra"] == nested(levels)
    assert all(chunk["extra"] == nested(levels) for chunk in shell.stream()[0])
    engine.answer_fields = {"extra": nested(_json.MAX_DEPTH)}
    with pytest.raises(ac.RemoteProtocolError, match="nested too deeply"):
        shell.chat()
    with pytest.raises(ac.RemoteProtocolError, match="nested too deeply"):
        shell.stream()


def test_many_lists_side_by_side_are_not_deep(scripted, engine, connect):
    engine.answer_fields = {"extra": [[]] * 500, "text": "[{" * 500}
    assert connect(scripted).chat().body["extra"] == [[]] * 500


@pytest.mark.parametrize(("beside", "told"), [(997, "no list"), (998, "too many")])
def test_so_much_may_stand_around_a_ciphertext(beside, told):
    """An object, a list and a comma between two members are three."""
    body = f'{{"ciphertext":"AAAA","x":[{",".join("0" * (beside + 1))}]}}'
    assert body.count("{") + body.count("[") + body.count(",") == beside + 3
    with pytest.raises(ac.RemoteProtocolError) as caught:
        _wire.parse_sealed(body.encode())
    assert ("too many members" in str(caught.value)) is (told == "too many")


# --- what goes ----------------------------------------------------------------------


def image(size):
    """An image is few units and many bytes."""
    part = {"type": "image_url", "image_url": {"url": "x" * size}}
    return [{"role": "user", "content": [part]}]


def fits(size):
    request = _request.chat_request(
        image(size), model=CHAT, parameters={}, extra_body=None, stream=False
    )
    try:
        request.encode(stream=False)
    except ac.RequestTooLargeError:
        return False
    return True


def test_a_request_has_at_most_a_megabyte_and_a_half(scripted, connect):
    low, high = 1_000_000, _request.MAX_BODY_BYTES
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    shell = connect(scripted)
    assert shell.chat(image(low))
    (post,) = posts(scripted)
    assert len(post.body) < 2 * 2**20  # what the proxy takes
    with pytest.raises(ac.RequestTooLargeError, match="1500000") as caught:
        shell.chat(image(high))
    assert caught.value.exposure is Exposure.NOTHING
    assert len(locks(scripted)) == 1


class Counting(ScriptedEngine):
    """Counts how many requests it has at a time, and answers none before `together`."""

    def __init__(self, together):
        super().__init__()
        self.now = self.most = 0
        self._together = together
        self._met = asyncio.Event()

    async def embed(self, body):
        self.now += 1
        self.most = max(self.most, self.now)
        if self.now == self._together:
            self._met.set()
        async with asyncio.timeout(30):
            await self._met.wait()
        await asyncio.sleep(0.02)  # in which one too many would come
        self.now -= 1
        return super().embed(body)


@pytest.mark.parametrize("limit", [1, 3])
def test_so_many_batches_are_under_way_at_a_time(make_atoma, connect, limit):
    engine = Counting(limit)
    shell = connect(make_atoma(backend=engine))
    texts = [f"Deed {n} of the notary of Iphofen" for n in range(20)]
    shell.embed(texts, batch_size=1, max_concurrency=limit)
    assert engine.most == limit
    assert len(engine.asked) == 20


# --- what is kept -------------------------------------------------------------------


def test_what_is_known_of_keys_is_bounded():
    session = _session.Session(api_key="k", now=lambda: 0.0)
    for number in range(3 * _session.MAX_KEYS):
        session.note_nonces(number.to_bytes(4), "fresh")
        assert len(session.nonces) <= _session.MAX_KEYS
    assert session.nonces[number.to_bytes(4)] == "fresh"


async def counted(items):
    count = 0
    async for _ in items:
        count += 1
    return count


def nonces(numbers):
    return (number.to_bytes(12) for number in numbers)


def test_of_a_usual_stream_all_nonces_are_known():
    for again in (0, _nonces.KEPT, 2 * _nonces.KEPT, 3 * _nonces.KEPT - 1):
        seen = SeenNonces()
        assert not any(map(seen.note, nonces(range(3 * _nonces.KEPT))))
        assert seen.note(again.to_bytes(12))


def test_a_counter_that_starts_anew_shows_whatever_its_period():
    seen = SeenNonces()
    period = 10 * _nonces.KEPT
    assert not any(map(seen.note, nonces(range(period))))
    assert seen.note((0).to_bytes(12))


def test_a_source_that_sticks_shows_at_once():
    seen = SeenNonces()
    assert not any(map(seen.note, nonces(range(5 * _nonces.KEPT))))
    assert seen.note((5 * _nonces.KEPT - 1).to_bytes(12))


def test_nonces_take_no_more_memory_in_a_longer_stream():
    def note(count):
        seen = SeenNonces()
        for nonce in nonces(range(count)):
            seen.note(nonce)

    full = peak_of(lambda: note(3 * _nonces.KEPT))
    assert full < 8 * 2**20
    assert peak_of(lambda: note(6 * _nonces.KEPT)) <= full + 2**16


@pytest.mark.filterwarnings("ignore::atoma_confidential.ConfidentialityWarning")
@pytest.mark.parametrize("shell", ["sync", "async"])
def test_a_longer_stream_takes_no_more_memory(monkeypatch, shell):
    monkeypatch.setattr(_nonces, "KEPT", 30)
    settings = {"api_key": "k", "stream_mode": "live"}

    def read(count):
        with (
            httpx.Client(transport=streaming(count)) as http,
            ac.Client(http_client=http, **settings) as client,
        ):
            return sum(1 for _ in client.stream_chat(MESSAGES, model=CHAT))

    async def aread(count):
        async with (
            httpx.AsyncClient(transport=streaming(count)) as http,
            ac.AsyncClient(http_client=http, **settings) as client,
            client.stream_chat(MESSAGES, model=CHAT) as stream,
        ):
            return await counted(stream)

    run = {"sync": read, "async": lambda count: asyncio.run(aread(count))}[shell]
    assert run(10) == 12
    short = peak_of(lambda: run(200))
    assert peak_of(lambda: run(2_000)) < short + 2**16
