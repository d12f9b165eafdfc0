"""Streams as proxy and node emit them: framing, order of fields, nonces."""

import asyncio

import pytest

from atoma_local import BuiltInBackend

MODEL = "meta-llama/Llama-3.3-70B-Instruct"
QUESTION = "The heliotrope meadow is blue. Which colour has the heliotrope meadow?"
BODY = {"model": MODEL, "messages": [{"role": "user", "content": QUESTION}]}


@pytest.fixture(autouse=True)
def _sealed(no_plaintext):
    no_plaintext(QUESTION, "heliotrope meadow is blue")


def text_of(chunks):
    deltas = [c["delta"] for chunk in chunks for c in chunk["choices"]]
    return "".join(delta.get("content") or "" for delta in deltas)


def test_a_stream_says_what_one_answer_says(wire):
    whole = wire.answer(BODY)
    sealed, events = wire.stream(BODY)
    chunks = [sealed.open(event) for event in events]

    assert text_of(chunks) == whole["choices"][0]["message"]["content"]
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"] == whole["usage"]
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert len({chunk["id"] for chunk in chunks}) == 1


def test_framing_is_upstreams(wire):
    reply = wire.ask(BODY | {"stream": True}, stream=True)[1]

    assert reply.headers["content-type"] == "text/event-stream"
    assert reply.headers["cache-control"] == "no-cache"
    assert reply.headers["transfer-encoding"] == "chunked"
    assert reply.text.startswith(": keep-alive\n\ndata: {")
    assert "[DONE]" not in reply.text


def test_fields_come_in_the_nodes_order(wire):
    _, events = wire.stream(BODY)

    usual = ["ciphertext", "nonce", "signature", "response_hash"]
    assert all(list(event) == usual for event in events[:-1])
    assert list(events[-1]) == [*usual[:2], "usage", *usual[2:]]


def test_fresh_nonces_differ(wire):
    sealed, events = wire.stream(BODY)
    nonces = [event["nonce"] for event in events]

    assert len(set(nonces)) == len(nonces)
    assert sealed.envelope["nonce"] not in nonces


def test_reused_nonces_are_one_a_stream(make_atoma, connect):
    wire = connect(make_atoma(nonces="reused"))
    streams = [wire.stream(BODY)[1] for _ in range(2)]

    one, other = ({event["nonce"] for event in events} for events in streams)
    assert len(one) == len(other) == 1
    assert one != other


def test_the_nonces_can_change_while_it_runs(wire):
    wire.atoma.nonces = "reused"
    assert len({event["nonce"] for event in wire.stream(BODY)[1]}) == 1

    wire.atoma.faults.once("nonces-fresh")
    assert len({event["nonce"] for event in wire.stream(BODY)[1]}) > 1
    assert len({event["nonce"] for event in wire.stream(BODY)[1]}) == 1


def test_the_node_asks_for_usage_itself(wire):
    sealed, events = wire.stream(BODY | {"stream_options": {"include_usage": False}})
    assert sealed.open(events[-1])["usage"]["total_tokens"] > 0


def test_a_refused_stream_is_an_ordinary_error(wire):
    reply = wire.ask(BODY | {"stream": True, "invented": 1}, stream=True)[1]

    assert reply.status_code == 500
    assert reply.json()["error"]["code"] == "INTERNAL_ERROR"


class Hesitant(BuiltInBackend):
    """Waits before its third chunk until it was asked whether it is still there."""

    def __init__(self, waiting):
        super().__init__()
        self._waiting = waiting

    async def stream_chat(self, body):
        return self._hesitating(super().stream_chat(body))

    async def _hesitating(self, chunks):
        for number, chunk in enumerate(chunks):
            if number == 2:
                await self._waiting()
            yield chunk


def test_comments_fill_a_silence(make_atoma, connect):
    async def three_ticks():
        await asyncio.sleep(0.05)

    wire = connect(make_atoma(backend=Hesitant(three_ticks)))
    reply = wire.ask(BODY | {"stream": True}, stream=True)[1]

    between = reply.text.split("data: ")[2]  # after the second event
    assert between.count(": keep-alive\n\n") >= 1


def test_a_client_may_leave_in_the_middle(make_atoma, connect):
    atoma = make_atoma()
    atoma.faults.once("stream-stalled:2")
    wire = connect(atoma)
    sealed = wire.seal(BODY | {"stream": True}, stream=True)
    with wire.streaming(sealed) as reply:
        lines = reply.iter_lines()
        while not next(lines).startswith("data:"):
            pass

    # The stalled stream has ended: the next one is served, and stopping is quick.
    assert wire.answer(BODY)["object"] == "chat.completion"
