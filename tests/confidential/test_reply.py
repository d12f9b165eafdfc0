"""Answers and streams: opened, held to their contract, and never quietly cut short."""

import itertools
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoma_confidential import _reply
from atoma_confidential._reply import StreamOpener, as_chunks, check_answer, open_answer
from atoma_confidential._wire import Endpoint
from atoma_confidential.envelope import seal
from atoma_confidential.errors import (
    DigestMismatchError,
    EngineError,
    Exposure,
    NonceReuseError,
    OpenError,
    ReflectionError,
    RemoteProtocolError,
    StreamTruncatedError,
)

ANSWER = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 7,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hi there"},
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3},
}
VECTORS = {"object": "list", "data": [{"index": 0, "embedding": [1.0]}], "model": "m"}


def chunk(*choices, **more):
    return {"id": "chatcmpl-1", "object": "chat.completion.chunk"} | {
        "choices": list(choices),
        **more,
    }


def choice(content=None, finish_reason=None, index=0, **delta):
    delta |= {} if content is None else {"content": content}
    return {"index": index, "delta": delta, "finish_reason": finish_reason}


HI = chunk(choice("Hi", role="assistant"))
THERE = chunk(choice(" there"))
STOP = chunk(choice(finish_reason="stop"))
USAGE = chunk(usage=ANSWER["usage"])
WHOLE = [HI, THERE, STOP, USAGE]


class Wire:
    """One sealed request, and the stream that answers it."""

    def __init__(self, node, **options):
        self.node = node
        self.envelope, self.opener = seal(node.recipient, b"{}")
        self.stream = StreamOpener(self.opener, **options)

    def event(self, value, **options):
        return self.node.event(self.envelope, value, **options)

    def events(self, values, **options):
        return b"".join(self.event(value, **options) for value in values)

    def feed(self, data):
        return list(self.stream.feed(data))


def plain(values):
    return b"".join(b"data: " + json.dumps(v).encode() + b"\n\n" for v in values)


@pytest.fixture
def wire(node):
    return Wire(node)


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


# --- streams ------------------------------------------------------------------------


def test_a_stream_opens_chunk_by_chunk(wire):
    for value in WHOLE:
        assert wire.feed(wire.event(value)) == [value]
    wire.stream.finish()
    assert wire.stream.events == 4
    assert wire.stream.nonce_reused is False


@given(st.data())
def test_any_cutting_opens_to_the_same_chunks(node, data):
    wire = Wire(node)
    whole = b": keep-alive\n\n" + wire.events(WHOLE) + b"data: [DONE]\n\n"
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=20)))
    opened = []
    for start, end in itertools.pairwise([0, *cuts, len(whole)]):
        opened += wire.feed(whole[start:end])
    wire.stream.finish()
    assert opened == WHOLE


def test_every_proper_prefix_is_truncated(node):
    wire = Wire(node)
    whole = wire.events(WHOLE)
    for length in range(len(whole)):
        stream = StreamOpener(wire.opener)
        opened = list(stream.feed(whole[:length]))
        assert opened == WHOLE[: len(opened)]
        with pytest.raises(StreamTruncatedError) as caught:
            stream.finish()
        assert caught.value.exposure is Exposure.SEALED


@pytest.mark.parametrize(
    "values",
    [
        [],
        [USAGE],
        [HI, THERE],
        [HI, THERE, USAGE],
        [HI, THERE, STOP],
        [HI, STOP, chunk(usage=None)],
        [HI, chunk(choice("Hey", index=1)), STOP, USAGE],
    ],
    ids=[
        "nothing",
        "usage",
        "no end",
        "no finish",
        "no usage",
        "usage is null",
        "a choice stays open",
    ],
)
def test_a_stream_without_its_authenticated_end_is_truncated(wire, values):
    wire.feed(wire.events(values))
    with pytest.raises(StreamTruncatedError):
        wire.stream.finish()


def test_usage_and_done_in_clear_prove_nothing(wire):
    fields = json.loads(wire.node.body(wire.envelope, HI)) | {"usage": ANSWER["usage"]}
    wire.feed(plain([fields]) + b"data: [DONE]\n\n")
    with pytest.raises(StreamTruncatedError):
        wire.stream.finish()


@pytest.mark.parametrize(
    "end",
    [
        chunk(choice(finish_reason="length"), usage=ANSWER["usage"]),
        chunk(choice("!", finish_reason="stop"), usage=ANSWER["usage"]),
        chunk({"index": 0, "finish_reason": "stop"}, usage={}),
        chunk({"index": 0, "delta": None, "finish_reason": "tool_calls"}, usage={}),
    ],
)
def test_an_end_may_come_in_one_chunk(wire, end):
    assert wire.feed(wire.events([HI, end])) == [HI, end]
    wire.stream.finish()


def test_a_finished_choice_may_send_chunks_that_say_nothing(wire):
    silent = [chunk(choice()), chunk(choice("", tool_calls=[])), STOP]
    wire.feed(wire.events([HI, STOP, *silent, USAGE]))
    wire.stream.finish()


@pytest.mark.parametrize(
    "late",
    [chunk(choice("more")), chunk(choice(tool_calls=[{"index": 0}]))],
    ids=["content", "tool call"],
)
def test_a_choice_does_not_go_on_after_its_end(wire, late):
    wire.feed(wire.events([HI, STOP]))
    with pytest.raises(RemoteProtocolError, match="went on after its end"):
        wire.feed(wire.event(late))


def test_a_chunk_of_another_answer_is_refused(wire):
    wire.feed(wire.event(HI))
    with pytest.raises(RemoteProtocolError, match="id changed"):
        wire.feed(wire.event(THERE | {"id": "chatcmpl-2"}))


@pytest.mark.parametrize("identity", [None, "", 7])
def test_a_chunk_without_id_may_be_of_another_answer(wire, identity):
    with pytest.raises(RemoteProtocolError, match="no id"):
        wire.feed(wire.events([HI, THERE | {"id": identity}]))


def test_a_plain_chunk_without_id_belongs_to_its_stream():
    stream = StreamOpener(None)
    anonymous = {"choices": [choice("Hi")]}
    chunks = [anonymous, *WHOLE, {"choices": []}]
    assert list(stream.feed(plain(chunks))) == chunks
    stream.finish()


@pytest.mark.parametrize("calls", ["x", 5, {"a": 1}, ["x"], [None]])
def test_tool_calls_are_a_list_of_objects(wire, calls):
    with pytest.raises(RemoteProtocolError, match="broken delta"):
        wire.feed(wire.event(chunk(choice(tool_calls=calls))))
    message = {"role": "assistant", "tool_calls": calls}
    answer = json.dumps(ANSWER | {"choices": [{"index": 0, "message": message}]})
    with pytest.raises(RemoteProtocolError, match="not one of this endpoint"):
        check_answer(answer.encode(), Endpoint.CHAT, Exposure.SEALED)


@pytest.mark.parametrize(
    ("value", "why"),
    [
        ([], "not a JSON object"),
        ({}, "no id"),
        (HI | {"choices": None}, "no choices"),
        (HI | {"choices": {}}, "no choices"),
        (chunk("x"), "no index"),
        (chunk({"delta": {}}), "no index"),
        (chunk({"index": "0", "delta": {}}), "no index"),
        (chunk({"index": 0, "delta": "text"}), "broken delta"),
        (chunk({"index": 0, "delta": [1]}), "broken delta"),
    ],
)
def test_a_chunk_off_contract_is_refused(wire, value, why):
    with pytest.raises(RemoteProtocolError, match=why) as caught:
        wire.feed(wire.event(value))
    assert caught.value.exposure is Exposure.SEALED


def test_an_engines_error_ends_a_stream(wire):
    wire.feed(wire.event(HI))
    with pytest.raises(EngineError):
        wire.feed(wire.event({"error": {"message": "canary"}}))


def test_an_event_in_clear_is_refused(wire):
    with pytest.raises(RemoteProtocolError):
        wire.feed(plain([HI]))


def test_the_request_is_refused_as_an_event(wire):
    with pytest.raises(ReflectionError):
        wire.feed(wire.event(HI, nonce=wire.envelope.nonce))


def test_an_event_with_another_digest_is_refused(wire):
    fields = json.loads(wire.node.body(wire.envelope, HI))
    other = json.loads(wire.node.body(wire.envelope, THERE))
    with pytest.raises(DigestMismatchError):
        wire.feed(plain([fields | {"response_hash": other["response_hash"]}]))


names = st.sampled_from(["id", "index", "delta", "content", "finish_reason", "usage"])
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.sampled_from(["", "a", "stop"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner),
    max_leaves=8,
)
choices = st.fixed_dictionaries(
    {"index": st.integers(0, 1) | values}, optional={"delta": values}
)


@given(
    st.lists(
        st.fixed_dictionaries(
            {"choices": st.lists(choices | values, max_size=3) | values},
            optional={"id": values, "usage": values, "error": values},
        ),
        max_size=4,
    )
)
def test_whatever_an_engine_says_only_our_errors_come_of_it(node, values):
    wire = Wire(node)
    try:
        assert wire.feed(wire.events(values)) == values
        wire.stream.finish()
    except RemoteProtocolError:
        return
    assert any(value["choices"] for value in values)


def test_a_stream_does_not_go_on_for_ever(wire, monkeypatch):
    monkeypatch.setattr(_reply, "MAX_EVENTS", 3)
    wire.feed(wire.events([HI, THERE, THERE]))
    with pytest.raises(RemoteProtocolError, match="does not end"):
        wire.feed(wire.event(THERE))


# --- failure stays ------------------------------------------------------------------


def test_a_stream_that_failed_gives_nothing_more(wire):
    good = wire.event(HI)
    with pytest.raises(RemoteProtocolError):
        wire.feed(plain([HI]))
    with pytest.raises(RemoteProtocolError, match="already over"):
        wire.feed(good)
    with pytest.raises(StreamTruncatedError):
        wire.stream.finish()


def test_chunks_before_a_broken_one_are_still_given(wire):
    chunks = wire.stream.feed(wire.event(HI) + plain([THERE]))
    assert next(chunks) == HI
    with pytest.raises(RemoteProtocolError):
        next(chunks)


def test_a_stream_that_was_not_read_out_is_not_whole(wire):
    next(wire.stream.feed(wire.events(WHOLE)))
    with pytest.raises(StreamTruncatedError):
        wire.stream.finish()


def test_a_stream_that_is_over_takes_nothing_more(wire):
    wire.feed(wire.events(WHOLE))
    wire.stream.finish()
    with pytest.raises(RemoteProtocolError, match="already over"):
        wire.feed(wire.event(USAGE))


def test_a_truncated_stream_does_not_become_whole(wire):
    wire.feed(wire.events(WHOLE[:-1]))
    with pytest.raises(StreamTruncatedError):
        wire.stream.finish()
    with pytest.raises(RemoteProtocolError, match="already over"):
        wire.feed(wire.event(USAGE))


# --- nonces -------------------------------------------------------------------------

NONCE = bytes(range(12))


def test_a_repeated_nonce_is_refused_at_that_chunk(wire):
    assert wire.feed(wire.event(HI, nonce=NONCE)) == [HI]
    with pytest.raises(NonceReuseError) as caught:
        wire.feed(wire.event(THERE, nonce=NONCE))
    assert caught.value.exposure is Exposure.SEALED
    assert wire.stream.nonce_reused is True


def test_a_repeated_nonce_is_noticed_later_too(wire):
    wire.feed(wire.event(HI, nonce=NONCE) + wire.event(THERE))
    with pytest.raises(NonceReuseError):
        wire.feed(wire.event(STOP, nonce=NONCE))


def test_where_repeated_nonces_are_tolerated_they_are_told_once(node):
    told = []
    wire = Wire(
        node, on_nonce_reuse=lambda: told.append(True), refuse_nonce_reuse=False
    )
    assert wire.feed(wire.events(WHOLE, nonce=NONCE)) == WHOLE
    wire.stream.finish()
    assert wire.stream.nonce_reused is True
    assert told == [True]


def test_fresh_nonces_are_not_told(node):
    told = []
    wire = Wire(node, on_nonce_reuse=lambda: told.append(True))
    wire.feed(wire.events(WHOLE))
    assert told == []


def test_a_refused_nonce_is_told_before_it_is_refused(node):
    told = []
    wire = Wire(node, on_nonce_reuse=lambda: told.append(True))
    with pytest.raises(NonceReuseError):
        wire.feed(wire.events(WHOLE, nonce=NONCE))
    assert told == [True]


def test_a_relay_cannot_make_a_nonce_look_repeated(node):
    wire = Wire(node, refuse_nonce_reuse=False)
    good = json.loads(node.body(wire.envelope, HI, nonce=NONCE))
    forged = good | {"ciphertext": "A" * 64}
    wire.feed(plain([good]))
    with pytest.raises(OpenError, match="does not authenticate"):
        wire.feed(plain([forged]))
    assert wire.stream.nonce_reused is False


# --- plain streams ------------------------------------------------------------------


def test_a_plain_stream_needs_no_usage():
    stream = StreamOpener(None)
    assert list(stream.feed(plain([HI, STOP]))) == [HI, STOP]
    stream.finish()


def test_a_plain_stream_can_be_truncated_as_well():
    stream = StreamOpener(None)
    list(stream.feed(plain([HI])))
    with pytest.raises(StreamTruncatedError) as caught:
        stream.finish()
    assert caught.value.exposure is Exposure.PLAIN


def test_a_plain_streams_error_says_that_the_request_left_in_clear():
    with pytest.raises(RemoteProtocolError) as caught:
        list(StreamOpener(None).feed(b"data: x\n\n"))
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
