"""Tool calls in streams, in the fragments that engines cut them into.

Each is asked for through `stream`, `astream` and the protocol of version 3, and what
the chunks add up to is compared.
"""

import pytest
from deltas import CALLED, CUT, text
from lc_streamed import by_astream, by_stream, calls_of, fragment

from langchain_atoma import TruncatedAnswerError, errors


def test_a_call_in_fragments(streamed):
    message = streamed(
        fragment("", index=0, id="call_1", name="get"),
        fragment('{"a": ', index=0),
        fragment('"ü"}', index=0),
        CALLED,
    )
    assert calls_of(message) == [("get", {"a": "ü"})]
    assert message.tool_calls[0]["id"] == "call_1"


def test_a_name_in_each_fragment_is_one_name(streamed):
    message = streamed(
        fragment('{"a": ', index=0, id="call_1", name="get"),
        fragment("1}", index=0, id="call_1", name="get"),
        fragment("", index=0, name="get"),
        CALLED,
    )
    assert calls_of(message) == [("get", {"a": 1})]


def test_a_name_in_each_fragment_and_no_id(streamed):
    message = streamed(
        fragment('{"a": ', index=0, name="get"),
        fragment("1}", index=0, name="get"),
        CALLED,
    )
    assert calls_of(message) == [("get", {"a": 1})]


def test_a_call_without_a_name_is_off_contract(streamed):
    with pytest.raises(errors.RemoteProtocolError, match="has no name"):
        streamed(fragment("{}", index=0, id="call_1"), CALLED)


@pytest.mark.parametrize("collect", [by_stream, by_astream])
def test_a_name_in_two_parts(scripted_chat, engine, canary, collect):
    # Not in version 3: there core takes the last name that it is told.
    engine.chunks = [
        fragment(index=0, id="call_1", name="get_"),
        fragment(index=0, name="time"),
        fragment("{}", index=0),
        CALLED,
    ]
    assert calls_of(collect(scripted_chat, canary)) == [("get_time", {})]


def test_a_name_that_comes_late(streamed):
    message = streamed(
        fragment("", index=0, id="call_1"), fragment("{}", index=0, name="get"), CALLED
    )
    assert calls_of(message) == [("get", {})]


@pytest.mark.parametrize("arguments", ["null", "", None])
def test_no_arguments(streamed, arguments):
    message = streamed(fragment(arguments, index=0, id="call_1", name="get"), CALLED)
    assert calls_of(message) == [("get", {})]
    assert message.invalid_tool_calls == []


def test_arguments_as_an_object(streamed):
    message = streamed(fragment({"a": 1}, index=0, id="call_1", name="get"), CALLED)
    assert calls_of(message) == [("get", {"a": 1})]


@pytest.mark.parametrize("ids", [("call_1", "call_2"), (None, None)])
@pytest.mark.parametrize("indices", [(0, 1), (0, 0), (None, None)])
def test_two_calls_however_they_are_numbered(streamed, ids, indices):
    one, two = (
        {"id": call_id, "index": index}
        for call_id, index in zip(ids, indices, strict=True)
    )
    message = streamed(
        fragment('{"a": ', name="get", **one),
        fragment("1}", index=one["index"]),
        fragment('{"a": 2}', name="get", **two),
        CALLED,
    )
    assert calls_of(message) == [("get", {"a": 1}), ("get", {"a": 2})]
    first, second = (call["id"] for call in message.tool_calls)
    assert first
    assert second
    assert first != second


def test_two_tools_at_one_index_without_ids(streamed):
    message = streamed(
        fragment("{}", index=0, name="first"),
        fragment("{}", index=0, name="second"),
        CALLED,
    )
    assert calls_of(message) == [("first", {}), ("second", {})]


@pytest.mark.parametrize("index", [0, 1, None])
def test_two_tools_under_one_id(streamed, index):
    place = {} if index is None else {"index": index}
    message = streamed(
        fragment('{"a": 1}', id="call_1", name="pay", **(place and {"index": 0})),
        fragment('{"a": ', id="call_1", name="refund", **place),
        fragment("2}", id="call_1", **place),
        CALLED,
    )
    assert calls_of(message) == [("pay", {"a": 1}), ("refund", {"a": 2})]
    first, second = (call["id"] for call in message.tool_calls)
    assert first == "call_1"
    assert second not in ("call_1", None)


def test_two_calls_of_a_tool_under_one_id(streamed):
    message = streamed(
        fragment('{"a": 1}', id="call_1", name="get", index=0),
        fragment('{"a": 2}', id="call_1", name="get", index=1),
        CALLED,
    )
    assert calls_of(message) == [("get", {"a": 1}), ("get", {"a": 2})]


def test_a_call_is_not_made_twice_because_its_end_is_repeated(streamed):
    whole = fragment('{"a": 1}', id="call_1", name="get", index=0)
    with pytest.raises(TruncatedAnswerError):
        streamed(whole, whole, CALLED)


def test_two_calls_in_one_delta_without_indices(streamed):
    both = [
        {"id": f"call_{n}", "function": {"name": "get", "arguments": f'{{"a": {n}}}'}}
        for n in (1, 2)
    ]
    message = streamed({"delta": {"tool_calls": both}}, CALLED)
    assert calls_of(message) == [("get", {"a": 1}), ("get", {"a": 2})]


def test_fragments_found_by_their_id(streamed):
    message = streamed(
        fragment('{"a": ', id="call_1", name="get"),
        fragment('{"b": ', id="call_2", name="put"),
        fragment("1}", id="call_1"),
        fragment("2}", id="call_2"),
        CALLED,
    )
    assert calls_of(message) == [("get", {"a": 1}), ("put", {"b": 2})]


def test_text_and_a_call_in_one_delta(streamed):
    both = fragment('{"a": ', index=0, id="call_1", name="get")
    both["delta"]["content"] = "Wait."
    message = streamed(both, fragment("1}", index=0), CALLED)
    assert message.text == "Wait."
    assert calls_of(message) == [("get", {"a": 1})]
    assert message.invalid_tool_calls == []


def test_arguments_cut_off(streamed):
    with pytest.raises(TruncatedAnswerError) as caught:
        streamed(
            text("Wait."), fragment('{"delete": "hunt', index=0, id="1", name="rm"), CUT
        )
    assert "hunt" not in repr(caught.value) + str(caught.value)


@pytest.mark.parametrize("begun", ["", " ", "[1", "nul"])
def test_a_call_cut_off_before_its_arguments_is_no_call(streamed, begun):
    with pytest.raises(TruncatedAnswerError):
        streamed(fragment(begun, index=0, id="1", name="rm"), CUT)


def test_arguments_that_are_no_json_make_an_invalid_call(streamed):
    message = streamed(fragment("nonsense", index=0, id="1", name="get"), CALLED)
    assert message.tool_calls == []
    assert [call["args"] for call in message.invalid_tool_calls] == ["nonsense"]


def test_the_older_kind_of_call(scripted_chat, engine, canary):
    def legacy(**call):
        return {"delta": {"function_call": call}}

    engine.chunks = [
        legacy(name="get", arguments=""),
        legacy(name="get", arguments="{}"),
        {"delta": {}, "finish_reason": "function_call"},
    ]
    message = by_stream(scripted_chat, canary)
    assert message.additional_kwargs["function_call"] == {
        "name": "get",
        "arguments": "{}",
    }


@pytest.mark.parametrize("collect", [by_stream, by_astream])
def test_version_one_keeps_text_and_calls_apart(
    scripted, engine, make_chat, canary, collect
):
    model = make_chat(scripted, output_version="v1", stream_mode="live")
    engine.chunks = [
        {"delta": {"reasoning": "Hm."}},
        text("Wait"),
        text("."),
        fragment('{"a": ', index=0, id="call_1", name="get"),
        fragment("1}", index=0),
        fragment('{"a": 2}', index=1, id="call_2", name="get"),
        CALLED,
    ]
    message = collect(model, canary)
    assert [block["type"] for block in message.content] == [
        "reasoning",
        "text",
        "tool_call",
        "tool_call",
    ]
    assert message.content[1]["text"] == "Wait."
    assert [block["args"] for block in message.content[2:]] == [{"a": 1}, {"a": 2}]


def test_a_kept_call_is_completed_by_core(scripted, engine, make_chat, canary):
    model = make_chat(scripted, on_truncated_tool_call="keep", stream_mode="live")
    engine.chunks = [fragment('{"a": "hun', index=0, id="1", name="get"), CUT]
    message = by_stream(model, canary)
    assert calls_of(message) == [("get", {"a": "hun"})]
    assert message.response_metadata["finish_reason"] == "length"
