"""Streams: opened, held to their contract, and never quietly cut short."""

import itertools
import json

import pytest
from answered import ANSWER, HI, STOP, THERE, USAGE, WHOLE, Wire, choice, chunk, plain
from hypothesis import given
from hypothesis import strategies as st

from atoma_confidential import _reply
from atoma_confidential._reply import StreamOpener, check_answer
from atoma_confidential._wire import Endpoint
from atoma_confidential.errors import (
    DigestMismatchError,
    EngineError,
    Exposure,
    ReflectionError,
    RemoteProtocolError,
    StreamTruncatedError,
)

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
