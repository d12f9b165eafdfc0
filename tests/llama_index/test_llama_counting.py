"""Every way to call a model is one call: counted once, limited once, and ended once.

The ways that core builds on the eight endpoints are here as well: predictions, tools,
structured outputs.
"""

import asyncio
from collections import Counter

import pytest
from adding import TOOL
from limiter import Limiter
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel

from llama_index_atoma import AtomaChatModel, errors

CHAT = "meta-llama/Llama-3.3-70B-Instruct"
ASKED = [ChatMessage(role="user", content="Q")]
PROMPT = PromptTemplate("{q}")


class Sum(BaseModel):
    """Two numbers."""

    a: int = 0
    b: int = 0


CALL = {
    "index": 0,
    "id": "c0",
    "type": "function",
    "function": {"name": "add", "arguments": '{"a": 1, "b": 2}'},
}


async def gathered(items):
    return [item async for item in await items]


def structured(model):
    return model.as_structured_llm(Sum)


CALLS = {
    "chat": lambda m: m.chat(ASKED),
    "achat": lambda m: asyncio.run(m.achat(ASKED)),
    "complete": lambda m: m.complete("Q"),
    "acomplete": lambda m: asyncio.run(m.acomplete("Q")),
    "predict": lambda m: m.predict(PROMPT, q="Q"),
    "apredict": lambda m: asyncio.run(m.apredict(PROMPT, q="Q")),
    "tools": lambda m: m.chat_with_tools([TOOL], user_msg="Q"),
    "atools": lambda m: asyncio.run(m.achat_with_tools([TOOL], user_msg="Q")),
    "predict_and_call": lambda m: m.predict_and_call([TOOL], user_msg="Q"),
    "apredict_and_call": lambda m: asyncio.run(
        m.apredict_and_call([TOOL], user_msg="Q")
    ),
    "structured": lambda m: m.structured_predict(Sum, PROMPT, q="Q"),
    "astructured": lambda m: asyncio.run(m.astructured_predict(Sum, PROMPT, q="Q")),
}
STREAMS = {
    "chat": lambda m: m.stream_chat(ASKED),
    "complete": lambda m: m.stream_complete("Q"),
    "stream": lambda m: m.stream(PROMPT, q="Q"),
    "tools": lambda m: m.stream_chat_with_tools([TOOL], user_msg="Q"),
    "structured": lambda m: m.stream_structured_predict(Sum, PROMPT, q="Q"),
}
ASYNC_STREAMS = {
    "achat": lambda m: m.astream_chat(ASKED),
    "acomplete": lambda m: m.astream_complete("Q"),
    "astream": lambda m: m.astream(PROMPT, q="Q"),
    "atools": lambda m: m.astream_chat_with_tools([TOOL], user_msg="Q"),
    "astructured": lambda m: m.astream_structured_predict(Sum, PROMPT, q="Q"),
}
EVERYTHING = {
    **CALLS,
    **{f"{name} streamed": lambda m, f=f: list(f(m)) for name, f in STREAMS.items()},
    **{
        f"{name} streamed": lambda m, f=f: asyncio.run(gathered(f(m)))
        for name, f in ASYNC_STREAMS.items()
    },
}
# A model inside of another: core gives the outer one events of its own.
STRUCTURED = {
    "chat": lambda m: structured(m).chat(ASKED),
    "achat": lambda m: asyncio.run(structured(m).achat(ASKED)),
    "stream_chat": lambda m: list(structured(m).stream_chat(ASKED)),
    "astream_chat": lambda m: asyncio.run(gathered(structured(m).astream_chat(ASKED))),
}


@pytest.fixture(params=EVERYTHING)
def call(request):
    return EVERYTHING[request.param]


@pytest.fixture
def calling(engine):
    """Let the engine call a tool in every answer."""
    engine.message = {"role": "assistant", "content": None, "tool_calls": [CALL]}
    engine.choice = {"finish_reason": "tool_calls"}
    engine.chunks = [
        {"delta": {"tool_calls": [CALL]}},
        {"delta": {}, "finish_reason": "tool_calls"},
    ]
    return engine


@pytest.fixture
def model(scripted_chat, calling):
    scripted_chat.tracing_policy = "allow"
    return scripted_chat


def test_tokens_are_counted_once_and_the_limiter_is_taken_once(model, call, calling):
    def no_tokenizer(_text):
        raise AssertionError("the engine's own count is there")

    counter = TokenCountingHandler(tokenizer=no_tokenizer)
    model.callback_manager = CallbackManager([counter])
    model.rate_limiter = limiter = Limiter()
    call(model)
    assert len(calling.asked) == 1
    assert counter.prompt_llm_token_count == 7
    assert counter.completion_llm_token_count == 5
    assert len(counter.llm_token_counts) == 1
    assert limiter.taken == 1


@pytest.mark.parametrize("call", STRUCTURED.values(), ids=STRUCTURED)
def test_a_structured_model_takes_the_limiter_once(model, call, calling):
    model.rate_limiter = limiter = Limiter()
    call(model)
    assert len(calling.asked) == 1
    assert limiter.taken == 1


def spans_of(spans):
    """How many spans were entered, and how many left, by their ids."""
    entered = Counter(s[1] for s in spans.told if s[0] == "enter")
    left = Counter(s[1] for s in spans.told if s[0] != "enter")
    return entered, left


def events_of(events, kind):
    return [e for e in events.events if type(e).__name__.endswith(kind)]


def test_what_begins_ends(model, call, events, spans, legacy, heard_by):
    call(heard_by(model))
    (start,) = events_of(events, "ChatStartEvent") or events_of(
        events, "CompletionStartEvent"
    )
    (end,) = events_of(events, "ChatEndEvent") or events_of(
        events, "CompletionEndEvent"
    )
    assert start.span_id == end.span_id
    assert end.response.raw["usage"]["total_tokens"] == 12, "the end has all of it"
    assert len(events_of(events, "StructuredPredictStartEvent")) == len(
        events_of(events, "StructuredPredictEndEvent")
    )
    entered, left = spans_of(spans)
    assert entered
    assert entered == left
    assert len(legacy.of("llm")) == 1
    assert legacy.balanced


def test_what_fails_ends(scripted, model, call, events, spans, legacy, heard_by):
    scripted.faults.always("post-401")
    with pytest.raises(errors.AuthenticationError):
        call(heard_by(model))
    starts = events_of(events, "ChatStartEvent") or events_of(
        events, "CompletionStartEvent"
    )
    assert len(starts) == 1
    assert events_of(events, "ChatEndEvent") == []
    assert events_of(events, "CompletionEndEvent") == []
    # Of a stream core tells the exception; of another call, that its span was dropped.
    told = [
        e.span_id
        for e in events.events
        if type(e).__name__ in ("ExceptionEvent", "SpanDropEvent")
    ]
    assert starts[0].span_id in told
    entered, left = spans_of(spans)
    assert entered == left
    assert len(legacy.of("llm")) == 1
    assert legacy.balanced


def assert_given_up(events, spans, legacy):
    starts = events_of(events, "ChatStartEvent") or events_of(
        events, "CompletionStartEvent"
    )
    ends = events_of(events, "ChatEndEvent") + events_of(events, "CompletionEndEvent")
    assert (len(starts), len(ends)) == (1, 0)
    (given_up,) = events_of(events, "ExceptionEvent")
    assert given_up.span_id == starts[0].span_id
    assert type(given_up.exception) is GeneratorExit
    entered, left = spans_of(spans)
    assert entered == left
    assert len(legacy.of("llm")) == 1
    assert legacy.balanced


LONG = [{"delta": {"tool_calls": [CALL]}}, *({"delta": {"content": "x"}},) * 9]


@pytest.mark.parametrize("begin", STREAMS.values(), ids=STREAMS)
def test_what_is_left_ends(model, begin, calling, events, spans, legacy, heard_by):
    calling.chunks = [*LONG, *calling.chunks[1:]]
    items = begin(heard_by(model))
    next(items)
    items.close()
    assert_given_up(events, spans, legacy)


@pytest.mark.parametrize("begin", ASYNC_STREAMS.values(), ids=ASYNC_STREAMS)
async def test_what_is_left_ends_in_a_loop(
    model, begin, calling, events, spans, legacy, heard_by
):
    calling.chunks = [*LONG, *calling.chunks[1:]]
    items = await begin(heard_by(model))
    await anext(items)
    await items.aclose()
    assert_given_up(events, spans, legacy)


def test_an_empty_answer_ends_too(scripted_chat, engine, legacy, heard_by):
    # Core cannot make the end of a completion of which no item came.
    engine.chunks = [{"delta": {}, "finish_reason": "stop"}]
    model = heard_by(scripted_chat)
    assert [item.text for item in model.stream_complete("Q")] == [""]
    (item,) = asyncio.run(gathered(model.astream_complete("Q")))
    assert item.text == ""
    assert legacy.balanced


def test_a_handlers_error_does_not_change_the_answer(model, events, monkeypatch):
    # Core's dispatcher keeps the errors of its handlers to itself.
    def fail(self, event, **kwargs):
        raise RuntimeError("a handler's own")

    before = model.chat(ASKED).model_dump()
    monkeypatch.setattr(type(events), "handle", fail)
    after = model.chat(ASKED).model_dump()
    for answer in (before, after):
        answer["additional_kwargs"].pop("atoma")
    assert before == after


def test_a_subclass_that_calls_super_is_counted_once(
    scripted, legacy, heard_by, events
):
    class Sub(AtomaChatModel):
        def chat(self, messages, **kwargs):
            return super().chat(messages, **kwargs)

        def stream_chat(self, messages, **kwargs):
            return super().stream_chat(messages, **kwargs)

    connection = {"api_key": scripted.api_key, "base_url": scripted.base_url}
    model = heard_by(Sub(model=CHAT, tracing_policy="allow", **connection))
    model.chat(ASKED)
    assert len(legacy.of("llm")) == 1
    list(model.stream_chat(ASKED))
    assert len(legacy.of("llm")) == 2
    assert events.names.count("LLMChatStartEvent") == 2
    assert legacy.balanced


def test_embeddings_that_fail_end(
    scripted, make_embeddings, events, spans, legacy, heard_by
):
    scripted.faults.always("post-401")
    model = heard_by(make_embeddings(scripted, tracing_policy="allow"))

    async def run():
        with pytest.raises(errors.AuthenticationError):
            await model.aget_text_embedding_batch(["a"])

    with pytest.raises(errors.AuthenticationError):
        model.get_query_embedding("a")
    asyncio.run(run())
    starts = events_of(events, "EmbeddingStartEvent")
    dropped = {e.span_id for e in events_of(events, "SpanDropEvent")}
    assert len(starts) == 2
    assert {start.span_id for start in starts} <= dropped
    assert events_of(events, "EmbeddingEndEvent") == []
    entered, left = spans_of(spans)
    assert entered == left
    assert legacy.balanced
