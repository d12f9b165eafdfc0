"""What each of the eight endpoints emits: events, counted tokens, the limiter."""

import asyncio

import pytest
from limiter import Limiter
from llama_endpoints import ASKED, STREAMS
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler

from llama_index_atoma import errors

CHAT = "meta-llama/Llama-3.3-70B-Instruct"


def started_and_ended(names):
    kinds = ("StartEvent", "EndEvent")
    return [name for name in names if name.startswith("LLM") and name.endswith(kinds)]


def test_each_call_is_one_event(
    scripted, make_chat, endpoint, events, legacy, heard_by
):
    model = make_chat(scripted, stream_mode="live", tracing_policy="allow")
    endpoint(heard_by(model))
    kind = "Completion" if "complete" in endpoint.__name__ else "Chat"
    assert started_and_ended(events.names) == [
        f"LLM{kind}StartEvent",
        f"LLM{kind}EndEvent",
    ]
    steps = events.names.count(f"LLM{kind}InProgressEvent")
    assert steps == (2 if endpoint in STREAMS else 0)
    assert len(legacy.of("llm")) == 1
    assert legacy.balanced


def test_events_are_balanced_on_errors(atoma, make_chat, endpoint, legacy, heard_by):
    atoma.faults.always("post-401")
    with pytest.raises(errors.AuthenticationError):
        endpoint(heard_by(make_chat(atoma)))
    assert len(legacy.of("llm")) == 1
    assert legacy.balanced


def test_events_are_balanced_on_an_early_close(
    scripted_chat, events, legacy, heard_by, engine
):
    model = heard_by(scripted_chat.model_copy(update={"tracing_policy": "allow"}))
    engine.chunks = [*({"delta": {"content": "x"}} for _ in range(9)), *engine.chunks]
    items = model.stream_chat(ASKED)
    next(items)
    items.close()

    async def early():
        async_items = await model.astream_chat(ASKED)
        await anext(async_items)
        await async_items.aclose()

    asyncio.run(early())
    assert legacy.balanced
    assert events.names.count("LLMChatStartEvent") == 2
    assert events.names.count("ExceptionEvent") == 2


def test_a_handlers_error_is_the_callers(scripted_chat, endpoint):
    counter = TokenCountingHandler(tokenizer=str.split, token_budget=1)
    scripted_chat.callback_manager = CallbackManager([counter])
    with pytest.raises(ValueError, match="budget"):
        endpoint(scripted_chat)


def test_tokens_are_counted_once_and_not_guessed(scripted_chat, endpoint, engine):
    def no_tokenizer(_text):
        raise AssertionError("the engine's own count is there")

    counter = TokenCountingHandler(tokenizer=no_tokenizer)
    scripted_chat.callback_manager = CallbackManager([counter])
    endpoint(scripted_chat)
    assert counter.prompt_llm_token_count == 7
    assert counter.completion_llm_token_count == 5
    assert counter.total_llm_token_count == 12
    assert len(counter.llm_token_counts) == 1


@pytest.mark.parametrize("policy", ["allow", "suppress"])
def test_the_rate_limiter_is_taken_once(scripted_chat, endpoint, events, policy):
    limiter = Limiter()
    scripted_chat.rate_limiter = limiter
    scripted_chat.tracing_policy = policy
    endpoint(scripted_chat)
    assert limiter.taken == 1


def test_the_payload_of_events_names_the_model_and_no_address(scripted_chat):
    payload = scripted_chat.model_copy(update={"temperature": 0.3}).to_payload()
    assert payload["class_name"] == "AtomaChatModel"
    assert (payload["model"], payload["temperature"]) == (CHAT, 0.3)
    assert scripted_chat.base_url not in str(payload)
