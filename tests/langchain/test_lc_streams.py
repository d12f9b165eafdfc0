"""Streams whose engines misbehave in the ways that engines do.

Each is asked for through `stream`, `astream` and the protocol of version 3, and what
the chunks add up to is compared.
"""

import asyncio
import threading
import warnings

import pytest
from langchain_core.messages import AIMessageChunk

from langchain_atoma import TruncatedAnswerError, errors


def text(content, **choice):
    return {"delta": {"content": content}, **choice}


def fragment(arguments=None, **fields):
    named = {"name": fields.pop("name")} if "name" in fields else {}
    function = {**named, **({} if arguments is None else {"arguments": arguments})}
    return {"delta": {"tool_calls": [{"function": function, **fields}]}}


STOPPED = {"finish_reason": "stop"}
END = {"delta": {}, **STOPPED}
CALLED = {"delta": {}, "finish_reason": "tool_calls"}
CUT = {"delta": {}, "finish_reason": "length"}


def added_up(chunks):
    first, *rest = chunks
    for chunk in rest:
        first += chunk
    return first


def by_stream(model, prompt):
    return added_up(model.stream(prompt))


def by_astream(model, prompt):
    async def collect():
        return added_up([chunk async for chunk in model.astream(prompt)])

    return asyncio.run(collect())


def by_events(model, prompt):
    with warnings.catch_warnings(action="ignore"):  # version 3 is beta
        return model.stream_events(prompt, version="v3").output


def by_aevents(model, prompt):
    async def collect():
        stream = await model.astream_events(prompt, version="v3")
        return await stream.output

    with warnings.catch_warnings(action="ignore"):
        return asyncio.run(collect())


@pytest.fixture(params=[by_stream, by_astream, by_events, by_aevents])
def streamed(request, scripted_chat, engine, canary):
    """Give the message that some chunks add up to."""

    def run(*chunks):
        engine.chunks = chunks
        return request.param(scripted_chat, canary)

    return run


def calls_of(message):
    return [(call["name"], call["args"]) for call in message.tool_calls]


def test_text_usage_and_metadata(streamed):
    message = streamed(text("Y"), text("es"), text("."), END)
    assert message.text == "Yes."
    assert message.usage_metadata["total_tokens"] == 12
    metadata = message.response_metadata
    assert metadata["finish_reason"] == "stop"
    assert metadata["model_name"] == "meta-llama/Llama-3.3-70B-Instruct"
    assert metadata["model_provider"] == "atoma"
    assert metadata["id"] == "chatcmpl-1"
    assert metadata["atoma"]["sealed"] is True
    assert metadata["atoma"]["stream"] == "live"


def test_finish_sent_twice_counts_once(streamed):
    message = streamed(text("Yes.", finish_reason="stop"), END)
    assert message.response_metadata["finish_reason"] == "stop"


def test_a_null_delta_keeps_the_finish(streamed):
    message = streamed(text("Yes."), {"delta": None, "finish_reason": "stop"})
    assert message.response_metadata["finish_reason"] == "stop"


def test_a_stream_without_content_is_an_empty_message(streamed):
    message = streamed({"delta": {"role": "assistant"}}, END)
    assert message.text == ""
    assert message.response_metadata["finish_reason"] == "stop"


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning"])
def test_reasoning_is_a_block_of_its_own(streamed, name):
    message = streamed(
        {"delta": {name: "H"}}, {"delta": {name: "m."}}, text("Yes."), END
    )
    blocks = [{**block} for block in message.content_blocks]
    for block in blocks:
        block.pop("index", None)
        block.pop("id", None)
    assert blocks == [
        {"type": "reasoning", "reasoning": "Hm."},
        {"type": "text", "text": "Yes."},
    ]


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


def test_another_choice_is_not_mixed_in(streamed):
    message = streamed(text("no", index=1), text("Yes."), END, {**END, "index": 1})
    assert message.text == "Yes."


@pytest.mark.parametrize("chunks", [[text("Yes."), END], [END]])
def test_a_stream_without_a_first_choice_is_off_contract(streamed, chunks):
    with pytest.raises(errors.RemoteProtocolError, match="no choice 0"):
        streamed(*({**chunk, "index": 1} for chunk in chunks))


def test_an_only_choice_of_another_number_is_answered_whole(
    scripted, engine, make_chat, canary
):
    model = make_chat(scripted, stream_mode="buffered")
    engine.choice = {"index": 1, "finish_reason": "stop"}
    engine.chat = lambda body: {
        "model": body["model"],
        "choices": [{"message": engine.message, **engine.choice}],
    }
    assert by_stream(model, canary).text == "Yes."


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


def test_an_error_inside_the_stream(streamed, scripted):
    scripted.faults.always("stream-engine-error:1")
    with pytest.raises(errors.EngineError):
        streamed(text("Ye"), text("s."), END)


@pytest.mark.parametrize(
    "fault", ["stream-truncated:1", "stream-no-finish", "stream-cut:1"]
)
def test_a_stream_that_ends_early(streamed, scripted, fault):
    scripted.faults.always(fault)
    with pytest.raises(errors.StreamTruncatedError):
        streamed(text("Ye"), text("s."), END)


def test_a_busy_node_is_asked_again(streamed, scripted):
    scripted.faults.once("post-429-retry-after:0")
    assert streamed(text("Yes."), END).text == "Yes."


def test_a_refusal_arrives_whole(streamed):
    message = streamed(
        {"delta": {"refusal": "I will "}}, {"delta": {"refusal": "not."}}, END
    )
    block = message.content_blocks[-1]
    assert block.get("value", block)["refusal"] == "I will not."


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


def test_log_probabilities_are_joined(scripted_chat, engine, canary):
    def token(word):
        return text(word, logprobs={"content": [{"token": word}], "refusal": None})

    engine.chunks = [token("Yes"), token("."), END]
    message = by_stream(scripted_chat, canary)
    words = [
        entry["token"] for entry in message.response_metadata["logprobs"]["content"]
    ]
    assert words == ["Yes", "."]


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


def test_the_last_chunk_alone_says_what_is_said_once(scripted_chat, engine, canary):
    engine.chunks = [text("Ye"), text("s.", finish_reason="stop")]
    *chunks, last = scripted_chat.stream(canary)
    assert all(isinstance(chunk, AIMessageChunk) for chunk in chunks)
    assert [chunk.response_metadata for chunk in chunks] == (
        [{"model_provider": "atoma"}] * len(chunks)
    )
    assert [chunk.usage_metadata for chunk in chunks] == [None] * len(chunks)
    assert last.chunk_position == "last"
    assert last.content == ""
    assert last.usage_metadata["input_tokens"] == 7
    # One id for all of them, or LangGraph shows one message as two.
    assert len({chunk.id for chunk in [*chunks, last]}) == 1


def test_chunks_arrive_while_the_engine_still_writes(
    make_atoma, make_chat, engine, canary
):
    seen = threading.Event()

    class Slow(type(engine)):
        async def stream_chat(self, body):
            yield {"id": "1", "choices": [{"index": 0, **text("Ye")}]}
            assert await asyncio.to_thread(seen.wait, 10), "it was held back"
            yield {"id": "1", "choices": [{"index": 0, **text("s."), **STOPPED}]}
            yield {"id": "1", "choices": [], "usage": {"prompt_tokens": 1}}

    model = make_chat(make_atoma(backend=Slow()), stream_mode="live")
    stream = model.stream(canary)
    first = next(stream)
    assert first.text == "Ye"
    seen.set()
    assert added_up([first, *stream]).text == "Yes."


def test_an_early_stop_hangs_up_and_leaves_nothing_open(scripted_chat, engine, canary):
    engine.chunks = [text("word ")] * 50 + [END]
    stream = scripted_chat.stream(canary)
    assert next(stream).text == "word "
    stream.close()
    assert scripted_chat.invoke(canary).text == "Yes."


async def test_an_early_stop_of_an_async_stream(scripted_chat, engine, canary):
    engine.chunks = [text("word ")] * 50 + [END]
    stream = scripted_chat.astream(canary)
    assert (await anext(stream)).text == "word "
    await stream.aclose()
    assert (await scripted_chat.ainvoke(canary)).text == "Yes."
