"""What an OpenAI-shaped client sends, and what it takes for an answer."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoma_confidential import InvalidInputError, RemoteProtocolError, Verdict, errors
from atoma_confidential._answered import Answer
from atoma_confidential._openai_wire import (
    SEALED_BASE_URL,
    Asked,
    answered,
    check_head,
    framed,
    listed,
    read_asked,
    refused,
)
from atoma_confidential._wire import Model

BASE = "https://atoma.example/proxy"
CHAT = "/chat/completions"
TYPE = {"content-type": "application/json"}
MESSAGES = [{"role": "user", "content": "Hi"}]
LEAST = {"model": "m", "messages": MESSAGES}


def encoded(**fields):
    return json.dumps(fields).encode()


@pytest.mark.parametrize("base", [f"{BASE}/v1", SEALED_BASE_URL])
@pytest.mark.parametrize(
    ("method", "path"), [("POST", CHAT), ("POST", "/embeddings"), ("GET", "/models")]
)
def test_three_requests_pass_at_two_bases(base, method, path):
    assert check_head(method, base + path, TYPE, BASE) == path


@pytest.mark.parametrize(
    "url",
    [
        f"https://atoma.example/v1{CHAT}",
        f"https://atoma.example:444/proxy/v1{CHAT}",
        f"http://atoma.example/proxy/v1{CHAT}",
        f"https://me@atoma.example/proxy/v1{CHAT}",
        f"https://atoma.example.evil/proxy/v1{CHAT}",
        f"https://api.openai.com/v1{CHAT}",
        f"{BASE}/v1{CHAT}?a=b",
        f"{BASE}/v1{CHAT}?",
        f"{BASE}/v1{CHAT}#x",
        f"{BASE}/v1{CHAT}/",
        f"{BASE}/v1//chat/completions",
        f"{BASE}/v1/../v1{CHAT}",
        f"{BASE}/v1/chat%2Fcompletions",
        f"{BASE}/v1{CHAT.upper()}",
        f"{BASE}/v1/confidential{CHAT}",
        f"{BASE}/v1/models/m",
        f"{BASE}/v1/responses",
        f"{BASE}/v1/completions",
        f"{BASE}/v1",
        f"{BASE}{CHAT}",
        f"{SEALED_BASE_URL}{CHAT}?a=b",
        f"{SEALED_BASE_URL}:80{CHAT}",
        f"https://sealed.invalid{CHAT}",
        f"{BASE}/v1/files",
        "",
    ],
)
def test_any_other_url_is_refused_and_not_repeated(url):
    with pytest.raises(InvalidInputError) as caught:
        check_head("POST", url, TYPE, BASE)

    assert not url or url not in str(caught.value)


@pytest.mark.parametrize(
    ("method", "path", "headers", "said"),
    [
        ("GET", CHAT, TYPE, "POST"),
        ("PUT", CHAT, TYPE, "POST"),
        ("POST", "/models", TYPE, "GET"),
        ("POST", CHAT, {}, "application/json"),
        ("POST", CHAT, {"content-type": "text/plain"}, "application/json"),
        ("POST", CHAT, {"content-type": "multipart/form-data"}, "application/json"),
        ("POST", CHAT, TYPE | {"content-encoding": "gzip"}, "compressed"),
        ("POST", CHAT, TYPE | {"content-encoding": "zstd"}, "compressed"),
    ],
)
def test_other_methods_and_bodies_are_refused(method, path, headers, said):
    with pytest.raises(InvalidInputError, match=said):
        check_head(method, SEALED_BASE_URL + path, headers, BASE)


def test_the_kind_of_the_body_may_have_parameters():
    headers = {"content-type": "Application/JSON; charset=utf-8"}

    assert check_head("POST", SEALED_BASE_URL + CHAT, headers, BASE) == CHAT


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"[]",
        b"{",
        b'"x"',
        b"\xff",
        encoded(),
        encoded(model="m"),
        encoded(messages=MESSAGES),
        encoded(model=7, messages=MESSAGES),
        encoded(model="m", messages=[]),
        encoded(model="m", messages={}),
        encoded(model="m", messages="Hi"),
        encoded(model="m", messages=["Hi"]),
        encoded(model="m", messages=[{"content": "Hi"}]),
        encoded(**LEAST, stream="yes"),
        encoded(**LEAST, stream=1),
        encoded(**LEAST, stream=True, n=2),
        encoded(**LEAST, stream_options=[]),
        encoded(**LEAST, input="x"),
        encoded(**LEAST, tools={}),
        encoded(**LEAST, tools=[{"type": "function"}]),
        encoded(**LEAST, max_tokens="many"),
        b'{"model":"m","messages":[{"role":"user","content":' + b"[" * 99 + b"]" * 99,
    ],
)
def test_a_chat_that_could_not_be_answered_is_refused(body):
    with pytest.raises(InvalidInputError):
        read_asked(CHAT, body)


def test_all_that_a_chat_holds_is_sealed_but_nulls():
    tools = [{"type": "function", "function": {"name": "f"}}]
    body = encoded(**LEAST, seed=7, stop=None, n=None, stream=None, tools=tools, x={})
    asked = read_asked(CHAT, body)

    assert not asked.stream
    assert json.loads(asked.request.encode(stream=False)) == {
        **LEAST,
        "seed": 7,
        "tools": tools,
        "x": {},
        "max_completion_tokens": 8192,
        "stream": False,
    }


@pytest.mark.parametrize(
    ("options", "wanted"),
    [
        ({}, False),
        ({"stream_options": None}, False),
        ({"stream_options": {"include_usage": False}}, False),
        ({"stream_options": {"include_usage": True}}, True),
    ],
)
def test_usage_is_asked_for_in_any_case(options, wanted):
    asked = read_asked(CHAT, encoded(**LEAST, stream=True, **options))
    sent = json.loads(asked.request.encode(stream=True))

    assert (asked.stream, asked.usage) == (True, wanted)
    assert sent["stream_options"] == {"include_usage": True}


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (None, "a text or a list"),
        ([], "a text or a list"),
        ({}, "a text or a list"),
        ([1, 2], "check_embedding_ctx_length=False"),
        ([[1, 2], [3]], "check_embedding_ctx_length=False"),
        ("", "empty: 0"),
        (["a", " "], "empty: 1"),
        (["a", {}], "not strings: 1"),
        (["\ud800"], None),
    ],
)
def test_what_is_no_text_is_not_embedded(texts, said):
    body = encoded(model="m", input=texts)
    if said is None:  # half a character is replaced, as in answers
        assert read_asked("/embeddings", body).request.body["input"] == ["\ufffd"]
        return

    with pytest.raises(InvalidInputError, match=said):
        read_asked("/embeddings", body)


def test_an_embedding_is_sealed_as_it_was_asked_for():
    fields = {"model": "m", "input": "a", "user": "u", "dimensions": 2, "x": 1}
    asked = read_asked("/embeddings", encoded(**fields))

    assert json.loads(asked.request.encode(stream=False)) == {
        **fields,
        "input": ["a"],
        "encoding_format": "float",
    }


@pytest.mark.parametrize(
    "more", [{"stream": True}, {"encoding_format": "int8"}, {"model": None}]
)
def test_an_embedding_that_could_not_be_answered_is_refused(more):
    with pytest.raises(InvalidInputError):
        read_asked("/embeddings", encoded(**{"model": "m", "input": "a", **more}))


def test_a_list_of_models_has_no_body():
    assert read_asked("/models", b"").request is None
    with pytest.raises(InvalidInputError, match="without a body"):
        read_asked("/models", b"{}")


@given(st.binary() | st.recursive(st.none() | st.integers() | st.text(), st.lists))
def test_any_body_is_read_or_refused(value):
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    for path in (CHAT, "/embeddings"):
        with pytest.raises(InvalidInputError):
            read_asked(path, body)


_VALUES = st.none() | st.booleans() | st.integers() | st.text() | st.just(MESSAGES)
_NAMES = st.sampled_from(
    [
        *("model", "messages", "input", "stream", "stream_options", "n", "tools"),
        *("max_tokens", "encoding_format", "dimensions", "user"),
    ]
)


@given(st.dictionaries(_NAMES, _VALUES | st.lists(_VALUES)))
def test_any_fields_are_read_or_refused(fields):
    for path, least in ((CHAT, LEAST), ("/embeddings", {"model": "m", "input": "a"})):
        try:
            asked = read_asked(path, encoded(**(least | fields)))
        except InvalidInputError:
            continue
        assert asked.request.encode(stream=asked.stream)


# -- answers -------------------------------------------------------------------------


def answer_of(body):
    return Answer(body, Verdict.plain("none"), json.dumps(body).encode() + b"\n")


def test_an_answer_is_the_engines_own_bytes():
    answer = answer_of({"model": "m", "choices": []})
    said = answered(answer, read_asked(CHAT, encoded(**LEAST)).request)

    assert (said.status, said.body) == (200, answer.opened)
    assert json.loads(said.headers["x-atoma-verdict"]) == answer.verdict.as_dict()


def embedded(*indices):
    asked = read_asked("/embeddings", encoded(model="m", input=["a", "b"])).request
    data = [{"index": index, "embedding": [float(index)]} for index in indices]
    answer = answer_of({"model": "m", "data": data})
    return answer, answered(answer, asked)


def test_vectors_come_in_the_order_of_their_texts():
    in_order, kept = embedded(0, 1)
    _, sorted_ = embedded(1, 0)

    assert kept.body == in_order.opened
    assert json.loads(sorted_.body) == in_order.body


@pytest.mark.parametrize("indices", [(), (0,), (0, 0), (0, 2), (0, 1, 2)])
def test_there_is_one_vector_for_each_text(indices):
    with pytest.raises(RemoteProtocolError):
        embedded(*indices)


def test_models_are_listed_as_openai_does():
    said = listed([Model("m", owned_by="a", created=7)])

    assert json.loads(said.body) == {
        "object": "list",
        "data": [{"id": "m", "object": "model", "created": 7, "owned_by": "a"}],
    }


@pytest.mark.parametrize(
    ("kind", "status", "code", "told"),
    [
        (errors.AuthenticationError, 401, "AUTH_ERROR", "AUTH_ERROR"),
        (errors.BalanceError, 402, "", None),
        (errors.ContextLengthError, 400, "REQUEST_ERROR", "context_length_exceeded"),
        (errors.ServerError, 502, "", None),
    ],
)
def test_an_error_keeps_its_status_and_says_not_to_repeat(kind, status, code, told):
    error = kind("It failed.", errors.Exposure.SEALED, status, code)
    said = refused(error)

    assert said.status == status
    assert said.headers == {
        "content-type": "application/json",
        "x-should-retry": "false",
    }
    assert json.loads(said.body)["error"] == {
        "message": str(error),
        "type": kind.__name__,
        "param": None,
        "code": told,
    }


def test_how_long_to_wait_is_passed_on():
    error = errors.RateLimitError("", errors.Exposure.LOCK, 429, "", 2.5)

    assert refused(error).headers["retry-after"] == "2.5"


@pytest.mark.parametrize("status", [0, 204, 307, 399])
def test_what_would_be_read_as_an_answer_is_none(status):
    assert refused(errors.ServerError("", errors.Exposure.LOCK, status)) is None


CHOICE = [{"index": 0, "delta": {"content": "a\u2028b\n"}}]


@pytest.mark.parametrize(
    ("chunk", "usage", "expected"),
    [
        ({"choices": CHOICE}, False, {"choices": CHOICE}),
        ({"choices": CHOICE, "usage": None}, False, {"choices": CHOICE}),
        ({"choices": CHOICE, "usage": None}, True, {"choices": CHOICE, "usage": None}),
        ({"choices": [], "usage": {}}, True, {"choices": [], "usage": {}}),
        ({"choices": [], "usage": {}}, False, None),
        ({"choices": []}, False, {"choices": []}),
    ],
)
def test_usage_is_shown_to_who_asked_for_it(chunk, usage, expected):
    event = framed(chunk, Asked(None, stream=True, usage=usage))

    if expected is None:
        assert event == b""
        return
    text = event.decode("ascii")
    assert len(text.splitlines()) == 2
    assert json.loads(text.removeprefix("data: ")) == expected
