"""What a transport is made with, and the events of its streams by themselves."""

import httpx
import httpx2
import pytest
from shells import CHAT, MESSAGES
from transported import OURS, without

import atoma_confidential as ac
from atoma_confidential._openai_wire import DONE, Asked
from atoma_confidential._transports import AsyncFrames, Frames
from atoma_confidential.httpx import SEALED_BASE_URL

ASKED = {"model": CHAT, "messages": MESSAGES}


class Watching(httpx.HTTPTransport):
    def __init__(self):
        super().__init__()
        self.seen = []
        self.closed = 0

    def handle_request(self, request):
        self.seen.append(request.url.path)
        return super().handle_request(request)

    def close(self):
        self.closed += 1
        super().close()


class AsyncWatching(httpx.AsyncHTTPTransport):
    def __init__(self):
        super().__init__()
        self.seen = []
        self.closed = 0

    async def handle_async_request(self, request):
        self.seen.append(request.url.path)
        return await super().handle_async_request(request)

    async def aclose(self):
        self.closed += 1
        await super().aclose()


WAY = ["/v1/nodes/lock", "/v1/confidential/chat/completions"]
URL = f"{SEALED_BASE_URL}/chat/completions"


@pytest.mark.parametrize("library", OURS)
@pytest.mark.parametrize("wrapped", [False, True], ids=["transport", "client"])
def test_inner_sends_to_the_network(atoma, library, wrapped):
    settings = {"api_key": atoma.api_key, "base_url": atoma.base_url}
    watching = Watching()
    inner = httpx.Client(transport=watching) if wrapped else watching
    transport = OURS[library].ConfidentialTransport(inner=inner, **settings)

    with library.Client(transport=transport) as client:
        assert client.post(URL, json=ASKED).status_code == 200
    assert watching.seen == WAY
    assert watching.closed == (not wrapped)
    if wrapped:
        inner.close()


@pytest.mark.parametrize("library", OURS)
@pytest.mark.parametrize("wrapped", [False, True], ids=["transport", "client"])
async def test_inner_sends_to_the_network_asynchronously(atoma, library, wrapped):
    settings = {"api_key": atoma.api_key, "base_url": atoma.base_url}
    watching = AsyncWatching()
    inner = httpx.AsyncClient(transport=watching) if wrapped else watching
    transport = OURS[library].AsyncConfidentialTransport(inner=inner, **settings)

    async with library.AsyncClient(transport=transport) as client:
        assert (await client.post(URL, json=ASKED)).status_code == 200
    assert watching.seen == WAY
    assert watching.closed == (not wrapped)
    if wrapped:
        await inner.aclose()


@pytest.mark.parametrize("library", OURS)
def test_an_inner_client_keeps_the_proxies_of_the_environment(
    atoma, library, monkeypatch
):
    """Ours use none over http; that a proxy was asked shows in what it was sent."""
    monkeypatch.setenv("HTTP_PROXY", atoma.base_url)
    monkeypatch.setenv("NO_PROXY", "")
    settings = {"api_key": atoma.api_key, "base_url": "http://127.0.0.1:9"}
    with httpx.Client() as inner:
        transport = OURS[library].ConfidentialTransport(inner=inner, **settings)
        with library.Client(transport=transport) as client:
            client.post(URL, json=ASKED)
    transport = OURS[library].ConfidentialTransport(max_retries=0, **settings)
    with (
        library.Client(transport=transport) as client,
        pytest.raises(ac.ConnectionFailedError),
    ):
        client.post(URL, json=ASKED)

    assert atoma.tap.sent.count(b"POST http://127.0.0.1:9/v1/nodes/lock") == 1


@pytest.mark.parametrize("ours", OURS.values())
@pytest.mark.parametrize(
    ("kind", "inner", "wanted"),
    [
        ("ConfidentialTransport", httpx2.Client, "httpx.Client"),
        ("ConfidentialTransport", httpx2.HTTPTransport, "httpx.Client"),
        ("ConfidentialTransport", httpx.AsyncClient, "httpx.Client"),
        ("AsyncConfidentialTransport", httpx2.AsyncClient, "httpx.AsyncClient"),
        ("AsyncConfidentialTransport", httpx.Client, "httpx.AsyncClient"),
    ],
)
def test_an_inner_of_another_kind_is_refused(ours, kind, inner, wanted):
    with pytest.raises(ac.InvalidInputError, match=f"with httpx .*{wanted} or"):
        getattr(ours, kind)(api_key="k", inner=inner())


@pytest.mark.parametrize(("library", "other"), [(httpx, httpx2), (httpx2, httpx)])
async def test_a_client_of_the_other_library_is_told_where_to_go(library, other, atoma):
    settings = {"api_key": atoma.api_key, "base_url": atoma.base_url}
    sentence = (
        f"for {library.__name__}: the client is {other.__name__}'s, so take the one "
        f"from atoma_confidential.{other.__name__}"
    )
    transport = OURS[library].ConfidentialTransport(**settings)
    with (
        other.Client(transport=transport) as client,
        pytest.raises(ac.InvalidInputError, match=sentence),
    ):
        client.post(URL, json=ASKED)
    transport = OURS[library].AsyncConfidentialTransport(**settings)
    async with other.AsyncClient(transport=transport) as client:
        with pytest.raises(ac.InvalidInputError, match=sentence):
            await client.post(URL, json=ASKED)

    assert atoma.exchanges == []


@pytest.mark.parametrize("ours", OURS.values())
@pytest.mark.parametrize(
    "kind", ["ConfidentialTransport", "AsyncConfidentialTransport"]
)
def test_a_transport_only_seals(ours, kind):
    with pytest.raises(ac.InvalidInputError, match="only seals"):
        getattr(ours, kind)(api_key="k", confidential=False)


def test_without_the_library_one_sentence_says_what_to_install(monkeypatch):
    with pytest.raises(ModuleNotFoundError) as caught:
        without(monkeypatch, "httpx2", "atoma_confidential.httpx2")

    assert str(caught.value) == (
        "httpx2 is not installed. Run: pip install 'atoma-confidential[httpx2]'"
    )


# -- the events of a stream ----------------------------------------------------------

CHUNK = {"choices": [{"index": 0, "delta": {"content": "Hi"}}]}
EVENT = b'data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}\n\n'


def frames(*, fails=False, ends=True):
    """The body of a stream with two chunks, and the stream."""

    def start(outcome):
        yield CHUNK
        if fails:
            raise ac.StreamTruncatedError("It was cut.", ac.Exposure.SEALED)
        outcome.verdict = ac.Verdict.plain("live") if ends else None

    stream = ac.ChatStream(start)
    return Frames(httpx, Asked(None, stream=True), CHUNK, stream)


def async_frames(*, fails=False, ends=True):
    async def start(outcome):
        yield CHUNK
        if fails:
            raise ac.StreamTruncatedError("It was cut.", ac.Exposure.SEALED)
        outcome.verdict = ac.Verdict.plain("live") if ends else None

    stream = ac.AsyncChatStream(start)
    return AsyncFrames(httpx, Asked(None, stream=True), CHUNK, stream)


async def each_kind(**how):
    """Yield functions that read on and that close, of both kinds of body."""
    body = frames(**how)

    async def read():
        return next(body, None)

    async def close():
        body.close()

    yield read, close
    body = async_frames(**how)
    yield (lambda: anext(body, None)), body.aclose


async def test_the_end_is_said_once():
    async for read, _ in each_kind():
        assert [await read() for _ in range(4)][1:] == [EVENT, DONE, None]


async def test_after_a_failure_there_is_no_end():
    async for read, _ in each_kind(fails=True):
        await read()
        await read()
        with pytest.raises(ac.StreamTruncatedError):
            await read()
        for _ in range(2):
            with pytest.raises(ac.ConfidentialError):
                await read()


async def test_nor_is_there_one_after_it_was_closed():
    async for read, close in each_kind():
        await read()
        await close()
        with pytest.raises(ac.ClientClosedError):
            await read()


async def test_nor_without_a_verdict():
    async for read, _ in each_kind(ends=False):
        await read()
        await read()
        with pytest.raises(ac.ClientClosedError):
            await read()
