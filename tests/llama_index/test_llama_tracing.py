"""Where LlamaIndex would write plaintext, and the four policies about it."""

import asyncio
import contextlib
import json
import types
import urllib.request
import warnings
from collections import Counter

import llama_index.core
import pytest
from collector import Collector
from llama_index.core import Document, VectorStoreIndex, set_global_handler
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import (
    CallbackManager,
    LlamaDebugHandler,
    TokenCountingHandler,
)
from llama_index.core.callbacks.simple_llm_handler import SimpleLLMHandler
from llama_index.core.prompts import PromptTemplate
from llama_index.core.schema import TextNode
from llama_index.core.settings import Settings
from llama_index.core.tools import FunctionTool
from llama_index_instrumentation import get_dispatcher, root_manager
from llama_index_instrumentation.dispatcher import Dispatcher
from llama_index_instrumentation.event_handlers import BaseEventHandler
from llama_index_instrumentation.span_handlers import BaseSpanHandler, SimpleSpanHandler
from pydantic import BaseModel

from atoma_confidential import errors
from llama_index_atoma import (
    PlaintextEgressError,
    PlaintextEgressWarning,
    _tracing,
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


def asked(text):
    return [ChatMessage(role="user", content=text)]


def sums(text):
    return {"tools": [TOOL], "user_msg": f"add 2 and 3, {text}"}


async def listed(items):
    return [item async for item in await items]


def structured(model):
    return model.as_structured_llm(Answer)


# Each takes a model and a text, and some are coroutines.
CHATS = {
    "chat": lambda m, t: m.chat(asked(t)),
    "achat": lambda m, t: m.achat(asked(t)),
    "stream_chat": lambda m, t: list(m.stream_chat(asked(t))),
    "astream_chat": lambda m, t: listed(m.astream_chat(asked(t))),
    "complete": lambda m, t: m.complete(t),
    "acomplete": lambda m, t: m.acomplete(t),
    "stream_complete": lambda m, t: list(m.stream_complete(t)),
    "astream_complete": lambda m, t: listed(m.astream_complete(t)),
    "predict": lambda m, t: m.predict(PROMPT, q=t),
    "apredict": lambda m, t: m.apredict(PROMPT, q=t),
    "stream": lambda m, t: list(m.stream(PROMPT, q=t)),
    "astream": lambda m, t: listed(m.astream(PROMPT, q=t)),
    "chat_with_tools": lambda m, t: m.chat_with_tools(**sums(t)),
    "achat_with_tools": lambda m, t: m.achat_with_tools(**sums(t)),
    "stream_chat_with_tools": lambda m, t: list(m.stream_chat_with_tools(**sums(t))),
    "astream_chat_with_tools": lambda m, t: listed(
        m.astream_chat_with_tools(**sums(t))
    ),
    "predict_and_call": lambda m, t: m.predict_and_call(**sums(t)),
    "apredict_and_call": lambda m, t: m.apredict_and_call(**sums(t)),
    "structured_predict": lambda m, t: m.structured_predict(Answer, PROMPT, q=t),
    "astructured_predict": lambda m, t: m.astructured_predict(Answer, PROMPT, q=t),
    "stream_structured_predict": lambda m, t: list(
        m.stream_structured_predict(Answer, PROMPT, q=t)
    ),
    "astream_structured_predict": lambda m, t: listed(
        m.astream_structured_predict(Answer, PROMPT, q=t)
    ),
    "structured-chat": lambda m, t: structured(m).chat(asked(t)),
    "structured-achat": lambda m, t: structured(m).achat(asked(t)),
    "structured-stream_chat": lambda m, t: list(structured(m).stream_chat(asked(t))),
    "structured-astream_chat": lambda m, t: listed(
        structured(m).astream_chat(asked(t))
    ),
    "structured-complete": lambda m, t: structured(m).complete(t),
    "structured-acomplete": lambda m, t: structured(m).acomplete(t),
    "structured-predict": lambda m, t: structured(m).predict(PROMPT, q=t),
    "structured-apredict": lambda m, t: structured(m).apredict(PROMPT, q=t),
    "structured-stream": lambda m, t: list(structured(m).stream(PROMPT, q=t)),
    "structured-astream": lambda m, t: listed(structured(m).astream(PROMPT, q=t)),
}
EMBEDS = {
    "get_query_embedding": lambda m, t: m.get_query_embedding(t),
    "aget_query_embedding": lambda m, t: m.aget_query_embedding(t),
    "get_text_embedding": lambda m, t: m.get_text_embedding(t),
    "aget_text_embedding": lambda m, t: m.aget_text_embedding(t),
    "get_text_embedding_batch": lambda m, t: m.get_text_embedding_batch([t, "x"]),
    "aget_text_embedding_batch": lambda m, t: m.aget_text_embedding_batch([t, "x"]),
    "agg": lambda m, t: m.get_agg_embedding_from_queries([t]),
    "aagg": lambda m, t: m.aget_agg_embedding_from_queries([t]),
    "nodes": lambda m, t: m([TextNode(text=t)]),
    "anodes": lambda m, t: m.acall([TextNode(text=t)]),
    "_get_query_embedding": lambda m, t: m._get_query_embedding(t),
    "_aget_query_embedding": lambda m, t: m._aget_query_embedding(t),
    "_get_text_embedding": lambda m, t: m._get_text_embedding(t),
}
WITHOUT_CALLBACKS = {name for name in EMBEDS if name.startswith("_get")}
WITHOUT_CALLBACKS |= {"_aget_query_embedding"}


@pytest.fixture(params=[*CHATS, *EMBEDS])
def call(request, atoma, make_chat, make_embeddings, canary):
    """Make a model with a policy; give it, and a call to it that says the canary."""
    name = request.param
    run = {**CHATS, **EMBEDS}[name]

    def build(policy):
        make = make_chat if name in CHATS else make_embeddings
        model = make(atoma, tracing_policy="allow")
        model.tracing_policy = policy

        def ask():
            answer = run(model, canary)
            return asyncio.run(answer) if asyncio.iscoroutine(answer) else answer

        return model, ask

    build.name = name
    return build


class Reporter(BaseEventHandler):
    """Sends each event to a collector, as tracing services have it done."""

    url: str

    def handle(self, event, **kwargs):
        report(self.url, {type(event).__name__: repr(event)})


class SpanReporter(BaseSpanHandler):
    """Sends each span to a collector."""

    url: str = ""

    def new_span(self, id_, bound_args, instance=None, **kwargs):
        report(self.url, {"enter": id_, "of": repr(bound_args.arguments)})

    def prepare_to_exit_span(self, id_, bound_args, result=None, **kwargs):
        report(self.url, {"exit": id_, "of": repr(result)})

    def prepare_to_drop_span(self, id_, bound_args, err=None, **kwargs):
        report(self.url, {"drop": id_, "of": f"{err!r} {err}"})


def report(url, body):
    request = urllib.request.Request(url, json.dumps(body).encode())  # noqa: S310
    urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).close()


class Service(Collector):
    """The collector, and handlers that send to it."""

    def switch_on(self):
        get_dispatcher().add_event_handler(Reporter(url=self.url))
        spans = SpanReporter()  # whose base class has a constructor of its own
        spans.url = self.url
        get_dispatcher().add_span_handler(spans)


@pytest.fixture
def service():
    with Service() as started:
        yield started


@pytest.fixture
def reporting(service):
    """A tracing service that all of LlamaIndex's handlers send to."""
    service.switch_on()
    return service


@contextlib.contextmanager
def egress_warnings():
    """Give the texts of all warnings of ours, once the block has ended."""
    said = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        yield said
    said += [str(w.message) for w in caught if w.category is PlaintextEgressWarning]


def own_spans(spans):
    """Spans of the model itself; a tool has its own."""
    return [s for s in spans.told if "Function" not in s[1]]


def test_allowed_everything_leaves(call, reporting, canary):
    _model, ask = call("allow")
    assert ask()
    assert reporting.has(canary)


def test_refused_nothing_leaves(call, atoma, service, events, spans, legacy):
    model, ask = call("refuse")
    model.callback_manager = CallbackManager([legacy])
    service.switch_on()
    with pytest.raises(PlaintextEgressError, match=r"^Refused: instrumentation"):
        ask()
    assert service.bodies == []
    assert events.events == []
    assert spans.told == []
    assert legacy.starts == []
    assert atoma.exchanges == []


def test_suppressed_nothing_of_the_model_leaves(
    call, atoma, service, events, spans, legacy, canary
):
    model, ask = call("suppress")
    model.callback_manager = CallbackManager([legacy])
    service.switch_on()
    assert ask()
    assert not service.has(canary)
    assert [n for n in events.names if "LLM" in n or "Embedding" in n] == []
    assert own_spans(spans) == []
    assert [s for s in legacy.starts if s[0] in ("llm", "embedding")] == []
    assert atoma.opened


def test_warned_once(call, reporting, canary):
    _model, ask = call("warn")
    with egress_warnings() as said:
        for _ in range(2):
            assert ask()
    # Two sinks: one hears events, the other spans.
    assert sorted(Counter(said).values()) == [1, 1]
    assert "Reporter. To turn it off:" in said[0]
    assert canary not in "".join(said)
    assert reporting.has(canary)


@pytest.mark.parametrize("policy", ["warn", "refuse", "suppress", "allow"])
def test_without_a_sink_all_policies_are_the_same(call, legacy, policy):
    # What an application has written and passed on itself is its own consent.
    model, ask = call(policy)
    model.callback_manager = CallbackManager([legacy])
    assert ask()
    heard = {"llm", "embedding"} & {event[0] for event in legacy.starts}
    assert bool(heard) is (call.name not in WITHOUT_CALLBACKS)


def test_the_sinks_of_every_dispatcher_of_a_call_are_seen(call, monkeypatch):
    heard = set()
    for name in ("event", "span_enter"):
        told = getattr(Dispatcher, name)

        def tell(self, *args, _told=told, **kwargs):
            heard.add(self.name)
            return _told(self, *args, **kwargs)

        monkeypatch.setattr(Dispatcher, name, tell)
    assert call("allow")[1]()
    assert heard
    around = {"llama_index.core.tools.function_tool", "llama_index.core.tools.calling"}
    assert heard - around <= {*_tracing._DISPATCHERS}


def test_a_structured_model_has_handlers_of_its_own(chat, legacy, canary):
    model = structured(chat)
    kind = type("Tracer", (TokenCountingHandler,), {"__module__": "langfuse.callback"})
    model.callback_manager = CallbackManager([kind(tokenizer=str.split)])
    chat.tracing_policy = "refuse"
    with pytest.raises(PlaintextEgressError, match="langfuse"):
        model.chat(asked(canary))


def test_a_structured_model_says_the_same_in_silence(chat, events):
    def ask():
        model = structured(chat)
        return (
            model.chat(ASKED).message.content,
            model.complete("Q", formatted=True).text,
            [part.message.content for part in model.stream_chat(ASKED)],
            model.predict(PROMPT, q="Q"),
        )

    def streams():
        model = structured(chat)
        with pytest.raises(NotImplementedError):
            model.stream_complete("Q")
        with pytest.raises(NotImplementedError):
            asyncio.run(model.astream_complete("Q"))

    chat.tracing_policy = "allow"
    heard = ask()
    streams()
    chat.tracing_policy = "suppress"
    count = len(events.events)
    assert ask() == heard
    streams()
    assert structured(chat).structured_predict(Answer, PROMPT, q="Q") == Answer(
        answer=json.loads(heard[0])["answer"]
    )
    assert len(events.events) == count


# What is around a model writes by itself; what the model would add, it does not.


@pytest.mark.parametrize("policy", ["allow", "suppress"])
def test_around_a_query_engine(
    atoma, make_chat, make_embeddings, reporting, events, spans, canary, policy
):
    llm = make_chat(atoma, tracing_policy=policy)
    embed_model = make_embeddings(atoma, tracing_policy=policy)
    index = VectorStoreIndex.from_documents(
        [Document(text=f"The word is {canary}.")], embed_model=embed_model
    )
    assert index.as_query_engine(llm=llm).query("What is the word?")
    told = {name.partition("Start")[0] for name in events.names if "Start" in name}
    assert "Query" in told
    assert reporting.has(canary)  # the engine's own event has the passages
    own = [s for s in spans.told if s[1].startswith("Atoma")]
    models = {name for name in events.names if "LLM" in name or "Embedding" in name}
    assert bool(own) is bool(models) is (policy == "allow")


def test_a_query_engine_is_refused(atoma, make_chat, make_embeddings, service, canary):
    llm = make_chat(atoma, tracing_policy="refuse")
    embed_model = make_embeddings(atoma, tracing_policy="refuse")
    index = VectorStoreIndex.from_documents(
        [Document(text="The word is heliotrope.")], embed_model=embed_model
    )
    engine = index.as_query_engine(llm=llm)
    sent = len(atoma.exchanges)
    service.switch_on()
    with pytest.raises(PlaintextEgressError):
        engine.query(f"What is the word, {canary}?")
    assert len(atoma.exchanges) == sent


def test_warned_of_and_refused_at_construction(
    atoma, make_chat, make_embeddings, reporting
):
    for make in (make_chat, make_embeddings):
        with pytest.raises(PlaintextEgressError, match="get_dispatcher"):
            make(atoma, tracing_policy="refuse")
    with egress_warnings() as said:
        for make in (make_chat, make_embeddings):
            make(atoma)
    assert sorted(Counter(said).values()) == [1, 1]
    assert reporting.bodies == []


# Errors leave, whatever is hidden: they hold no content.

FAULTS = ["lock-402", "post-401", "post-500-bad-request", "tag-tampered", "reflection"]
NAMES = ["chat", "astream_chat", "structured_predict", "get_text_embedding_batch"]


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", NAMES, indirect=True)
def test_errors_of_the_network_hold_no_content(call, atoma, events, spans, fault):
    model, ask = call("allow")
    model.max_retries = 0
    atoma.faults.always(fault)
    with pytest.raises(errors.ConfidentialError):
        ask()
    assert_errors_hold_no_content(events, spans)


@pytest.mark.parametrize(
    "content", ["{canary}", '{{"answer": ["{canary}"]}}', '{{"answer": "{canary}']
)
@pytest.mark.parametrize("mode", ["text", "schema"])
def test_errors_of_answers_hold_no_content(
    scripted_chat, engine, events, spans, canary, content, mode
):
    engine.message["content"] = content.format(canary=canary)
    scripted_chat.tracing_policy = "allow"
    if mode == "schema":
        scripted_chat.should_use_structured_outputs = True
    else:
        scripted_chat.pydantic_program_mode = "llm"
    with pytest.raises(errors.ConfidentialError):
        scripted_chat.structured_predict(Answer, PROMPT, q=canary)
    assert any(canary in repr(event) for event in events.events)
    assert_errors_hold_no_content(events, spans)


def assert_errors_hold_no_content(events, spans):
    dropped = [event for event in events.events if "Drop" in type(event).__name__]
    texts = [one.err_str for one in dropped]
    texts += [told[2] for told in spans.told if told[0] == "drop"]
    texts += [repr(e) for e in events.events if "Exception" in type(e).__name__]
    assert texts
    assert "canary" not in "".join(texts)


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


def test_another_global_handler(chat, legacy, canary):
    chat.tracing_policy = "refuse"
    for handler in (LlamaDebugHandler(), TokenCountingHandler(tokenizer=str.split)):
        llama_index.core.global_handler = handler
        assert assert_no_plaintext_egress() == []  # it keeps to the process
    llama_index.core.global_handler = legacy
    with pytest.raises(PlaintextEgressError, match=r"global-handler .*LegacyEars"):
        assert_no_plaintext_egress()
    with pytest.raises(PlaintextEgressError, match="global_handler = None"):
        chat.chat(asked(canary))
    assert legacy.starts == []


def test_a_policy_that_is_none_is_refused_at_the_call(chat, atoma, canary):
    chat.tracing_policy = "Refuse"
    with pytest.raises(errors.InvalidInputError, match="tracing_policy"):
        chat.chat(asked(canary))
    assert atoma.exchanges == []


def test_the_names_are_those_of_the_core():
    assert PlaintextEgressError is errors.PlaintextEgressError
    assert PlaintextEgressWarning is errors.PlaintextEgressWarning


def test_a_check_finds_what_only_hears_what_is_around_a_model(chat, atoma):
    name = "llama_index.core.base.base_query_engine"
    dispatcher = get_dispatcher(name)
    dispatcher.add_event_handler(handler_from("x"))
    try:
        with pytest.raises(PlaintextEgressError):
            assert_no_plaintext_egress()
        chat.tracing_policy = "refuse"
        chat.chat(ASKED)
    finally:
        dispatcher.event_handlers = dispatcher.event_handlers[:-1]
    assert name in root_manager.dispatchers


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
