"""What LlamaIndex would write in plaintext, and the four policies about it."""

import asyncio
import json
import urllib.request
from collections import Counter

import pytest
from collector import Collector
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.prompts import PromptTemplate
from llama_index_instrumentation import get_dispatcher
from llama_index_instrumentation.dispatcher import Dispatcher
from llama_index_instrumentation.event_handlers import BaseEventHandler
from llama_index_instrumentation.span_handlers import BaseSpanHandler
from llama_ways import CHATS, EMBEDS, PROMPT, Answer, asked, structured
from warned import egress_warnings

from atoma_confidential import errors
from llama_index_atoma import PlaintextEgressError, _tracing

ASKED = [ChatMessage(role="user", content="Q")]

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
