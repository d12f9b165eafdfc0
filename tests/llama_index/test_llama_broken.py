"""Answers and streams that are off contract: an answer, or an error of ours.

What an engine sends is opened and authenticated, and can still be nonsense.
"""

import asyncio
import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from llama_index.core.base.llms.types import ChatMessage, ThinkingBlock, ToolCallBlock
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler

from llama_index_atoma import errors

ASKED = [ChatMessage(role="user", content="Q")]
END = {"delta": {}, "finish_reason": "stop"}
SECRET = "heliodora-is-the-answer"

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=4)
names = st.sampled_from(["content", "text", "name", "arguments", "token", "type"])
junk = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3)
    ),
    max_leaves=8,
)
tokens = st.fixed_dictionaries(
    dict.fromkeys(("token", "logprob", "bytes", "top_logprobs"), junk)
)
calls = st.fixed_dictionaries({"index": junk, "id": junk, "function": junk})
# Off contract from the outside, and from the inside.
shapes = (
    junk
    | st.fixed_dictionaries({"content": st.lists(tokens | junk, max_size=2)})
    | st.lists(calls, max_size=2)
)
FIELDS = ["content", "reasoning_content", "reasoning", "refusal", "tool_calls", "role"]
CHOICE = ["logprobs", "finish_reason", "stop_reason", "index"]


async def gathered(items):
    return [item async for item in await items]


def whole(model):
    return [model.chat(ASKED)]


def streamed(model):
    return list(model.stream_chat(ASKED))


def is_ours(run, model):
    """Give the items of an answer; none where it failed with an error of ours."""
    try:
        items = run(model)
    except errors.ConfidentialError:
        return []
    for item in items:
        json.dumps(item.additional_kwargs)
        assert item.message.role.value == "assistant"
    return items


@pytest.mark.parametrize("run", [whole, streamed])
@pytest.mark.parametrize("field", FIELDS + CHOICE)
@settings(
    max_examples=15,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(st.data())
def test_nonsense_is_read_or_refused(scripted_chat, engine, run, field, data):
    value = data.draw(shapes, label="value")
    try:
        json.dumps(value, allow_nan=False)
    except ValueError:
        return
    said = {"role": "assistant", "content": "Yes."}
    ended = {"finish_reason": "stop"}
    (said if field in FIELDS else ended)[field] = value
    engine.message, engine.choice = said, ended
    engine.chunks = [{"delta": said, **ended, "finish_reason": None}, END]
    is_ours(run, scripted_chat)


@pytest.mark.parametrize("run", [whole, streamed])
@pytest.mark.parametrize(
    "logprobs",
    [
        {"content": [None, SECRET, 1]},
        {"content": {"token": SECRET}},
        {"content": [{"token": SECRET, "logprob": SECRET, "bytes": SECRET}]},
        {"content": [{"token": {"x": SECRET}, "logprob": None, "bytes": [SECRET]}]},
        {"content": [{"token": SECRET, "top_logprobs": [None]}]},
        {"content": [{"token": SECRET, "top_logprobs": 3}]},
        [SECRET],
    ],
)
def test_broken_probabilities_lose_no_answer(scripted_chat, engine, run, logprobs):
    engine.choice = {"finish_reason": "stop", "logprobs": logprobs}
    engine.chunks = [{"delta": {"content": "Yes."}, "logprobs": logprobs}, END]
    assert is_ours(run, scripted_chat)[-1].message.content == "Yes."


@pytest.mark.parametrize("run", [whole, streamed])
@pytest.mark.parametrize("index", [[], {}, [0], {"x": 1}, 1.5])
def test_an_index_that_is_none(scripted_chat, engine, run, index):
    call = {"index": index, "id": "c", "function": {"name": "f", "arguments": "{}"}}
    engine.message = {"role": "assistant", "content": None, "tool_calls": [call]}
    engine.chunks = [{"delta": {"tool_calls": [call]}}, END]
    blocks = is_ours(run, scripted_chat)[-1].message.blocks
    assert [(b.tool_call_id, b.tool_name) for b in blocks] == [("c", "f")]


def test_fields_that_are_null_in_each_fragment(scripted_chat, engine):
    nothing = {"content": None, "role": None, "refusal": None, "tool_calls": None}
    head = {"index": 0, "id": "c", "type": "function"}
    named = {"name": "f", "arguments": None}
    rest = {"index": 0, "id": None, "type": None}
    pieces = ['{"a"', ": 1}"]
    engine.chunks = [
        {"delta": {"role": "assistant", "content": None, "tool_calls": None}},
        {"delta": nothing | {"tool_calls": [{**head, "function": named}]}},
        *(
            {
                "delta": nothing
                | {"tool_calls": [{**rest, "function": {"name": None, "arguments": p}}]}
            }
            for p in pieces
        ),
        {"delta": nothing | {"tool_calls": [{**rest, "function": None}]}},
        {"delta": nothing, "finish_reason": "tool_calls"},
    ]
    *_, last = scripted_chat.stream_chat(ASKED)
    (block,) = last.message.blocks
    assert (block.tool_call_id, block.tool_kwargs) == ("c", {"a": 1})
    assert isinstance(block, ToolCallBlock)


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_thoughts_of_a_whole_answer_under_both_names(scripted_chat, engine, field):
    engine.message = {"role": "assistant", "content": "Yes.", field: "Hm."}
    for response in (
        scripted_chat.chat(ASKED),
        asyncio.run(scripted_chat.achat(ASKED)),
    ):
        first, second = response.message.blocks
        assert first == ThinkingBlock(content="Hm.")
        assert second.text == response.message.content == "Yes."
    engine.message = {"role": "assistant", "content": "Yes."}
    blocks = scripted_chat.chat(ASKED).message.blocks
    assert [type(b) for b in blocks].count(ThinkingBlock) == 0


def test_of_several_choices_the_first_is_read(scripted_chat, engine):
    chosen = [
        {"index": n, "message": {"role": "assistant", "content": text}}
        for n, text in enumerate(["first", "second"])
    ]
    spoken = engine.chat
    engine.chat = lambda body: spoken(body) | {"choices": chosen}
    response = scripted_chat.chat(ASKED, n=2)
    assert response.message.content == "first"
    assert engine.asked[-1]["n"] == 2
    assert len(response.raw["choices"]) == 2


def test_an_answer_without_usage_is_an_answer(scripted_chat, engine):
    engine.usage = None
    counter = TokenCountingHandler(tokenizer=str.split)
    scripted_chat.callback_manager = CallbackManager([counter])
    response = scripted_chat.chat(ASKED)
    assert response.message.content == "Yes."
    assert "total_tokens" not in response.additional_kwargs
    assert counter.total_llm_token_count > 0, "it counts for itself"


WHOLE = {
    "chat": lambda m: m.chat(ASKED),
    "achat": lambda m: asyncio.run(m.achat(ASKED)),
    "complete": lambda m: m.complete("Q"),
    "acomplete": lambda m: asyncio.run(m.acomplete("Q")),
}
STREAMS = {
    "stream_chat": lambda m: list(m.stream_chat(ASKED)),
    "astream_chat": lambda m: asyncio.run(gathered(m.astream_chat(ASKED))),
    "stream_complete": lambda m: list(m.stream_complete("Q")),
    "astream_complete": lambda m: asyncio.run(gathered(m.astream_complete("Q"))),
}
OFF_CONTRACT = {
    "reply-not-json": errors.RemoteProtocolError,
    "reply-html": errors.RemoteProtocolError,
    "reply-clear": errors.RemoteProtocolError,
    "answer-no-choices": errors.RemoteProtocolError,
    "tag-tampered": errors.OpenError,
    "post-cut": errors.ConnectionLostError,
    "engine-error-object": errors.EngineError,
}
BROKEN = {
    "stream-truncated:1": errors.StreamTruncatedError,
    "stream-cut:1": errors.StreamTruncatedError,
    "stream-empty": errors.StreamTruncatedError,
    "stream-garbage:1": errors.RemoteProtocolError,
    "stream-engine-error:1": errors.EngineError,
    "stream-two-ids:1": errors.RemoteProtocolError,
}


@pytest.mark.parametrize("call", {**WHOLE, **STREAMS}.values(), ids=[*WHOLE, *STREAMS])
@pytest.mark.parametrize("fault", OFF_CONTRACT)
def test_every_endpoint_refuses_what_is_no_answer(scripted, make_chat, call, fault):
    scripted.faults.always(fault)
    model = make_chat(scripted, max_retries=0, stream_mode="buffered")
    with pytest.raises(OFF_CONTRACT[fault]):
        call(model)


@pytest.mark.parametrize("call", STREAMS.values(), ids=STREAMS)
@pytest.mark.parametrize("fault", BROKEN)
def test_every_stream_refuses_half_an_answer(scripted, make_chat, call, fault):
    scripted.faults.always(fault)
    model = make_chat(scripted, max_retries=0, stream_mode="live")
    with pytest.raises(BROKEN[fault]):
        call(model)


@pytest.mark.parametrize("call", {**WHOLE, **STREAMS}.values(), ids=[*WHOLE, *STREAMS])
def test_no_server(make_chat, scripted, call):
    # Port 9 of this machine: nothing listens there.
    model = make_chat(scripted, base_url="http://127.0.0.1:9", max_retries=0)
    with pytest.raises(errors.ConnectionFailedError) as caught:
        call(model)
    assert caught.value.exposure is errors.Exposure.NOTHING


@pytest.fixture
def slept(monkeypatch):
    """Seconds that clients would sleep; none of them passes."""
    waits = []
    sleep = asyncio.sleep

    async def asleep(seconds):
        if seconds >= 1:
            waits.append(seconds)
            seconds = 0
        await sleep(seconds)

    monkeypatch.setattr("atoma_confidential.client.time.sleep", waits.append)
    monkeypatch.setattr("atoma_confidential.async_client.asyncio.sleep", asleep)
    return waits


RETRIED = [WHOLE["chat"], WHOLE["achat"], *STREAMS.values()]


@pytest.mark.parametrize("call", RETRIED)
def test_how_long_to_wait_is_the_servers_to_say(scripted, make_chat, call, slept):
    scripted.faults.once("post-429-retry-after:7", "post-429-retry-after:9")
    call(make_chat(scripted, stream_mode="live"))
    assert slept == [7, 9]


@pytest.mark.parametrize("call", RETRIED)
def test_a_wait_that_is_too_long_is_the_callers(scripted, make_chat, call, slept):
    scripted.faults.always("post-429-retry-after:3600")
    with pytest.raises(errors.RateLimitError) as caught:
        call(make_chat(scripted, stream_mode="live"))
    assert caught.value.retry_after == 3600
    assert slept == []


@pytest.mark.parametrize("fault", ["post-429", "post-429-retry-after:-5"])
def test_without_such_a_word_the_wait_is_short(scripted, make_chat, slept, fault):
    scripted.faults.once(fault)
    assert make_chat(scripted).chat(ASKED).message.content == "Yes."
    (seconds,) = slept
    assert 1 <= seconds <= 1.5


def test_embeddings_wait_likewise(scripted, make_embeddings, slept):
    scripted.faults.once("post-429-retry-after:7")
    model = make_embeddings(scripted)
    assert model.get_text_embedding("a")
    scripted.faults.once("post-429-retry-after:8")
    assert asyncio.run(model.aget_text_embedding("a"))
    assert slept == [7, 8]
