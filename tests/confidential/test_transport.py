"""What an OpenAI-shaped client gets through a transport, of both HTTP libraries."""

import gc
import json

import httpx
import httpx2
import pytest
from shells import CHAT, EMBEDDING, MESSAGES, PATTERNS, posts, text_of
from transported import Asynchronous, Blocking, events

import atoma_confidential as ac
from atoma_confidential.httpx import SEALED_BASE_URL

ASKED = {"model": CHAT, "messages": MESSAGES}
STREAM = {**ASKED, "stream": True}
FACES = [
    pytest.param((face, library), id=f"{library.__name__}-{face.__name__}")
    for library in (httpx, httpx2)
    for face in (Blocking, Asynchronous)
]


@pytest.fixture(params=FACES)
def seal(request, recorded):
    """Make clients before a transport; what they say is not found on the wire."""
    face, library = request.param
    made = []

    def make(atoma, **settings):
        settings = {"api_key": atoma.api_key, "base_url": atoma.base_url} | settings
        made.append(face(library, **settings))
        return made[-1]

    yield make
    for client in made:
        client.close()
    sent = [tap.sent for tap in recorded.taps]
    assert not any(pattern.data in raw for pattern in PATTERNS for raw in sent)


@pytest.fixture
def sealed(seal, atoma):
    return seal(atoma)


def test_an_answer_is_what_the_engine_said(sealed, atoma, canary):
    response = sealed.request("POST", "/chat/completions", json=ASKED)

    assert response.status_code == 200
    answer = response.extensions["atoma"]
    assert response.content == answer.opened
    assert canary in str(atoma.opened[-1].body)
    assert "4711" in response.json()["choices"][0]["message"]["content"]
    verdict = json.loads(response.headers["x-atoma-verdict"])
    assert verdict == answer.verdict.as_dict()
    assert (verdict["sealed"], verdict["stream"]) == (True, "none")
    assert atoma.violations == []


@pytest.mark.parametrize(
    ("mode", "live"), [("live", True), ("buffered", False), ("auto", True)]
)
def test_a_stream_says_that_it_is_over_once_it_is(seal, atoma, mode, live):
    response = seal(atoma, stream_mode=mode).request(
        "POST", "/chat/completions", json=STREAM
    )
    chunks, over = events(response.content)

    assert over
    assert response.headers["content-type"] == "text/event-stream"
    assert "4711" in text_of(chunks)
    assert len(chunks) > 3 if live else len(chunks) == 1
    assert all(chunk["choices"] and "usage" not in chunk for chunk in chunks)
    verdict = response.extensions["atoma"].verdict
    assert verdict.stream == ("live" if live else "buffered")


def test_usage_comes_with_a_stream_that_asked_for_it(sealed):
    asked = STREAM | {"stream_options": {"include_usage": True}}
    response = sealed.request("POST", "/chat/completions", json=asked)
    (*_, last), over = events(response.content)

    assert over
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] > 0


def test_vectors_and_models(sealed, atoma):
    asked = {"model": EMBEDDING, "input": ["one text", "another text"]}
    response = sealed.request("POST", "/embeddings", json=asked)
    vectors = [item["embedding"] for item in response.json()["data"]]
    with ac.Client(base_url=atoma.base_url, api_key=atoma.api_key) as client:
        expected = client.embed(asked["input"], model=EMBEDDING).vectors

    assert vectors == [pytest.approx(vector, abs=1e-6) for vector in expected]
    assert json.loads(response.headers["x-atoma-verdict"])["sealed"] is True
    listed = sealed.request("GET", "/models").json()
    assert CHAT in [model["id"] for model in listed["data"]]


def test_both_bases_serve(sealed, atoma):
    base = f"{sealed.transport.base_url}/v1"
    response = sealed.request("POST", "/chat/completions", base=base, json=ASKED)

    assert response.status_code == 200


def test_no_header_of_the_application_is_sent(seal, atoma):
    headers = {
        "Authorization": "Bearer somebody-elses",
        "OpenAI-Organization": "org-secret",
        "x-stainless-os": "Linux",
        "X-Request-Id": "chosen",
        "Cookie": "session=secret",
        "User-Agent": "OpenAI/Python 9",
    }
    seal(atoma).request("POST", "/chat/completions", json=ASKED, headers=headers)

    assert len(atoma.exchanges) == 2
    for exchange in atoma.exchanges:
        sent = {name.lower(): value for name, value in dict(exchange.headers).items()}
        assert sent["authorization"] == f"Bearer {atoma.api_key}"
        assert sent["user-agent"] == "atoma-confidential"
        assert not sent.keys() & {"openai-organization", "x-stainless-os", "cookie"}
        assert "chosen" not in str(sent)


REFUSED = [
    ("POST", "/responses", {"json": {"model": CHAT, "input": "x"}}),
    ("POST", "/completions", {"json": {"model": CHAT, "prompt": "x"}}),
    ("POST", "/chat/completions/", {"json": ASKED}),
    ("POST", "/chat/completions?a=b", {"json": ASKED}),
    ("POST", "//chat/completions", {"json": ASKED}),
    ("POST", "/chat/completions/..", {"json": ASKED}),
    ("POST", "/%63hat/completions", {"json": ASKED}),
    ("GET", "/chat/completions", {}),
    ("GET", "/models/m", {}),
    ("DELETE", "/models", {}),
    ("POST", "/chat/completions", {"content": b"{}"}),
    ("POST", "/chat/completions", {"json": [ASKED]}),
    ("POST", "/chat/completions", {"json": ASKED | {"n": 2, "stream": True}}),
    ("POST", "/chat/completions", {"files": {"file": b"x"}}),
    ("POST", "/chat/completions", {"json": ASKED, "base": "https://api.openai.com/v1"}),
    (
        "POST",
        "/chat/completions",
        {"json": ASKED, "headers": {"content-encoding": "gzip"}},
    ),
    ("POST", "/embeddings", {"json": {"model": EMBEDDING, "input": [[1, 2]]}}),
    ("POST", "/embeddings", {"json": {"model": EMBEDDING, "input": [""]}}),
]


@pytest.mark.parametrize(("method", "path", "options"), REFUSED)
def test_what_is_not_sealed_does_not_leave(sealed, atoma, method, path, options):
    with pytest.raises(ac.InvalidInputError) as caught:
        sealed.request(method, path, **options)

    assert caught.value.exposure is ac.Exposure.NOTHING
    assert atoma.exchanges == []


@pytest.mark.parametrize(
    "path", ["/v1/chat/completions", "//evil.example/v1/chat/completions", "*"]
)
def test_another_target_on_the_request_line_changes_nothing(sealed, atoma, path):
    """httpx would send it in the place of the URL's path."""
    request = sealed.library.Request(
        "POST",
        f"{SEALED_BASE_URL}/chat/completions",
        json=ASKED,
        extensions={"target": path.encode()},
    )
    sealed.send(request)

    assert [seen.path for seen in atoma.exchanges] == [
        "/v1/nodes/lock",
        "/v1/confidential/chat/completions",
    ]


STATUSES = [
    ("lock-401", 401),
    ("lock-402", 402),
    ("lock-503", 503),
    ("post-403", 403),
    ("post-423", 423),
    ("post-429-retry-after:3600", 429),
    ("post-502-html", 502),
]


@pytest.mark.parametrize("body", [ASKED, STREAM], ids=["whole", "stream"])
@pytest.mark.parametrize(("fault", "status"), STATUSES)
def test_a_status_that_was_sent_comes_out(
    seal, make_atoma, delays, fault, status, body
):
    atoma = make_atoma()
    atoma.faults.always(fault)
    client = seal(atoma, stream_mode="live")
    response = client.request("POST", "/chat/completions", json=body)

    assert response.status_code == status
    assert response.headers["x-should-retry"] == "false"
    told = response.json()["error"]
    assert told["message"].startswith(f"The server answered {status}")
    assert "Left the process:" in told["message"]
    assert ("retry-after" in response.headers) == (":" in fault)


FAULTS = [
    ("tag-tampered", ac.OpenError),
    ("hash-wrong", ac.DigestMismatchError),
    ("reflection", ac.ReflectionError),
    ("reply-not-json", ac.RemoteProtocolError),
    ("reply-gzip", ac.RemoteProtocolError),
    ("lock-gzip", ac.RemoteProtocolError),
    ("lock-key-zero", ac.UnusableKeyError),
    ("post-307", ac.ServerError),
    ("engine-error-object", ac.EngineError),
    ("post-cut", ac.AnswerCutError),
]


@pytest.mark.parametrize(("fault", "kind"), FAULTS)
def test_any_other_failure_is_raised_as_ours(seal, make_atoma, delays, fault, kind):
    atoma = make_atoma()
    atoma.faults.always(fault)

    with pytest.raises(kind) as caught:
        seal(atoma).request("POST", "/chat/completions", json=ASKED)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


def test_a_policy_that_refuses_seals_nothing(seal, atoma):
    client = seal(atoma, trust=ac.TrustPolicy.signed_by({999_999: "0x" + "00" * 32}))

    with pytest.raises(ac.AttestationError):
        client.request("POST", "/chat/completions", json=ASKED)
    assert posts(atoma) == []


@pytest.mark.parametrize(
    "fault", ["stream-no-finish", "stream-cut:3", "stream-truncated:2"]
)
def test_a_stream_that_fails_does_not_end(seal, make_atoma, fault):
    atoma = make_atoma()
    atoma.faults.always(fault)
    client = seal(atoma, stream_mode="live")

    with pytest.raises(ac.StreamTruncatedError):
        client.request("POST", "/chat/completions", json=STREAM)


def test_an_early_end_is_silent(seal, atoma, recwarn):
    client = seal(atoma, stream_mode="live")
    pieces, response = client.take("/chat/completions", STREAM, 2)
    gc.collect()

    assert len(pieces) == 2
    assert b"[DONE]" not in b"".join(pieces)
    assert response.extensions["atoma"].verdict is None
    assert not recwarn.list
    assert client.request("POST", "/chat/completions", json=STREAM).status_code == 200


@pytest.mark.parametrize("body", [ASKED, STREAM], ids=["whole", "stream"])
def test_the_requests_own_timeout_counts(seal, make_atoma, body):
    atoma = make_atoma()
    atoma.faults.always("post-silent")
    client = seal(atoma, stream_mode="live")

    with pytest.raises(ac.ReplyTimeoutError) as caught:
        client.request("POST", "/chat/completions", json=body, timeout=0.4)
    assert isinstance(caught.value, client.library.ReadTimeout)
    assert caught.value.exposure is ac.Exposure.SEALED


def test_no_timeout_of_the_request_leaves_those_of_the_transport(seal, make_atoma):
    """Some SDKs turn the timeouts of their client off for each request."""
    atoma = make_atoma()
    atoma.faults.always("post-silent")
    client = seal(atoma, timeout=0.4)

    with pytest.raises(ac.ReplyTimeoutError):
        client.request("POST", "/chat/completions", json=ASKED, timeout=None)


def test_a_timeout_that_is_none_is_refused(sealed, atoma):
    with pytest.raises(ac.InvalidInputError, match="timeout is no positive number"):
        sealed.request("POST", "/chat/completions", json=ASKED, timeout=-1)

    assert atoma.exchanges == []


def test_no_connection_is_the_librarys_error_too(seal, atoma):
    client = seal(atoma, base_url="http://127.0.0.1:9", max_retries=0)

    with pytest.raises(ac.ConnectionFailedError) as caught:
        client.request("POST", "/chat/completions", json=ASKED)
    assert isinstance(caught.value, client.library.ConnectError)
