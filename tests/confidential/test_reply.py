"""Whole answers: opened, held to their contract, and as a stream of their own."""

import json

import pytest
from answered import ANSWER, plain

from atoma_confidential._reply import StreamOpener, as_chunks, check_answer, open_answer
from atoma_confidential._wire import Endpoint
from atoma_confidential.envelope import seal
from atoma_confidential.errors import EngineError, Exposure, RemoteProtocolError

VECTORS = {"object": "list", "data": [{"index": 0, "embedding": [1.0]}], "model": "m"}


# --- whole answers ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("endpoint", "answer"),
    [(Endpoint.CHAT, ANSWER), (Endpoint.EMBEDDINGS, VECTORS)],
    ids=["chat", "embeddings"],
)
def test_a_sealed_answer_opens(node, endpoint, answer):
    envelope, opener = seal(node.recipient, b"{}")
    assert open_answer(node.body(envelope, answer), opener, endpoint).body == answer


@pytest.mark.parametrize(
    ("endpoint", "answer"),
    [
        (Endpoint.CHAT, VECTORS),
        (Endpoint.CHAT, {}),
        (Endpoint.CHAT, {"choices": None}),
        (Endpoint.CHAT, {"choices": {}}),
        (Endpoint.CHAT, {"choices": []}),
        (Endpoint.CHAT, {"choices": ["x"]}),
        (Endpoint.CHAT, {"choices": [{}]}),
        (Endpoint.CHAT, {"choices": [{"message": "x"}]}),
        (Endpoint.CHAT, {"choices": [*ANSWER["choices"], {"text": "x"}]}),
        (Endpoint.EMBEDDINGS, ANSWER),
        (Endpoint.EMBEDDINGS, {}),
        (Endpoint.EMBEDDINGS, {"data": {}}),
    ],
)
def test_the_answer_of_another_endpoint_is_refused(node, endpoint, answer):
    envelope, opener = seal(node.recipient, b"{}")
    with pytest.raises(RemoteProtocolError, match="not one of this endpoint") as caught:
        open_answer(node.body(envelope, answer), opener, endpoint)
    assert caught.value.exposure is Exposure.SEALED


@pytest.mark.parametrize("endpoint", Endpoint)
def test_an_engines_error_is_an_error(node, endpoint):
    envelope, opener = seal(node.recipient, b"{}")
    body = node.body(envelope, {"error": {"message": "canary"}})
    with pytest.raises(EngineError) as caught:
        open_answer(body, opener, endpoint)
    assert "canary" not in f"{caught.value}{caught.value.args}"


def test_an_error_that_is_null_is_none(node):
    answer = ANSWER | {"error": None}
    assert check_answer(json.dumps(answer).encode(), Endpoint.CHAT, Exposure.PLAIN)


def test_every_proper_prefix_of_an_answer_is_refused(node):
    envelope, opener = seal(node.recipient, b"{}")
    body = node.body(envelope, ANSWER)
    for length in range(len(body)):
        with pytest.raises(RemoteProtocolError):
            open_answer(body[:length], opener, Endpoint.CHAT)


def test_an_answer_in_clear_is_refused(node):
    _, opener = seal(node.recipient, b"{}")
    with pytest.raises(RemoteProtocolError):
        open_answer(json.dumps(ANSWER).encode(), opener, Endpoint.CHAT)


@pytest.mark.parametrize("plaintext", [b"", b"[]", b"text", b"\xff", b'{"a": NaN}'])
def test_what_is_no_json_object_is_no_answer(plaintext):
    with pytest.raises(RemoteProtocolError, match="not a JSON object") as caught:
        check_answer(plaintext, Endpoint.CHAT, Exposure.PLAIN)
    assert caught.value.exposure is Exposure.PLAIN


# --- a whole answer as its own stream -----------------------------------------------


def test_a_whole_answer_has_the_shape_of_its_stream():
    assert list(as_chunks(ANSWER)) == [
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 7,
            "model": "m",
            "choices": [
                {
                    "index": 0,
                    "delta": {"role": "assistant", "content": "Hi there"},
                    "finish_reason": "stop",
                }
            ],
        },
        {
            "id": "chatcmpl-1",
            "object": "chat.completion.chunk",
            "created": 7,
            "model": "m",
            "choices": [],
            "usage": ANSWER["usage"],
        },
    ]


def test_the_stream_of_a_whole_answer_is_whole():
    stream = StreamOpener(None)
    chunks = list(as_chunks(ANSWER))
    assert list(stream.feed(plain(chunks))) == chunks
    stream.finish()


def test_tool_calls_are_numbered_as_in_a_stream():
    call = {"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    message = {"role": "assistant", "content": None, "tool_calls": [call, call]}
    answer = ANSWER | {"choices": [{"message": message, "finish_reason": "tool_calls"}]}
    first, _ = as_chunks(answer)
    assert first["choices"][0]["index"] == 0
    calls = first["choices"][0]["delta"]["tool_calls"]
    assert calls == [{"index": 0, **call}, {"index": 1, **call}]
    assert "index" not in call


@pytest.mark.parametrize("calls", [None, []])
def test_no_tool_calls_stay_none(calls):
    message = {"role": "assistant", "content": "x", "tool_calls": calls}
    answer = ANSWER | {"choices": [{"message": message, "finish_reason": "stop"}]}
    first, _ = as_chunks(answer)
    assert first["choices"][0]["delta"]["tool_calls"] == calls


def test_an_answer_without_usage_says_so():
    answer = {name: value for name, value in ANSWER.items() if name != "usage"}
    assert list(as_chunks(answer))[-1]["usage"] is None
