"""The limits of the shells, without waiting for them."""

import gzip
from dataclasses import replace

import httpx
import pytest

import atoma_confidential as ac
from atoma_confidential import _http
from atoma_confidential._http import Limits, Whole, as_failure, proxy_of
from atoma_confidential._session import Send

SEND = Send("POST", "/x", {}, b"", before=ac.Exposure.LOCK, exposure=ac.Exposure.SEALED)


def test_a_reply_has_a_largest_size():
    whole = Whole(SEND, Limits(reply_bytes=10), httpx.Response(200))
    whole.add(b"x" * 10)
    with pytest.raises(ac.RemoteProtocolError, match="max_reply_bytes, 10 bytes"):
        whole.add(b"x")


@pytest.mark.parametrize(("wait", "status"), [("answer", 500), ("lock", 200)])
def test_a_reply_that_is_no_answer_is_small(monkeypatch, wait, status):
    monkeypatch.setattr(_http, "MAX_NOTE_BYTES", 10)
    response = httpx.Response(status)
    whole = Whole(replace(SEND, wait=wait), Limits(), response)
    whole.add(b"x" * 10)
    with pytest.raises(ac.RemoteProtocolError, match="exceeds 10 bytes"):
        whole.add(b"x")


def test_only_https_goes_through_a_proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://proxy.example:3128")
    monkeypatch.setenv("no_proxy", "inside.example")
    assert proxy_of("https://api.atoma.network") == "http://proxy.example:3128"
    assert proxy_of("https://inside.example") is None
    assert proxy_of("http://127.0.0.1:8080") is None


def test_a_reply_that_drips_has_a_last_moment():
    whole = Whole(SEND, Limits(answer=-1), httpx.Response(200))
    with pytest.raises(ac.ReplyTimeoutError, match="not whole in time"):
        whole.add(b"x")


@pytest.mark.parametrize(
    ("error", "kind", "exposure"),
    [
        (httpx.ConnectError, ac.ConnectionFailedError, ac.Exposure.LOCK),
        (httpx.ConnectTimeout, ac.ConnectionFailedError, ac.Exposure.LOCK),
        (httpx.PoolTimeout, ac.ConnectionFailedError, ac.Exposure.LOCK),
        (httpx.ProxyError, ac.ConnectionFailedError, ac.Exposure.LOCK),
        (httpx.ReadTimeout, ac.ReplyTimeoutError, ac.Exposure.SEALED),
        (httpx.WriteTimeout, ac.ReplyTimeoutError, ac.Exposure.SEALED),
        (TimeoutError, ac.ReplyTimeoutError, ac.Exposure.SEALED),
        (httpx.ReadError, ac.ConnectionLostError, ac.Exposure.SEALED),
        (httpx.RemoteProtocolError, ac.RemoteProtocolError, ac.Exposure.SEALED),
        (httpx.WriteError, ac.ConnectionLostError, ac.Exposure.SEALED),
    ],
)
def test_an_error_of_httpx_keeps_its_name_and_loses_its_text(error, kind, exposure):
    failure = as_failure(error("secret"), SEND)
    assert type(failure) is kind
    assert failure.exposure is exposure
    assert "secret" not in str(failure)


@pytest.mark.parametrize("begun", ["byte_came", "head_came"])
def test_once_the_answer_has_begun_the_request_has_run(begun):
    failure = as_failure(httpx.ReadError("secret"), SEND, **{begun: True})
    assert type(failure) is ac.AnswerCutError


def test_a_body_that_is_no_http_breaks_an_answer_that_has_begun():
    failure = as_failure(httpx.RemoteProtocolError("secret"), SEND, head_came=True)
    assert type(failure) is ac.AnswerCutError


def test_a_timeout_shortens_each_step_and_may_lengthen_the_answer():
    short = Limits.of(timeout=5, idle=120)
    assert (short.connect, short.lock, short.answer, short.probe) == (5, 5, 5, 5)
    long = Limits.of(timeout=3600, idle=120)
    assert (long.connect, long.lock, long.answer) == (10, 60, 3600)
    assert (long.silence, long.idle) == (3600, 120)
    assert Limits.of(timeout=None, idle=1) == Limits(idle=1)


class Body(httpx.SyncByteStream, httpx.AsyncByteStream):
    closed = 0

    def close(self):
        self.closed += 1

    async def aclose(self):
        self.closed += 1


STREAM = Body()
KEY = "pZ2q5Yb7kVwlXZsYtV4bqz5yQmV8l0m5pJxJ0m9uQ2A="


def head_only(request):
    if request.url.path == "/v1/nodes/lock":
        lease = {"public_key": KEY, "node_small_id": 1, "stack_small_id": 1}
        return httpx.Response(200, json=lease)
    return httpx.Response(200, headers={"content-type": "text/html"}, stream=STREAM)


async def test_a_live_reply_that_is_no_stream_is_hung_up_on():
    hello = [{"role": "user", "content": "Hello"}]
    settings = {"api_key": "k", "stream_mode": "live", "max_retries": 0}
    transport = httpx.MockTransport(head_only)
    with (
        httpx.Client(transport=transport) as http,
        ac.Client(http_client=http, **settings) as client,
        pytest.raises(ac.RemoteProtocolError, match="not an event stream"),
    ):
        next(client.stream_chat(hello, model="m"))
    assert STREAM.closed == 1
    async with (
        httpx.AsyncClient(transport=transport) as http,
        ac.AsyncClient(http_client=http, **settings) as client,
    ):
        with pytest.raises(ac.RemoteProtocolError, match="not an event stream"):
            await anext(client.stream_chat(hello, model="m"))
    assert STREAM.closed == 2


def swelling(request):
    """Answer everything with a few bytes that would be a megabyte."""
    body = gzip.compress(b" " * 2**20)
    headers = {"content-encoding": "gzip", "content-type": "text/event-stream"}
    if request.url.path == "/v1/nodes/lock" and request.headers["x-what"] != "lock":
        lease = {"public_key": KEY, "node_small_id": 1, "stack_small_id": 1}
        return httpx.Response(200, json=lease)
    return httpx.Response(200, headers=headers, stream=httpx.ByteStream(body))


@pytest.mark.parametrize("what", ["lock", "answer", "stream"])
def test_a_compressed_reply_is_refused_and_never_unpacked(what, monkeypatch):
    def refuse(*_args):
        raise AssertionError

    monkeypatch.setattr(httpx._decoders.GZipDecoder, "decode", refuse)

    def mark(request):
        request.headers["x-what"] = what
        return swelling(request)

    hello = [{"role": "user", "content": "Hello"}]
    with (
        httpx.Client(transport=httpx.MockTransport(mark)) as http,
        ac.Client(http_client=http, api_key="k", stream_mode="live") as client,
    ):
        ask = {"stream": lambda: next(client.stream_chat(hello, model="m"))}
        with pytest.raises(ac.RemoteProtocolError, match="compressed"):
            ask.get(what, lambda: client.chat(hello, model="m"))()


def test_no_error_holds_the_request(monkeypatch):
    def fail(request):
        raise httpx.ReadError("broken", request=request)

    hello = [{"role": "user", "content": "Hello"}]
    with (
        httpx.Client(transport=httpx.MockTransport(fail)) as http,
        ac.Client(http_client=http, api_key="secret", max_retries=0) as client,
        pytest.raises(ac.ConnectionLostError) as caught,
    ):
        client.chat(hello, model="m")
    assert caught.value.__context__ is None
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(
    ("proxy", "used"),
    [
        ("http://there.example:1", "http://there.example:1"),
        ("user:secret@there.example:1", "http://user:secret@there.example:1"),
    ],
)
def test_a_proxy_may_be_named_without_its_scheme(monkeypatch, proxy, used):
    monkeypatch.setenv("https_proxy", proxy)
    assert proxy_of("https://api.example") == used


@pytest.mark.parametrize("proxy", ["socks5://user:secret@there.example:1", "ftp://x"])
def test_a_proxy_of_another_kind_is_refused_without_its_password(monkeypatch, proxy):
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(ac.InvalidInputError) as caught:
        proxy_of("https://api.example")
    assert "secret" not in str(caught.value)
