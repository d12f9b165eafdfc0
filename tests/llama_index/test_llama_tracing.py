"""Where LlamaIndex would write plaintext, and the four policies about it."""

import asyncio
import types

import llama_index.core
import pytest
from llama_index.core import set_global_handler
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import (
    CallbackManager,
    LlamaDebugHandler,
    TokenCountingHandler,
)
from llama_index.core.callbacks.simple_llm_handler import SimpleLLMHandler
from llama_index.core.prompts import PromptTemplate
from llama_index.core.settings import Settings
from llama_index.core.tools import FunctionTool
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.event_handlers import BaseEventHandler
from llama_index_instrumentation.span_handlers import SimpleSpanHandler
from pydantic import BaseModel

from llama_index_atoma import (
    PlaintextEgressError,
    PlaintextEgressWarning,
    assert_no_plaintext_egress,
)

ASKED = [ChatMessage(role="user", content="Q")]


class Answer(BaseModel):
    """An answer."""

    answer: str = ""


def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


TOOL = FunctionTool.from_defaults(add)
PROMPT = PromptTemplate("{q}")


async def listed(items):
    return [item async for item in await items]


CALLS = {
    "chat": lambda m: m.chat(ASKED),
    "achat": lambda m: asyncio.run(m.achat(ASKED)),
    "stream_chat": lambda m: list(m.stream_chat(ASKED)),
    "astream_chat": lambda m: asyncio.run(listed(m.astream_chat(ASKED))),
    "complete": lambda m: m.complete("Q"),
    "acomplete": lambda m: asyncio.run(m.acomplete("Q")),
    "stream_complete": lambda m: list(m.stream_complete("Q")),
    "astream_complete": lambda m: asyncio.run(listed(m.astream_complete("Q"))),
    "predict": lambda m: m.predict(PROMPT, q="Q"),
    "apredict": lambda m: asyncio.run(m.apredict(PROMPT, q="Q")),
    "stream": lambda m: list(m.stream(PROMPT, q="Q")),
    "astream": lambda m: asyncio.run(listed(m.astream(PROMPT, q="Q"))),
    "chat_with_tools": lambda m: m.chat_with_tools([TOOL], user_msg="add 2 and 3"),
    "achat_with_tools": lambda m: asyncio.run(
        m.achat_with_tools([TOOL], user_msg="add 2 and 3")
    ),
    "predict_and_call": lambda m: m.predict_and_call([TOOL], user_msg="add 2 and 3"),
    "apredict_and_call": lambda m: asyncio.run(
        m.apredict_and_call([TOOL], user_msg="add 2 and 3")
    ),
    "structured_predict": lambda m: m.structured_predict(Answer, PROMPT, q="Q"),
    "astructured_predict": lambda m: asyncio.run(
        m.astructured_predict(Answer, PROMPT, q="Q")
    ),
    "stream_structured_predict": lambda m: list(
        m.stream_structured_predict(Answer, PROMPT, q="Q")
    ),
    "astream_structured_predict": lambda m: asyncio.run(
        listed(m.astream_structured_predict(Answer, PROMPT, q="Q"))
    ),
}
EMBEDS = {
    "get_query_embedding": lambda m: m.get_query_embedding("Q"),
    "aget_query_embedding": lambda m: asyncio.run(m.aget_query_embedding("Q")),
    "get_text_embedding": lambda m: m.get_text_embedding("Q"),
    "aget_text_embedding": lambda m: asyncio.run(m.aget_text_embedding("Q")),
    "get_text_embedding_batch": lambda m: m.get_text_embedding_batch(["Q"]),
    "aget_text_embedding_batch": lambda m: asyncio.run(
        m.aget_text_embedding_batch(["Q"])
    ),
    "agg": lambda m: m.get_agg_embedding_from_queries(["Q"]),
}


@pytest.fixture(params=[*CALLS, *EMBEDS])
def call(request, atoma, make_chat, make_embeddings):
    """Make a model with a policy; give it, and a call to it."""
    name = request.param

    def build(policy):
        make = make_chat if name in CALLS else make_embeddings
        model = make(atoma, tracing_policy="allow")
        model.tracing_policy = policy
        run = {**CALLS, **EMBEDS}[name]
        return model, lambda: run(model)

    return build


def own_spans(spans):
    """Spans of the model itself; a tool has its own."""
    return [s for s in spans.told if "Function" not in s[1] and "_get_" not in s[1]]


def test_refused_before_a_handler_hears_anything(call, atoma, events, spans, legacy):
    model, run = call("refuse")
    model.callback_manager = CallbackManager([legacy])
    with pytest.raises(PlaintextEgressError, match="Refused, nothing was sent"):
        run()
    assert events.events == []
    assert spans.told == []
    assert legacy.starts == []
    assert atoma.exchanges == []


def test_suppressed_handlers_hear_nothing(call, atoma, events, spans, legacy):
    model, run = call("suppress")
    model.callback_manager = CallbackManager([legacy])
    assert run()
    assert [n for n in events.names if "LLM" in n or "Embedding" in n] == []
    assert own_spans(spans) == []
    assert [s for s in legacy.starts if s[0] in ("llm", "embedding")] == []
    assert atoma.opened


def test_allowed_handlers_hear_as_always(call, events):
    _model, run = call("allow")
    assert run()
    assert events.events


def test_warned(call, events):
    _model, run = call("warn")
    with pytest.warns(PlaintextEgressWarning, match="instrumentation receives") as seen:
        run()
    assert "EventEars" in str(seen[0].message)
    assert events.events


@pytest.mark.parametrize("policy", ["warn", "refuse", "suppress", "allow"])
def test_without_a_sink_all_policies_are_the_same(call, legacy, policy):
    # What an application has written and passed on itself is its own consent.
    model, run = call(policy)
    model.callback_manager = CallbackManager([legacy])
    assert run()
    assert {"llm", "embedding"} & {event[0] for event in legacy.starts}


def test_structured_and_plain_answers_are_the_same_in_silence(chat, events):
    def ask():
        return (
            chat.predict(PROMPT, q="Q"),
            "".join(chat.stream(PROMPT, q="Q")),
            chat.structured_predict(Answer, PROMPT, q="Q"),
        )

    chat.tracing_policy = "allow"
    heard = ask()
    chat.tracing_policy = "suppress"
    count = len(events.events)
    assert ask() == heard
    assert len(events.events) == count


def test_streams_with_output_parsers_are_refused_in_silence_too(chat, events):
    from llama_index.core.output_parsers import PydanticOutputParser

    prompt = PromptTemplate("{q}", output_parser=PydanticOutputParser(Answer))
    for policy in ("allow", "suppress"):
        chat.tracing_policy = policy
        with pytest.raises(NotImplementedError):
            chat.stream(prompt, q="Q")
        with pytest.raises(NotImplementedError):
            asyncio.run(chat.astream(prompt, q="Q"))


def test_the_policy_comes_from_the_environment(monkeypatch, atoma, make_chat, events):
    monkeypatch.setenv("ATOMA_TRACING_POLICY", "refuse")
    with pytest.raises(PlaintextEgressError):
        make_chat(atoma)
    monkeypatch.setenv("ATOMA_TRACING_POLICY", "allow")
    assert make_chat(atoma).tracing_policy == "allow"


def handler_from(module):
    """Make a handler that looks as if a package of that name had brought it."""
    return type(
        "Handler",
        (BaseEventHandler,),
        {"handle": lambda self, event, **kwargs: None, "__module__": module},
    )()


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("openinference.instrumentation.llama_index._handler", "openinference"),
        ("llama_index.observability.otel.base", "opentelemetry"),
        (
            "opentelemetry.instrumentation.llamaindex.dispatcher_wrapper",
            "opentelemetry",
        ),
        ("langfuse.llama_index", "langfuse"),
        ("agentops.llama", "agentops"),
        ("myapp.handlers", "instrumentation"),
        ("openinference_lookalike", "instrumentation"),
    ],
)
def test_instrumentors_are_known_by_name(module, name):
    get_dispatcher().add_event_handler(handler_from(module))
    with pytest.raises(PlaintextEgressError, match=f"^{name} receives"):
        assert_no_plaintext_egress()
    (sink,) = assert_no_plaintext_egress(ignore=[name])
    assert sink.name == name


@pytest.mark.parametrize(
    "name",
    ["llama_index.core.llms.callbacks", "llama_index_atoma.llms", "root"],
)
def test_a_handler_is_found_wherever_it_listens(name):
    dispatcher = get_dispatcher(name)
    dispatcher.add_event_handler(handler_from("x"))
    try:
        with pytest.raises(PlaintextEgressError):
            assert_no_plaintext_egress()
    finally:
        dispatcher.event_handlers = dispatcher.event_handlers[:-1]


def test_spans_of_names_and_times_are_no_sink():
    get_dispatcher().add_span_handler(SimpleSpanHandler())
    assert assert_no_plaintext_egress() == []


def test_the_simple_global_handler(chat):
    set_global_handler("simple")
    with pytest.raises(PlaintextEgressError, match="simple-handler receives prompts"):
        assert_no_plaintext_egress()
    with pytest.warns(PlaintextEgressWarning, match="on the console"):
        chat.chat(ASKED)


def test_another_global_handler():
    llama_index.core.global_handler = LlamaDebugHandler()
    with pytest.raises(PlaintextEgressError, match="global-handler"):
        assert_no_plaintext_egress()


def test_suppression_silences_the_console(atoma, make_chat, capfd):
    set_global_handler("simple")
    model = make_chat(atoma, tracing_policy="suppress")
    model.chat(ASKED)
    assert capfd.readouterr().out == ""
    model.tracing_policy = "allow"
    model.chat(ASKED)
    assert "** Messages: **" in capfd.readouterr().out


def test_handlers_of_the_settings_are_seen():
    Settings.callback_manager = CallbackManager([SimpleLLMHandler()])
    with pytest.raises(PlaintextEgressError, match="callback_manager"):
        assert_no_plaintext_egress()


def test_handlers_of_known_packages_are_seen(chat):
    kind = type("Tracer", (TokenCountingHandler,), {})
    kind.__module__ = "llama_index.callbacks.wandb.base"
    chat.callback_manager = CallbackManager([kind(tokenizer=str.split)])
    chat.tracing_policy = "refuse"
    with pytest.raises(PlaintextEgressError, match="callback-handler"):
        chat.chat(ASKED)
    kind.__module__ = "langfuse.callbacks"
    with pytest.raises(PlaintextEgressError, match="langfuse"):
        chat.chat(ASKED)


def test_handlers_that_keep_to_the_process_are_no_sinks(chat):
    counter = TokenCountingHandler(tokenizer=str.split)
    debug = LlamaDebugHandler(print_trace_on_end=False)
    chat.callback_manager = CallbackManager([counter, debug])
    chat.tracing_policy = "refuse"
    chat.chat(ASKED)
    assert counter.total_llm_token_count > 0


def test_the_messages_say_how_to_turn_it_off():
    get_dispatcher().add_event_handler(handler_from("x"))
    with pytest.raises(PlaintextEgressError) as caught:
        assert_no_plaintext_egress()
    text = str(caught.value)
    assert "To turn it off:" in text
    assert "tracing_policy='suppress'" in text


def test_nothing_is_changed_by_looking():
    before = types.SimpleNamespace(**vars(Settings))
    assert_no_plaintext_egress()
    assert types.SimpleNamespace(**vars(Settings)) == before
