"""Whole answers as messages: text, calls, reasoning, usage, metadata, verdict."""

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk

from langchain_atoma import TruncatedAnswerError, errors


def call(arguments, name="get", **fields):
    function = {"name": name, "arguments": arguments}
    return {"id": "call_1", "type": "function", "function": function, **fields}


@pytest.fixture
def answer(scripted_chat, engine, canary):
    """Give the message that an engine's message becomes."""

    def invoke(content=None, finish_reason="stop", **message):
        engine.message = {"role": "assistant", "content": content, **message}
        engine.choice = {"finish_reason": finish_reason}
        return scripted_chat.invoke(canary)

    return invoke


def test_metadata_names_what_was_served_and_what_was_checked(answer, engine):
    engine.answer_fields = {"model": "served/model", "system_fingerprint": "fp"}
    message = answer("Yes.")
    metadata = message.response_metadata
    verdict = metadata.pop("atoma")
    assert metadata == {
        "model_provider": "atoma",
        "model_name": "served/model",
        "system_fingerprint": "fp",
        "id": "chatcmpl-1",
        "finish_reason": "stop",
        "token_usage": engine.usage,
    }
    assert verdict["sealed"] is True
    assert verdict["assurance"] == verdict["policy"] == "proxy_asserted"
    assert verdict["not_proven"].startswith("confidential machine, ")
    assert verdict["signature"] == "unpinned"
    assert verdict["hash"] == "verified"
    assert verdict["blinded"] is True
    assert len(verdict["key"]) == 16
    assert message.id.startswith("lc_run-")


@pytest.mark.clear_text
def test_a_plain_answer_says_that_it_was_not_sealed(scripted, make_chat, caplog):
    message = make_chat(scripted, confidential=False).invoke("Hello there")
    assert message.response_metadata["atoma"]["sealed"] is False
    assert message.response_metadata["atoma"]["assurance"] == "none"
    assert "confidential=False" in caplog.text


def test_no_content_is_an_empty_string(answer):
    assert answer(None).content == ""
    assert answer(
        [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    ).text == ("ab")


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_comes_before_the_text(answer, name):
    message = answer("Yes.", **{name: "Hm."})
    assert message.additional_kwargs == {"reasoning_content": "Hm."}
    assert message.content_blocks == [
        {"type": "reasoning", "reasoning": "Hm."},
        {"type": "text", "text": "Yes."},
    ]


def test_a_refusal_is_kept(answer):
    message = answer(None, refusal="I will not.")
    assert message.additional_kwargs["refusal"] == "I will not."
    (block,) = message.content_blocks
    assert block.get("value", block) == {"type": "refusal", "refusal": "I will not."}


@pytest.mark.parametrize("arguments", ["{}", "", None, "null", {}])
def test_a_call_without_arguments_has_none(answer, arguments):
    message = answer(tool_calls=[call(arguments)], finish_reason="tool_calls")
    assert message.tool_calls == [
        {"name": "get", "args": {}, "id": "call_1", "type": "tool_call"}
    ]
    assert message.invalid_tool_calls == []
    assert "tool_calls" not in message.additional_kwargs


# Python refuses to read an integer of more than 4300 digits.
DIGITS = '{"a": ' + "9" * 5000 + "}"
BROKEN = ['{"a": ', "[1]", '"s"', "nonsense", "1", DIGITS]


@pytest.mark.parametrize("arguments", BROKEN, ids=lambda text: text[:9])
def test_arguments_that_are_no_object_make_an_invalid_call(answer, arguments):
    message = answer(tool_calls=[call(arguments)], finish_reason="tool_calls")
    assert message.tool_calls == []
    assert message.invalid_tool_calls == [
        {
            "name": "get",
            "args": arguments,
            "id": "call_1",
            "error": "The arguments are not a JSON object.",
            "type": "invalid_tool_call",
        }
    ]
    assert message.content_blocks == message.invalid_tool_calls


def test_text_and_calls_are_separate_blocks(answer):
    message = answer("Wait.", tool_calls=[call('{"a": 1}'), call("x", id="call_2")])
    assert [block["type"] for block in message.content_blocks] == [
        "text",
        "tool_call",
        "invalid_tool_call",
    ]


@pytest.mark.parametrize(
    "malformed",
    [{"id": "x"}, {"function": {}}, call("{}", name=""), call("{}", name=7)],
)
def test_a_call_without_a_name_is_off_contract(answer, malformed):
    with pytest.raises(errors.RemoteProtocolError, match="has no name"):
        answer("Yes.", tool_calls=[call("{}"), malformed])


def test_blocks_of_a_message_that_holds_a_list():
    metadata = {"model_provider": "atoma"}
    blocks = [{"type": "tool_call", "name": "get", "args": {}, "id": "1"}]
    calls = [
        {"name": name, "args": {}, "id": id_}
        for name, id_ in (("get", "1"), ("put", "2"))
    ]
    message = AIMessage(
        ["Wait.", *blocks], tool_calls=calls, response_metadata=metadata
    )
    assert message.content_blocks == [
        {"type": "text", "text": "Wait."},
        *blocks,
        {"type": "tool_call", "name": "put", "args": {}, "id": "2"},
    ]
    chunk = AIMessageChunk(["Wait.", {"type": "x"}], response_metadata=metadata)
    assert chunk.content_blocks == [
        {"type": "text", "text": "Wait.", "index": "lc_txt_0"},
        {"type": "x"},
    ]


def test_a_cut_off_call_is_an_error_that_tells_nothing(answer):
    with pytest.raises(TruncatedAnswerError) as caught:
        answer(tool_calls=[call('{"secret": "hunt')], finish_reason="length")
    assert "hunt" not in repr(caught.value) + str(caught.value)
    assert caught.value.exposure is errors.Exposure.SEALED


@pytest.mark.parametrize("begun", ["", None, " ", "[1", "nul"])
def test_a_call_cut_off_before_its_arguments_is_no_call(answer, begun):
    whole = call('{"a": 1}') | {"id": "first"}
    with pytest.raises(TruncatedAnswerError):
        answer(tool_calls=[whole, call(begun)], finish_reason="length")


def test_a_cut_off_call_can_be_kept(scripted, engine, make_chat, canary):
    engine.message = {"content": None, "tool_calls": [call('{"a": "hunt')]}
    engine.choice = {"finish_reason": "length"}
    model = make_chat(scripted, on_truncated_tool_call="keep")
    message = model.invoke(canary)
    assert [broken["args"] for broken in message.invalid_tool_calls] == ['{"a": "hunt']


def test_the_older_kind_of_call_is_kept(answer):
    legacy = {"name": "get", "arguments": "{}"}
    message = answer(function_call=legacy, finish_reason="function_call")
    assert message.additional_kwargs["function_call"] == legacy
    message = answer(function_call={}, finish_reason="stop")
    assert "function_call" not in message.additional_kwargs


def test_usage_in_langchains_terms(answer, engine):
    engine.usage = {
        "prompt_tokens": 10,
        "completion_tokens": 4,
        "total_tokens": 14,
        "prompt_tokens_details": {"cached_tokens": 6, "audio_tokens": None},
        "completion_tokens_details": {"reasoning_tokens": 2, "audio_tokens": 1},
    }
    assert answer("Yes.").usage_metadata == {
        "input_tokens": 10,
        "output_tokens": 4,
        "total_tokens": 14,
        "input_token_details": {"cache_read": 6},
        "output_token_details": {"reasoning": 2, "audio": 1},
    }


def test_usage_may_be_partial(answer, engine):
    engine.usage = {"prompt_tokens": 3, "prompt_tokens_details": None}
    assert answer("Yes.").usage_metadata == {
        "input_tokens": 3,
        "output_tokens": 0,
        "total_tokens": 3,
    }
    engine.usage = {"prompt_tokens": "3", "completion_tokens": True}
    assert answer("Yes.").usage_metadata is None


def test_several_choices_count_their_usage_once(scripted_chat, canary):
    result = scripted_chat.generate([[AIMessage(canary)]], n=2)
    (choices,) = result.generations
    assert [choice.text for choice in choices] == ["Yes.", "Yes."]
    usages = [choice.message.usage_metadata for choice in choices]
    assert usages[0]["total_tokens"] == 12
    assert usages[1] is None
    assert all(c.message.response_metadata["atoma"]["sealed"] for c in choices)


def test_a_batch_adds_its_tokens_up(scripted_chat, engine, canary):
    engine.usage["prompt_tokens_details"] = {"cached_tokens": 1}
    result = scripted_chat.generate([[AIMessage(canary)]] * 3)
    assert result.llm_output["token_usage"] == {
        "prompt_tokens": 21,
        "completion_tokens": 15,
        "total_tokens": 36,
        "prompt_tokens_details": {"cached_tokens": 3},
    }


def test_log_probabilities_and_stop_reason_are_kept(answer, engine, scripted_chat):
    logprobs = {"content": [{"token": "Yes", "logprob": -0.1}]}
    engine.choice = {"finish_reason": "stop", "stop_reason": 7, "logprobs": logprobs}
    metadata = scripted_chat.invoke("Hi", logprobs=True).response_metadata
    assert metadata["logprobs"] == logprobs
    assert metadata["stop_reason"] == 7
    assert engine.asked[-1]["logprobs"] is True


def test_version_one_content_holds_the_blocks(scripted, engine, make_chat, canary):
    engine.message = {"content": "Wait.", "tool_calls": [call('{"a": 1}')]}
    message = make_chat(scripted, output_version="v1").invoke(canary)
    assert message.content == [
        {"type": "text", "text": "Wait."},
        {"type": "tool_call", "name": "get", "args": {"a": 1}, "id": "call_1"},
    ]
    # And back to the wire.
    make_chat(scripted).invoke([message])
    (sent,) = engine.asked[-1]["messages"]
    assert sent["content"] == "Wait."
    assert sent["tool_calls"][0]["id"] == "call_1"
