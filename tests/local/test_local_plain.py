"""Plain endpoints: in clear on purpose, so nothing here is looked for on the wire."""

import json

import pytest

MODEL = "meta-llama/Llama-3.3-70B-Instruct"

pytestmark = pytest.mark.clear_text


def chat(text, **parameters):
    messages = [{"role": "user", "content": text}]
    return {"model": MODEL, "messages": messages, **parameters}


def test_plain_requests_are_answered_and_signed(wire):
    reply = wire.http.post("/v1/chat/completions", json=chat("A plain question?"))

    assert {"signature", "response_hash"} <= reply.json().keys()
    assert wire.atoma.opened[0].body["max_completion_tokens"] == 8192
    assert wire.atoma.tap.find(["A plain question?"])


def test_plain_embeddings_take_one_text(wire):
    one = wire.http.post("/v1/embeddings", json={"model": MODEL, "input": "a text"})
    two = wire.http.post("/v1/embeddings", json={"model": MODEL, "input": ["a text"]})

    assert len(one.json()["data"][0]["embedding"]) == 384
    assert two.status_code == 400
    assert two.json()["error"]["code"] == "REQUEST_ERROR"


def test_plain_streams_are_signed_chunk_by_chunk(wire):
    reply = wire.http.post("/v1/chat/completions", json=chat("Plain?", stream=True))

    events = [json.loads(x[6:]) for x in reply.text.splitlines() if x[:5] == "data:"]
    assert all({"signature", "response_hash"} <= event.keys() for event in events)
    assert events[-1]["choices"] == []


def test_plain_requests_keep_the_engines_refusal(wire):
    reply = wire.http.post("/v1/chat/completions", json=chat("Plain?", invented=1))
    assert (reply.status_code, reply.json()["error"]["message"]) == (500, "Bad Request")
