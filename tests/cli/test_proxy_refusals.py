"""Whom and what `atoma proxy` refuses, and how it says what failed."""

import http.client
import json

import httpx
import openai
import pytest
from langchain_openai import ChatOpenAI
from proxied import proxied
from shells import CHAT, EMBEDDING, MESSAGES, QUESTION, SECRET

from atoma_cli._proxy_relay import MAX_BODY_BYTES

ASK = {"model": CHAT, "messages": MESSAGES}
PATH = "/v1/chat/completions"
SERVED = [("POST", PATH), ("POST", "/v1/embeddings"), ("GET", "/v1/models")]


@pytest.fixture
def proxy(atoma):
    with proxied(atoma) as proxy:
        yield proxy


def ask(proxy, method="POST", path=PATH, *, headers=(), body=None):
    """Send header fields as they are given, even twice; gives status and error."""
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port)
    data = json.dumps(ASK if body is None else body).encode()
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    fields = [("content-type", "application/json"), ("content-length", str(len(data)))]
    for name, value in [*headers, *fields]:
        connection.putheader(name, value)
    connection.endheaders(data)
    response = connection.getresponse()
    error = json.loads(response.read())["error"]
    connection.close()
    assert response.headers["x-should-retry"] == "false"
    assert response.headers["access-control-allow-origin"] is None
    assert error.keys() == {"message", "type", "param", "code"}
    return response.status, error["message"]


def named(proxy, name=None):
    return ("host", name or f"127.0.0.1:{proxy.port}")


def let_in(proxy):
    return ("authorization", f"Bearer {proxy.token}")


@pytest.mark.parametrize(("method", "path"), [*SERVED, ("GET", "/"), ("PUT", "/x")])
def test_nobody_comes_in_without_the_token(atoma, proxy, method, path):
    right = proxy.token
    for given in (
        [],
        [f"Bearer {right}x"],
        [f"Bearer {right[:-1]}"],
        [right],
        [f"Basic {right}"],
        ["Bearer "],
        [f"Bearer {atoma.api_key}"],
        [f"Bearer {right}", f"Bearer {right}"],
        [f"Bearer {right}ü"],
    ):
        fields = [("authorization", value.encode("latin-1")) for value in given]
        status, said = ask(proxy, method, path, headers=[named(proxy), *fields])
        assert status == 401
        assert "token" in said
        assert "Left the process: nothing." in said
    assert atoma.exchanges == []


def test_a_page_that_has_the_token_does_not_come_in_either(atoma, proxy):
    for fields in (
        [named(proxy, "rebound.example")],
        [named(proxy, f"rebound.example:{proxy.port}")],
        [named(proxy, "127.0.0.1:1")],
        [named(proxy, "127.0.0.1.rebound.example")],
        [named(proxy), ("origin", "https://page.example")],
        [named(proxy), ("origin", "null")],
        [named(proxy), ("origin", proxy.url)],
    ):
        assert ask(proxy, headers=[*fields, let_in(proxy)])[0] == 403
    preflight = [named(proxy), ("origin", "https://page.example")]
    assert ask(proxy, "OPTIONS", headers=preflight)[0] == 403
    assert atoma.exchanges == []


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost", "LOCALHOST", "[::1]"])
def test_this_machine_has_several_names(proxy, name):
    known = named(proxy, f"{name}:{proxy.port}")

    assert ask(proxy, path="/v1/x", headers=[known, let_in(proxy)])[0] == 404


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/v1/responses"),
        ("POST", "/v1/completions"),
        ("POST", "/v1/chat/completions/"),
        ("POST", "/v1/chat/completions?api-version=1"),
        ("POST", "//v1/chat/completions"),
        ("POST", "/v1/confidential/chat/completions"),
        ("POST", "/v1/models"),
        ("GET", PATH),
        ("GET", "/v1/models/one"),
        ("GET", "/docs"),
        ("GET", "/"),
        ("CONNECT", "/v1/models"),
    ],
)
def test_nothing_else_is_served(atoma, proxy, method, path):
    status, said = ask(proxy, method, path, headers=[named(proxy), let_in(proxy)])

    assert status == 404
    assert "POST /v1/chat/completions" in said
    assert atoma.exchanges == []


def test_what_cannot_be_sealed_is_refused_before_anything_leaves(atoma, proxy):
    comes = [named(proxy), let_in(proxy)]
    for body, status in (
        ({}, 400),
        ([], 400),
        (ASK | {"model": ""}, 400),
        (ASK | {"stream": "yes"}, 400),
        (ASK | {"n": 2, "stream": True}, 400),
        (ASK | {"messages": [{"role": "user", "content": SECRET * 20_000}]}, 413),
        (ASK | {"messages": [{"role": "user", "content": "x" * MAX_BODY_BYTES}]}, 413),
    ):
        answered, said = ask(proxy, headers=comes, body=body)
        assert answered == status
        assert "Left the process: nothing." in said
        assert QUESTION not in said
        assert SECRET not in said
    squeezed = [*comes, ("content-encoding", "gzip")]
    assert ask(proxy, headers=squeezed)[0] == 400
    tokens = {"model": EMBEDDING, "input": [1, 2, 3]}
    assert ask(proxy, path="/v1/embeddings", headers=comes, body=tokens)[0] == 400
    assert atoma.exchanges == []


LATE = {"timeout": 0.3}

# fault, settings of the proxy, status, class of it
FAILURES = [
    ("tag-tampered", {}, 424, "OpenError"),
    ("hash-wrong", {}, 424, "DigestMismatchError"),
    ("reflection", {}, 424, "ReflectionError"),
    ("lock-key-zero", {}, 424, "UnusableKeyError"),
    ("reply-gzip", {}, 424, "RemoteProtocolError"),
    ("post-307", {}, 424, "ServerError"),
    ("post-cut", {}, 424, "AnswerCutError"),
    ("post-silent", LATE, 504, "ReplyTimeoutError"),
    ("lock-401", {}, 401, "AuthenticationError"),
    ("lock-402", {}, 402, "BalanceError"),
    ("post-429", {}, 429, "RateLimitError"),
    ("lock-503", {}, 503, "NodeUnavailableError"),
]


@pytest.mark.parametrize(
    ("fault", "settings", "status", "kind"), FAILURES, ids=[f for f, *_ in FAILURES]
)
def test_a_failure_is_told_once_and_no_sdk_repeats_it(
    atoma, fault, settings, status, kind, canary
):
    atoma.faults.always(fault)
    with (
        proxied(atoma, max_retries=0, **settings) as proxy,
        openai.OpenAI(**proxy.sdk) as client,  # which repeats, as it comes
        pytest.raises(openai.APIStatusError) as failure,
    ):
        client.chat.completions.create(**ASK)
    error = failure.value
    assert (error.status_code, error.type) == (status, kind)
    assert "Left the process: " in error.body["message"]
    assert canary not in str(error)
    assert [e.path for e in atoma.exchanges].count("/v1/nodes/lock") == 1
    assert len(proxy.lines) == 1


def test_no_network_is_a_gateways_error(atoma):
    atoma.tap.faults.always("connection-refused")
    with proxied(atoma, max_retries=0) as proxy:
        comes = [named(proxy), let_in(proxy)]
        status, said = ask(proxy, headers=comes)
    assert status == 502
    assert "Left the process: nothing." in said


def test_a_stream_that_breaks_does_not_look_whole(atoma, canary):
    atoma.faults.always("stream-truncated:2")
    with proxied(atoma, stream_mode="live") as proxy:
        with openai.OpenAI(**proxy.sdk) as client:
            stream = client.chat.completions.create(**ASK, stream=True)
            with pytest.raises(openai.APIError, match="Left the process: ") as failure:
                list(stream)
        assert failure.value.type == "StreamTruncatedError"
        assert canary not in str(failure.value)

        pieces = ChatOpenAI(model=CHAT, **proxy.sdk).stream(MESSAGES[0]["content"])
        with pytest.raises(openai.APIError, match="Left the process: "):
            list(pieces)

        came, whole = read_raw(proxy, ASK | {"stream": True})
        assert not whole
        assert came.count(b"data: ") == 3
        assert b'data: {"error":' in came
        assert b"[DONE]" not in came
        assert b"x-atoma-verdict" not in came
    assert {line.partition(": ")[2] for line in proxy.lines} == {
        "cut, StreamTruncatedError"
    }


def read_raw(proxy, body):
    """Give the bytes that came, and whether their end was one."""
    came = b""
    asked = {"json": body, "headers": proxy.headers}
    with httpx.stream("POST", f"{proxy.url}{PATH}", **asked) as response:
        try:
            for data in response.iter_raw():
                came += data
        except httpx.RemoteProtocolError:
            return came, False
    return came, True


async def test_an_asynchronous_stream_that_breaks_raises_too(atoma):
    atoma.faults.always("stream-truncated:2")
    with proxied(atoma, stream_mode="live") as proxy:
        async with openai.AsyncOpenAI(**proxy.sdk) as client:
            stream = await client.chat.completions.create(**ASK, stream=True)
            with pytest.raises(openai.APIError, match="Left the process: "):
                [chunk async for chunk in stream]


def test_a_bug_is_told_without_its_words(atoma, monkeypatch, canary):
    def broken(*_):
        raise RuntimeError(canary)

    monkeypatch.setattr("atoma_cli._proxy_relay._in_short", broken)
    monkeypatch.setattr("atoma_cli._proxy_relay._read", broken)
    with proxied(atoma) as proxy:
        status, said = ask(proxy, headers=[named(proxy), let_in(proxy)])
    assert status == 500
    assert canary not in said
    assert proxy.lines == ["500, a bug: RuntimeError"]
