"""The other places where LangChain writes plaintext, and the check for start-up."""

from contextvars import ContextVar

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.callbacks import BaseCallbackHandler, BaseCallbackManager
from langchain_core.exceptions import LangChainException
from langchain_core.globals import set_debug, set_llm_cache, set_verbose
from langchain_core.tracers.context import _configure_hooks, register_configure_hook
from langsmith.utils import get_env_var

from atoma_confidential import errors
from langchain_atoma import (
    PlaintextEgressError,
    PlaintextEgressWarning,
    assert_no_plaintext_egress,
)


class DiskCache(InMemoryCache):
    """Stands for any cache that outlives the process."""


@pytest.fixture
def traced(monkeypatch):
    """LangSmith, switched on; nothing here gets as far as a run of it."""
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    get_env_var.cache_clear()
    yield
    get_env_var.cache_clear()


@pytest.fixture
def instrument(monkeypatch):
    """Have each run heard by a handler, as OpenTelemetry's instrumentors do it."""

    def start(module):
        heard = []

        def keep(self, serialized, messages, **kwargs):
            heard.append(str(messages))

        body = {"__module__": module, "on_chat_model_start": keep}
        handler = type("Tracer", (BaseCallbackHandler,), body)()
        made = BaseCallbackManager.__init__

        def make(manager, *args, **kwargs):
            made(manager, *args, **kwargs)
            if handler not in manager.handlers:
                manager.add_handler(handler, inherit=True)

        monkeypatch.setattr(BaseCallbackManager, "__init__", make)
        return heard

    return start


def test_an_error_of_both_families(atoma, make_chat, traced):
    with pytest.raises(PlaintextEgressError) as caught:
        make_chat(atoma, tracing_policy="refuse")
    assert isinstance(caught.value, LangChainException)
    assert isinstance(caught.value, errors.ConfidentialError)
    assert caught.value.exposure is errors.Exposure.NOTHING
    assert PlaintextEgressError is errors.PlaintextEgressError
    assert PlaintextEgressWarning is errors.PlaintextEgressWarning
    with pytest.raises(LangChainException, match="langsmith"):
        assert_no_plaintext_egress()


def test_a_policy_that_is_none_is_refused_at_the_call(atoma, make_chat, canary):
    model = make_chat(atoma)
    model.tracing_policy = "Refuse"
    with pytest.raises(errors.InvalidInputError, match="tracing_policy"):
        model.invoke(canary)
    assert atoma.exchanges == []


def test_a_shared_cache_is_a_sink(atoma, make_chat, canary):
    cache = DiskCache()
    set_llm_cache(cache)
    make_chat(atoma, tracing_policy="allow").invoke(canary)
    assert canary in str(cache._cache)
    cache.clear()
    refusing = make_chat(atoma, tracing_policy="refuse", cache=False)
    assert refusing.invoke(canary)
    refusing.cache = None
    with pytest.raises(PlaintextEgressError, match="cache=False"):
        refusing.invoke(canary)
    assert cache._cache == {}
    own = make_chat(atoma, tracing_policy="refuse", cache=DiskCache())
    assert own.invoke(canary).text == own.invoke(canary).text


@pytest.mark.parametrize("policy", ["warn", "suppress"])
def test_a_shared_cache_is_warned_of_once(atoma, make_chat, canary, policy):
    model = make_chat(atoma, tracing_policy=policy)
    set_llm_cache(DiskCache())
    with pytest.warns(PlaintextEgressWarning, match="llm-cache") as caught:
        assert [model.invoke(canary), model.invoke(f"{canary}?")]
    assert len(caught) == 1


def test_a_cache_in_memory_is_no_sink(atoma, make_chat, canary):
    set_llm_cache(InMemoryCache())
    model = make_chat(atoma, tracing_policy="refuse")
    assert model.invoke(canary).text == model.invoke(canary).text
    assert len(atoma.opened) == 1


def test_embeddings_have_no_cache_of_answers(atoma, make_embeddings, canary):
    set_llm_cache(DiskCache())
    assert make_embeddings(atoma, tracing_policy="refuse").embed_query(canary)


def test_debug_output_is_a_sink(atoma, make_chat, make_embeddings, canary, capsys):
    ready = make_chat(atoma, tracing_policy="refuse")
    set_debug(True)
    for make in (make_chat, make_embeddings):
        with pytest.raises(PlaintextEgressError, match="set_debug"):
            make(atoma, tracing_policy="refuse")
    with pytest.raises(PlaintextEgressError, match="set_debug"):
        ready.invoke(canary)
    assert canary not in capsys.readouterr().out
    with pytest.warns(PlaintextEgressWarning, match="console") as caught:
        assert [make_chat(atoma).invoke(canary), make_chat(atoma).invoke(canary)]
    assert len(caught) == 1
    assert canary in capsys.readouterr().out


@pytest.mark.parametrize("policy", ["warn", "refuse", "suppress"])
def test_verbose_output_is_warned_of(atoma, make_chat, canary, capsys, policy):
    set_verbose(True)
    with pytest.warns(PlaintextEgressWarning, match="verbose .* agents"):
        model = make_chat(atoma, tracing_policy=policy)
    assert model.invoke(canary)  # and not again: warnings are errors here
    # So it is no reason to refuse: a model's own messages are not printed.
    assert canary not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("openinference.instrumentation.langchain._tracer", "openinference"),
        ("opentelemetry.instrumentation.langchain.callback_handler", "opentelemetry"),
        ("mlflow.langchain.langchain_tracer", "mlflow"),
        ("app.tracing", "instrumentation"),
    ],
)
def test_instrumentation_is_a_sink(
    atoma, make_chat, make_embeddings, instrument, canary, module, name
):
    refusing = make_chat(atoma, tracing_policy="refuse")
    heard = instrument(module)
    make_chat(atoma, tracing_policy="allow").invoke(canary)
    assert canary in heard.pop()
    with pytest.raises(PlaintextEgressError, match=f"{name} receives all"):
        refusing.invoke(canary)
    with pytest.raises(PlaintextEgressError, match="uninstrument"):
        make_embeddings(atoma, tracing_policy="refuse")
    assert heard == []
    # What cannot be suppressed is warned of.
    with pytest.warns(PlaintextEgressWarning, match=f"{name} receives"):
        make_chat(atoma, tracing_policy="suppress")
    make_chat(atoma)
    with pytest.raises(PlaintextEgressError, match=name):
        assert_no_plaintext_egress()


@pytest.fixture
def hooked(monkeypatch):
    """Have each run heard by a handler that the environment switches on by a hook."""
    heard = []

    class Tracer(BaseCallbackHandler):
        def on_chat_model_start(self, serialized, messages, **kwargs):
            heard.append(str(messages))

    variable = ContextVar("tracer", default=None)
    register_configure_hook(variable, True, Tracer, "VENDOR_TRACING")  # noqa: FBT003
    monkeypatch.setenv("VENDOR_TRACING", "true")
    yield heard
    _configure_hooks.pop()


def test_a_hook_that_the_environment_switches_on_is_a_sink(
    atoma, make_chat, hooked, canary
):
    make_chat(atoma, tracing_policy="allow").invoke(canary)
    assert canary in hooked.pop()
    with pytest.raises(PlaintextEgressError, match="instrumentation receives all"):
        make_chat(atoma, tracing_policy="refuse")
    with pytest.raises(PlaintextEgressError, match="Tracer"):
        assert_no_plaintext_egress()
    with pytest.warns(PlaintextEgressWarning, match="Tracer"):
        make_chat(atoma)
    assert hooked == []


def test_handlers_that_are_passed_are_no_instrumentation(atoma, make_chat, canary):
    heard = []

    class Ears(BaseCallbackHandler):
        def on_chat_model_start(self, serialized, messages, **kwargs):
            heard.append(str(messages))

    model = make_chat(atoma, tracing_policy="refuse", callbacks=[Ears()])
    model.invoke(canary, {"callbacks": [Ears()]})
    assert len(heard) == 2


def test_a_check_for_start_up(traced):
    with pytest.raises(PlaintextEgressError, match="langsmith"):
        assert_no_plaintext_egress()
    (sink,) = assert_no_plaintext_egress(ignore=["langsmith"])
    assert sink.name == "langsmith"
    set_llm_cache(DiskCache())
    with pytest.raises(PlaintextEgressError, match=r"^llm-cache"):
        assert_no_plaintext_egress(ignore=["langsmith"])
    set_debug(True)
    set_verbose(True)
    with pytest.raises(PlaintextEgressError) as caught:
        assert_no_plaintext_egress()
    for name in ("langsmith", "llm-cache", "debug", "verbose"):
        assert f"{name} receives" in str(caught.value)


def test_a_check_that_finds_nothing():
    assert assert_no_plaintext_egress() == []


def test_a_handler_that_somebody_has_set_for_a_block_is_consent(
    atoma, make_chat, canary
):
    """As core's and the community's token counters do it."""
    heard = []

    class Counter(BaseCallbackHandler):
        def on_chat_model_start(self, serialized, messages, **kwargs):
            heard.append(str(messages))

    variable = ContextVar("counter", default=None)
    register_configure_hook(variable, inheritable=True)
    token = variable.set(Counter())
    try:
        make_chat(atoma, tracing_policy="refuse").invoke(canary)
    finally:
        variable.reset(token)
        _configure_hooks.pop()
    assert canary in heard.pop()
