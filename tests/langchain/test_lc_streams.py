"""Streams whose engines misbehave in the ways that engines do.

Each is asked for through `stream`, `astream` and the protocol of version 3, and what
the chunks add up to is compared.
"""

import asyncio
import pickle
import threading

import pytest
from deltas import END, STOPPED, text
from langchain_core.load import dumpd
from langchain_core.messages import AIMessageChunk, HumanMessage
from langchain_core.outputs import ChatGenerationChunk
from lc_streamed import added_up, by_stream

from langchain_atoma import errors


def test_a_chunk_of_text_is_one_like_any_other_and_shares_nothing(
    scripted_chat, engine, canary
):
    engine.chunks = (text("Y"), text("es"), END)
    first, second, *_ = scripted_chat._stream([HumanMessage(canary)])
    made = ChatGenerationChunk(
        message=AIMessageChunk(
            content=first.text, response_metadata={"model_provider": "atoma"}
        )
    )
    assert first == made
    assert first.model_dump() == made.model_dump()
    assert dumpd(first) == dumpd(made)
    assert pickle.loads(pickle.dumps(first)) == made
    for name, value in vars(first.message).items():
        if isinstance(value, list | dict):
            assert value is not getattr(second.message, name)


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
        "usage": engine.usage,
    }
    assert by_stream(model, canary).text == "Yes."


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


def test_log_probabilities_are_joined(scripted_chat, engine, canary):
    def token(word):
        return text(word, logprobs={"content": [{"token": word}], "refusal": None})

    engine.chunks = [token("Yes"), token("."), END]
    message = by_stream(scripted_chat, canary)
    words = [
        entry["token"] for entry in message.response_metadata["logprobs"]["content"]
    ]
    assert words == ["Yes", "."]


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
