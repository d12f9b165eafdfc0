"""Messages as the node receives them."""

import pytest
from langchain_core.messages import (
    AIMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)

from langchain_atoma import errors

CALL = {"name": "weather", "args": {"city": "Zürich"}, "id": "call_1"}
WIRE_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Zürich"}'},
}


@pytest.fixture
def sent(scripted_chat, engine, canary):
    """Give what the node received for some messages, but for the canary's."""

    def send(*messages):
        scripted_chat.invoke([HumanMessage(canary), *messages])
        return engine.asked[-1]["messages"][1:]

    return send


@pytest.mark.parametrize(
    ("message", "wire"),
    [
        (HumanMessage("Hi"), {"role": "user", "content": "Hi"}),
        (
            HumanMessage("Hi", name="ada"),
            {"role": "user", "content": "Hi", "name": "ada"},
        ),
        (HumanMessage([]), {"role": "user", "content": ""}),
        (SystemMessage("Be brief."), {"role": "system", "content": "Be brief."}),
        (
            SystemMessage("x", additional_kwargs={"__openai_role__": "developer"}),
            {"role": "developer", "content": "x"},
        ),
        (ChatMessage("x", role="critic"), {"role": "critic", "content": "x"}),
        (
            FunctionMessage("7", name="add"),
            {"role": "function", "name": "add", "content": "7"},
        ),
        (AIMessage("Yes"), {"role": "assistant", "content": "Yes"}),
        (AIMessage(""), {"role": "assistant", "content": ""}),
        (
            AIMessage("", tool_calls=[CALL]),
            {"role": "assistant", "content": None, "tool_calls": [WIRE_CALL]},
        ),
        (
            AIMessage("Wait.", tool_calls=[CALL]),
            {"role": "assistant", "content": "Wait.", "tool_calls": [WIRE_CALL]},
        ),
        (
            AIMessage(
                "",
                additional_kwargs={"function_call": {"name": "f", "arguments": "{}"}},
            ),
            {
                "role": "assistant",
                "content": "",
                "function_call": {"name": "f", "arguments": "{}"},
            },
        ),
        (
            AIMessage("", additional_kwargs={"refusal": "No."}),
            {"role": "assistant", "content": "", "refusal": "No."},
        ),
        (
            ToolMessage("12 °C", tool_call_id="call_1", name="weather"),
            {"role": "tool", "tool_call_id": "call_1", "content": "12 °C"},
        ),
        (
            ToolMessage(
                "boom", tool_call_id="call_1", status="error", artifact={"a": 1}
            ),
            {"role": "tool", "tool_call_id": "call_1", "content": "boom"},
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_each_kind_of_message(sent, message, wire):
    assert sent(message) == [wire]


def test_a_text_block_is_sent_without_langchains_own_keys(sent):
    blocks = [
        {"type": "text", "text": "one", "id": "lc_1", "annotations": []},
        {"type": "text", "text": "two", "cache_control": {"type": "ephemeral"}},
        "three",
    ]
    (message,) = sent(HumanMessage(blocks))
    assert message["content"] == [
        {"type": "text", "text": "one"},
        {"type": "text", "text": "two"},
        {"type": "text", "text": "three"},
    ]


def test_a_tools_single_text_block_is_a_string(sent):
    blocks = [{"type": "text", "text": "12 °C", "id": "lc_1"}]
    (message,) = sent(ToolMessage(blocks, tool_call_id="call_1"))
    assert message["content"] == "12 °C"


def test_an_assistants_text_is_one_string_without_what_it_thought_or_called(sent):
    blocks = [
        {"type": "thinking", "thinking": "hm", "signature": "s"},
        {"type": "reasoning", "reasoning": "hm"},
        "Let me ",
        {"type": "text", "text": "look."},
        {"type": "tool_use", "id": "call_1", "name": "weather", "input": CALL["args"]},
        {"type": "tool_call", **CALL},
        {"type": "non_standard", "value": {}},
    ]
    wire = {"role": "assistant", "content": "Let me look.", "tool_calls": [WIRE_CALL]}
    assert sent(AIMessage(blocks, tool_calls=[CALL]), HumanMessage("?"))[0] == wire
    # Anthropic's block alone is enough.
    assert sent(AIMessage(blocks[2:5]), HumanMessage("?"))[0] == wire


def test_a_broken_tool_call_is_sent_back_as_it_came(sent):
    broken = {"name": "weather", "args": '{"city": ', "id": "call_2", "error": "x"}
    message = AIMessage("", tool_calls=[CALL], invalid_tool_calls=[broken])
    calls = sent(message)[0]["tool_calls"]
    assert [call["id"] for call in calls] == ["call_1", "call_2"]
    assert calls[1]["function"] == {"name": "weather", "arguments": '{"city": '}


def test_anthropics_tool_results_become_messages_of_their_own(sent):
    blocks = [
        {"type": "tool_result", "tool_use_id": "call_1", "content": "green"},
        {
            "type": "tool_result",
            "tool_use_id": "call_2",
            "content": [{"type": "text", "text": "blue"}],
            "is_error": False,
        },
        {"type": "text", "text": "And?"},
    ]
    assert sent(HumanMessage(blocks)) == [
        {"role": "tool", "tool_call_id": "call_1", "content": "green"},
        {"role": "tool", "tool_call_id": "call_2", "content": "blue"},
        {"role": "user", "content": "And?"},
    ]
    assert sent(HumanMessage(blocks[:1])) == [
        {"role": "tool", "tool_call_id": "call_1", "content": "green"}
    ]


@pytest.mark.parametrize(
    ("passback", "shown"),
    [
        ("never", [None, None]),
        ("tool_loop", [None, "new"]),
        ("always", ["old", "new"]),
    ],
)
def test_reasoning_is_passed_back_as_chosen(
    scripted, engine, make_chat, canary, passback, shown
):
    new = AIMessage([{"type": "reasoning", "reasoning": "new"}], tool_calls=[CALL])
    messages = [
        HumanMessage(canary),
        AIMessage("1", additional_kwargs={"reasoning_content": "old"}),
        HumanMessage("2"),
        new,
        ToolMessage("3", tool_call_id="call_1"),
    ]
    make_chat(scripted, reasoning_passback=passback).invoke(messages)
    said = [m for m in engine.asked[-1]["messages"] if m["role"] == "assistant"]
    assert [message.get("reasoning_content") for message in said] == shown


@pytest.mark.parametrize(
    "call", ["f", 7, {"name": "f"}, {"name": "f", "arguments": {}}, {"arguments": "{}"}]
)
def test_an_older_call_that_is_none_is_refused(scripted_chat, engine, call):
    message = AIMessage("", additional_kwargs={"function_call": call})
    with pytest.raises(errors.InvalidInputError, match="no call"):
        scripted_chat.invoke([message])
    assert engine.asked == []


def test_of_what_others_keep_beside_a_message_only_texts_are_sent(sent):
    call = {"name": "f", "arguments": "{}"}
    kept = {"refusal": ["No."], "function_call": call | {"parsed": {}}}
    assert sent(AIMessage("a", additional_kwargs=kept)) == [
        {"role": "assistant", "content": "a", "function_call": call}
    ]
    message = SystemMessage("x", additional_kwargs={"__openai_role__": ["developer"]})
    assert sent(message) == [{"role": "system", "content": "x"}]


def test_an_unknown_message_is_refused_by_its_class_alone(
    scripted_chat, engine, canary
):
    with pytest.raises(
        errors.InvalidInputError, match="class RemoveMessage "
    ) as caught:
        scripted_chat.invoke([HumanMessage("x"), RemoveMessage(canary)])
    assert canary not in str(caught.value)
    assert engine.asked == []


def test_arguments_that_are_not_json_are_refused(scripted_chat, engine, canary):
    call = {"name": "f", "args": {"x": {canary}}, "id": "1"}
    with pytest.raises(errors.InvalidInputError, match="not JSON") as caught:
        scripted_chat.invoke([AIMessage("", tool_calls=[call])])
    assert canary not in str(caught.value)
    assert engine.asked == []
