"""Answers of an engine, whole and in chunks, read into plain values."""

import pytest

from atoma_confidential.answers import (
    AnswerReader,
    Delta,
    as_delta,
    check_output,
    said,
    thought,
)
from atoma_confidential.errors import (
    Exposure,
    RefusedAnswerError,
    RemoteProtocolError,
    TruncatedAnswerError,
)

CUT = {"finish_reason": "length"}


def call(arguments="{}", name="f", **fields):
    return {"function": {"name": name, "arguments": arguments}, **fields}


def chunk(delta=None, **choice):
    return {"choices": [{"index": 0, "delta": delta, **choice}]}


def read(*chunks, **options):
    reader = AnswerReader(**options)
    return reader, [reader.read(one) for one in chunks]


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ("Yes.", "Yes."),
        ([{"type": "text", "text": "Y"}, {"text": "es."}, {"text": 1}, "x"], "Yes."),
        (None, ""),
        (7, ""),
    ],
)
def test_the_text_of_a_content(content, text):
    assert said(content) == text


def test_reasoning_under_both_of_its_names():
    assert thought({"reasoning_content": "Hm."}) == "Hm."
    assert thought({"reasoning": "Hm.", "reasoning_content": None}) == "Hm."
    assert thought({}) == ""


def test_a_message_as_its_own_stream():
    message = {"content": None, "tool_calls": [call(id="c0"), call(id="c1")]}
    assert [one["index"] for one in as_delta(message)["tool_calls"]] == [0, 1]
    assert "index" not in message["tool_calls"][0]
    assert as_delta({"content": "x"}) == {"content": "x"}


def test_what_each_chunk_adds():
    logprobs = {"content": []}
    reader, deltas = read(
        {"id": "1", "model": "m", "choices": []},
        chunk({"role": "assistant"}),
        chunk({"reasoning": "Hm."}),
        chunk({"content": "Yes."}, logprobs=logprobs),
        chunk({"tool_calls": [call(index=0, id="c0")]}),
        chunk({"function_call": {"name": "old"}}),
        chunk({"refusal": "I will "}),
        chunk({"refusal": "not."}),
        chunk(None, finish_reason="stop", stop_reason=7),
        {"id": "2", "choices": [], "usage": {"total_tokens": 3}},
    )
    empty = Delta()
    assert deltas[:2] == [empty, empty]
    assert deltas[2] == Delta(thought="Hm.")
    assert deltas[3] == Delta(text="Yes.", logprobs=logprobs)
    assert [one.name for one in deltas[4].calls] == ["f"]
    assert deltas[5] == Delta(function_call={"name": "old"})
    assert deltas[6:] == [empty] * 4
    assert reader.head == {"id": "1", "model": "m"}
    assert reader.end == {"finish_reason": "stop", "stop_reason": 7}
    assert reader.usage == {"total_tokens": 3}
    assert reader.refusal == "I will not."
    reader.finish(Exposure.SEALED)


def test_parts_of_another_kind_are_not_there():
    reader, (delta,) = read(
        chunk({"function_call": "f", "refusal": 1}, logprobs=[]) | {"usage": 1}
    )
    assert delta == Delta()
    assert reader.usage is None


def test_the_last_usage_counts_unless_it_is_empty():
    reader, _ = read({"usage": {"total_tokens": 1}}, {"usage": {"total_tokens": 2}})
    reader.read({"usage": {}})
    assert reader.usage == {"total_tokens": 2}


def test_another_choice_is_not_mixed_in():
    other = {"choices": [{"index": 1, "delta": {"content": "no"}}]}
    reader, (delta,) = read(other)
    assert delta == Delta()
    with pytest.raises(RemoteProtocolError, match="no choice 0") as caught:
        reader.finish(Exposure.SEALED)
    assert caught.value.exposure is Exposure.SEALED


def test_a_whole_answer():
    choice = {
        "index": 3,
        "message": {"content": "Yes.", "tool_calls": [call(id="c0"), call(id="c0")]},
        "finish_reason": "stop",
    }
    reader = AnswerReader()
    delta = reader.whole({"model": "m", "usage": {"total_tokens": 1}}, choice)
    reader.finish(Exposure.SEALED)
    assert delta.text == "Yes."
    assert [one.name for one in reader.calls] == ["f", "f"]
    assert reader.end == {"finish_reason": "stop"}
    assert reader.usage == {"total_tokens": 1}


def test_a_call_without_a_name_is_off_contract():
    reader, _ = read(chunk({"tool_calls": [call(name="", index=0)]}))
    with pytest.raises(RemoteProtocolError, match="has no name"):
        reader.finish(Exposure.SEALED)


@pytest.mark.parametrize("arguments", ['{"secret": "hunt', "", None, "[1"])
def test_a_call_that_met_the_token_limit(arguments):
    chunks = chunk({"tool_calls": [call(arguments, index=0)]}, **CUT)
    reader, _ = read(chunks)
    with pytest.raises(TruncatedAnswerError) as caught:
        reader.finish(Exposure.PLAIN)
    assert caught.value.exposure is Exposure.PLAIN
    assert "hunt" not in repr(caught.value) + str(caught.value)
    kept, _ = read(chunks, keep_truncated=True)
    kept.finish(Exposure.PLAIN)
    assert len(kept.calls) == 1


def test_what_met_the_token_limit_and_has_no_call_is_an_answer():
    reader, _ = read(chunk({"content": "Yes, b"}, **CUT))
    reader.finish(Exposure.SEALED)


def test_a_call_that_ended_by_itself_is_not_cut_off():
    reader, _ = read(chunk({"tool_calls": [call("x", index=0)]}, finish_reason="stop"))
    reader.finish(Exposure.SEALED)


def test_only_the_first_call_counts_where_one_is_kept():
    calls = [call(index=0, id="c0"), call('{"a', name="", index=1)]
    reader, _ = read(chunk({"tool_calls": calls}, **CUT), one_call=True)
    reader.finish(Exposure.SEALED)
    assert [one.call_id for one in reader.calls] == ["c0"]


@pytest.mark.parametrize(
    ("ended", "refusal", "kind"),
    [
        ("stop", "I will not.", RefusedAnswerError),
        ("content_filter", None, RefusedAnswerError),
        ("length", "", TruncatedAnswerError),
    ],
)
def test_what_is_no_whole_output_is_refused(ended, refusal, kind):
    with pytest.raises(kind) as caught:
        check_output(ended, refusal, Exposure.PLAIN)
    assert caught.value.exposure is Exposure.PLAIN
    assert "will not" not in str(caught.value)
    check_output("stop", None, Exposure.PLAIN)


def test_an_answer_with_too_many_calls_is_refused():
    calls = [{"id": f"c{n}", "function": {"name": "f"}} for n in range(200)]
    reader = AnswerReader()
    reader.read({"choices": [{"index": 0, "delta": {"tool_calls": calls}}]})
    with pytest.raises(RemoteProtocolError, match="too many tool calls"):
        reader.finish(Exposure.SEALED)
