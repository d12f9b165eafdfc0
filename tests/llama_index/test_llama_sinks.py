"""Which handlers are sinks, wherever they listen, and what is said of them."""

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
from llama_index.core.settings import Settings
from llama_index_instrumentation import get_dispatcher, root_manager
from llama_index_instrumentation.event_handlers import BaseEventHandler
from llama_index_instrumentation.span_handlers import SimpleSpanHandler
from llama_ways import asked

from atoma_confidential import errors
from llama_index_atoma import (
    PlaintextEgressError,
    PlaintextEgressWarning,
    assert_no_plaintext_egress,
)

ASKED = [ChatMessage(role="user", content="Q")]


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
