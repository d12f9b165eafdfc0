"""Tool calls in streams, in the fragments that engines cut them into.

Each comes sealed over the wire, once through `stream_chat` and once through
`astream_chat`, whose items must be the same.
"""

import json

import pytest
from deltas import CALLED, CUT, calls, text
from fragments import fragment
from llama_index.core.base.llms.types import ChatMessage, ToolCallBlock

from llama_index_atoma import TruncatedAnswerError, errors


def calls_of(response):
    return [
        (block.tool_call_id, block.tool_name, block.tool_kwargs)
        for block in response.message.blocks
        if isinstance(block, ToolCallBlock)
    ]


def test_two_calls_in_one_delta(streamed):
    *_, last = streamed(
        calls(
            fragment('{"a": 1}', "f", index=0, id="c0"),
            fragment('{"b": 2}', "g", index=1, id="c1"),
        ),
        CALLED,
    )
    assert calls_of(last) == [("c0", "f", {"a": 1}), ("c1", "g", {"b": 2})]


def test_interleaved_calls(streamed):
    *_, last = streamed(
        calls(fragment("", "f", index=0, id="c0")),
        calls(fragment("", "g", index=1, id="c1")),
        calls(fragment('{"a"', index=0)),
        calls(fragment('{"b"', index=1)),
        calls(fragment(": 1}", index=0)),
        calls(fragment(": 2}", index=1)),
        CALLED,
    )
    assert calls_of(last) == [("c0", "f", {"a": 1}), ("c1", "g", {"b": 2})]


def test_one_index_for_all_calls(streamed):
    *_, last = streamed(
        calls(fragment('{"a": 1}', "f", index=0, id="c0")),
        calls(fragment('{"b": 2}', "g", index=0, id="c1")),
        CALLED,
    )
    assert calls_of(last) == [("c0", "f", {"a": 1}), ("c1", "g", {"b": 2})]


def test_one_index_and_no_ids(streamed):
    *_, last = streamed(
        calls(fragment('{"a": 1}', "f", index=0)),
        calls(fragment('{"a": 2}', "f", index=0)),
        calls(fragment('{"b": 3}', "g", index=0)),
        CALLED,
    )
    assert [call[1:] for call in calls_of(last)] == [
        ("f", {"a": 1}),
        ("f", {"a": 2}),
        ("g", {"b": 3}),
    ]


def test_id_and_name_repeated_in_each_delta(streamed):
    *_, last = streamed(
        calls(fragment('{"a"', "f", index=0, id="c0")),
        calls(fragment(": ", "f", index=0, id="c0")),
        calls(fragment("1}", "f", index=0, id="c0")),
        CALLED,
    )
    assert calls_of(last) == [("c0", "f", {"a": 1})]


def test_a_name_in_two_parts(streamed):
    *_, last = streamed(
        calls(fragment(None, "get_", index=0, id="c0")),
        calls(fragment(None, "time", index=0)),
        calls(fragment("{}", index=0)),
        CALLED,
    )
    assert calls_of(last) == [("c0", "get_time", {})]


def test_two_tools_under_one_id(streamed):
    *_, last = streamed(
        calls(fragment('{"a": 1}', "pay", index=0, id="c0")),
        calls(fragment('{"a": ', "refund", index=0, id="c0")),
        calls(fragment("2}", index=0, id="c0")),
        CALLED,
    )
    (first, *one), (second, *two) = calls_of(last)
    assert (one, two) == (["pay", {"a": 1}], ["refund", {"a": 2}])
    assert first == "c0" != second


def test_a_call_without_a_name_is_off_contract(streamed):
    with pytest.raises(errors.RemoteProtocolError, match="has no name"):
        streamed(calls(fragment("{}", index=0, id="c0")), CALLED)


def test_no_index_and_two_calls(streamed):
    *_, last = streamed(
        calls(fragment('{"a"', "f", id="c0")),
        calls(fragment(": 1}")),
        calls(fragment('{"b": 2}', "g", id="c1")),
        CALLED,
    )
    assert calls_of(last) == [("c0", "f", {"a": 1}), ("c1", "g", {"b": 2})]


def test_no_index_and_one_split_call(streamed):
    *_, last = streamed(
        calls(fragment('{"a"', "f", id="c0")), calls(fragment(": 1}")), CALLED
    )
    assert calls_of(last) == [("c0", "f", {"a": 1})]


def test_calls_without_ids_are_given_different_ones(streamed):
    items = streamed(
        calls(fragment("{}", "f", index=0), fragment("{}", "f", index=1)),
        calls(fragment("", index=0)),
        CALLED,
    )
    ids = [[call[0] for call in calls_of(item)] for item in items]
    assert len(set(ids[-1])) == 2
    assert ids[0] == ids[-1], "and keep them"


@pytest.mark.parametrize(
    ("sent", "parsed"),
    [
        ({"a": 1}, {"a": 1}),
        ("null", {}),
        ("", {}),
        (None, {}),
        ("[1]", {}),
        ('{"a": 1', {}),
        ('{"a": "line\nbreak"}', {"a": "line\nbreak"}),
    ],
)
def test_arguments_of_any_kind(streamed, sent, parsed):
    *_, last = streamed(calls(fragment(sent, "f", index=0, id="c0")), CALLED)
    assert calls_of(last) == [("c0", "f", parsed)]
    json.dumps(last.message.additional_kwargs["tool_calls"])


def test_arguments_are_text_until_they_are_whole(streamed, scripted_chat):
    *items, last = streamed(
        calls(fragment('{"a"', "f", index=0, id="c0")),
        calls(fragment(": 1}", index=0)),
        CALLED,
    )
    assert [calls_of(item)[0][2] for item in items] == ['{"a"', '{"a": 1}']
    (early,) = scripted_chat.get_tool_calls_from_response(items[0])
    assert early.tool_kwargs == {}
    (late,) = scripted_chat.get_tool_calls_from_response(last)
    assert late.tool_kwargs == {"a": 1}


def test_calls_are_in_both_places(streamed):
    *_, last = streamed(calls(fragment("{}", "f", index=0, id="c0")), CALLED)
    assert last.message.additional_kwargs["tool_calls"] == [
        {"id": "c0", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    ]


def test_text_and_calls_in_one_turn(streamed):
    *_, last = streamed(
        text("Let me see."), calls(fragment("{}", "f", index=0, id="c0")), CALLED
    )
    assert last.message.content == "Let me see."
    assert calls_of(last) == [("c0", "f", {})]


def test_only_the_first_call_where_several_are_not_allowed(streamed):
    tool = {"type": "function", "function": {"name": "f", "parameters": {}}}
    items = streamed(
        calls(
            fragment("{}", "f", index=0, id="c0"), fragment("{}", "f", index=1, id="c1")
        ),
        CALLED,
        tools=[tool],
        parallel_tool_calls=False,
    )
    assert {len(calls_of(item)) for item in items} == {1}
    assert {len(i.message.additional_kwargs["tool_calls"]) for i in items} == {1}


def test_a_call_that_met_the_token_limit_is_an_error(streamed, canary):
    chunks = calls(fragment(f'{{"a": "{canary}', "f", index=0, id="c0")), CUT
    with pytest.raises(TruncatedAnswerError) as caught:
        streamed(*chunks)
    assert canary not in str(caught.value)


@pytest.mark.parametrize("begun", ["", " ", "[1", "nul"])
def test_a_call_cut_off_before_its_arguments_is_no_call(streamed, begun):
    with pytest.raises(TruncatedAnswerError):
        streamed(calls(fragment(begun, "rm", index=0, id="c0")), CUT)


def test_it_may_be_kept(scripted_chat, engine):
    engine.chunks = calls(fragment('{"a": 1', "f", index=0, id="c0")), CUT
    model = scripted_chat.model_copy(update={"on_truncated_tool_call": "keep"})
    *_, last = model.stream_chat([ChatMessage(content="Q")])
    assert calls_of(last) == [("c0", "f", {})]


def test_a_buffered_stream_is_the_same_answer(scripted, make_chat, engine):
    engine.message = {
        "role": "assistant",
        "content": "Yes.",
        "reasoning_content": "Hm.",
        "tool_calls": [{"id": "c0", **fragment('{"a": 1}', "f")}],
    }
    engine.choice = {"finish_reason": "tool_calls"}
    model = make_chat(scripted, stream_mode="buffered")
    *_, last = model.stream_chat([ChatMessage(content="Q")])
    assert last.message.content == "Yes."
    assert calls_of(last) == [("c0", "f", {"a": 1})]
    assert last.raw["usage"]["total_tokens"] == 12
    assert last.additional_kwargs["atoma"]["stream"] == "buffered"


def test_work_grows_with_the_length_and_not_with_its_square(scripted_chat, engine):
    # Agents ask for the calls of each chunk: parsing must not begin anew each time.
    parts = ['{"text": "', *["word "] * 1500, '"}']
    engine.chunks = [calls(fragment("", "f", index=0, id="c0"))]
    engine.chunks += [calls(fragment(part, index=0)) for part in parts]
    engine.chunks += [CALLED]
    seen = [
        scripted_chat.get_tool_calls_from_response(item)[0].tool_kwargs
        for item in scripted_chat.stream_chat([ChatMessage(content="Q")])
    ]
    assert seen[-1] == {"text": "word " * 1500}
    assert all(arguments == {} for arguments in seen[: len(parts)])
