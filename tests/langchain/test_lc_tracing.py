"""Where LangChain would write plaintext, and what each policy does about it."""

import asyncio
import warnings
from unittest import mock

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.globals import set_debug, set_llm_cache, set_verbose
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.context import tracing_v2_enabled
from langchain_core.tracers.langchain import LangChainTracer
from langsmith import run_helpers
from langsmith.utils import get_env_var

from langchain_atoma import (
    PlaintextEgressError,
    PlaintextEgressWarning,
    assert_no_plaintext_egress,
)


class DiskCache(InMemoryCache):
    """Stands for any cache that outlives the process."""


class LangSmith:
    """A LangSmith client that keeps what it is given."""

    def __init__(self):
        self.client = mock.MagicMock()
        self.client.tracing_queue = None

    @property
    def received(self):
        return [call for call in self.client.mock_calls if "run" in call[0]]

    def has(self, text):
        return text in repr(self.received)


@pytest.fixture
def langsmith(monkeypatch):
    """LangSmith, switched off; `LANGSMITH_TRACING` can be set as usual."""
    fake = LangSmith()
    monkeypatch.setattr(
        "langchain_core.tracers.langchain.get_client", lambda: fake.client
    )
    get_env_var.cache_clear()
    yield fake
    get_env_var.cache_clear()


@pytest.fixture
def traced(langsmith, monkeypatch):
    """LangSmith, switched on by the environment."""
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    get_env_var.cache_clear()
    return langsmith


async def _ainvoke(model, prompt):
    return await model.ainvoke(prompt)


async def _stream(model, prompt):
    return [*model.stream(prompt)]


async def _astream(model, prompt):
    return [chunk async for chunk in model.astream(prompt)]


async def _invoke(model, prompt):
    return model.invoke(prompt)


async def _batch(model, prompt):
    return model.batch([prompt])


async def _events(model, prompt):
    with warnings.catch_warnings(action="ignore", category=Warning):
        return model.stream_events(prompt, version="v3").output


async def _aevents(model, prompt):
    with warnings.catch_warnings(action="ignore", category=Warning):
        return await (await model.astream_events(prompt, version="v3")).output


async def _events_of_version_2(model, prompt):
    return [event async for event in model.astream_events(prompt, version="v2")]


WAYS = [
    _invoke,
    _ainvoke,
    _stream,
    _astream,
    _batch,
    _events,
    _aevents,
    _events_of_version_2,
]


@pytest.mark.parametrize("way", WAYS)
async def test_allowed_tracing_receives_everything(
    atoma, make_chat, traced, canary, way
):
    await way(make_chat(atoma, tracing_policy="allow"), canary)
    assert traced.has(canary)


@pytest.mark.parametrize("way", WAYS)
async def test_refused_before_anything_is_traced_or_sent(
    atoma, make_chat, langsmith, monkeypatch, canary, way
):
    model = make_chat(atoma, tracing_policy="refuse")
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    get_env_var.cache_clear()
    with pytest.raises(PlaintextEgressError, match=r"langsmith .*LANGSMITH_TRACING"):
        await way(model, canary)
    assert not langsmith.has(canary)
    assert atoma.exchanges == []


@pytest.mark.parametrize("way", WAYS)
async def test_suppressed_tracing_receives_nothing_of_the_model(
    atoma, make_chat, traced, canary, way
):
    model = make_chat(atoma, tracing_policy="suppress")
    assert await way(model, canary)
    assert not traced.has(canary)
    # What the caller does next is traced as before.
    RunnableLambda(lambda text: text).invoke("something else")
    assert traced.has("something else")


@pytest.mark.parametrize("way", WAYS[:-1])
@pytest.mark.filterwarnings("ignore::langchain_atoma.PlaintextEgressWarning")
async def test_suppression_covers_a_tracer_of_the_context(
    atoma, make_chat, langsmith, canary, way
):
    model = make_chat(atoma, tracing_policy="suppress")
    with tracing_v2_enabled(client=langsmith.client):
        assert await way(model, canary)
    assert not langsmith.has(canary)


@pytest.mark.parametrize("way", [_events, _aevents])
async def test_suppression_covers_tracers_that_are_given(
    atoma, make_chat, langsmith, canary, way
):
    model = make_chat(atoma, tracing_policy="suppress")
    tracer = LangChainTracer(client=langsmith.client)

    class Given:
        """The model, with the tracer in its configuration."""

        def stream_events(self, prompt, **options):
            config = {"callbacks": [tracer]}
            return model.stream_events(prompt, config, **options)

        def astream_events(self, prompt, **options):
            config = {"callbacks": [tracer]}
            return model.astream_events(prompt, config, **options)

    assert await way(Given(), canary)
    assert not langsmith.has(canary)


def test_suppression_covers_tracers_that_are_inherited(
    atoma, make_chat, traced, canary
):
    model = make_chat(atoma, tracing_policy="suppress")
    ask = RunnableLambda(lambda _: asyncio.run(_events(model, canary)).text)
    assert ask.invoke("ask") != ""
    kinds = [call.kwargs.get("run_type") for call in traced.received]
    assert "chain" in kinds
    assert "llm" not in kinds


def test_suppression_does_not_leak_between_chunks(atoma, make_chat, traced, canary):
    stream = make_chat(atoma, tracing_policy="suppress").stream(canary)
    next(stream)
    RunnableLambda(lambda text: text).invoke("in between")
    stream.close()
    assert traced.has("in between")
    assert not traced.has(canary)


def test_runs_around_a_suppressed_model_are_still_traced(
    atoma, make_chat, traced, canary
):
    model = make_chat(atoma, tracing_policy="suppress")
    (RunnableLambda(lambda text: text) | model).invoke(canary)
    assert traced.has(canary)
    kinds = [call.kwargs.get("run_type") for call in traced.received]
    assert "chain" in kinds
    assert "llm" not in kinds


@pytest.mark.parametrize("policy", ["refuse", "suppress"])
def test_tracing_disabled_by_the_caller_is_no_sink(
    atoma, make_chat, traced, canary, policy
):
    with run_helpers.tracing_context(enabled=False):
        assert make_chat(atoma, tracing_policy=policy).invoke(canary)
    assert not traced.has(canary)


def test_warned_of_by_default(atoma, make_chat, traced, canary):
    with pytest.warns(PlaintextEgressWarning, match="langsmith receives prompts"):
        model = make_chat(atoma)
    assert model.invoke(canary)  # and not again: warnings are errors here
    assert traced.has(canary)


def test_warned_of_at_the_call(atoma, make_chat, langsmith, monkeypatch, canary):
    model = make_chat(atoma)
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    get_env_var.cache_clear()
    with pytest.warns(PlaintextEgressWarning) as caught:
        model.invoke(canary)
    assert canary not in str(caught[0].message)


def test_refused_at_construction(atoma, make_chat, make_embeddings, traced):
    for make in (make_chat, make_embeddings):
        with pytest.raises(PlaintextEgressError, match="LANGSMITH_TRACING"):
            make(atoma, tracing_policy="refuse")


def test_the_policy_of_the_environment(atoma, make_chat, traced, monkeypatch):
    monkeypatch.setenv("ATOMA_TRACING_POLICY", "refuse")
    with pytest.raises(PlaintextEgressError):
        make_chat(atoma)
    monkeypatch.setenv("ATOMA_TRACING_POLICY", "whatever")
    with pytest.raises(ValueError, match="tracing_policy"):
        make_chat(atoma)


def test_embeddings_are_guarded_at_each_call(
    atoma, make_embeddings, langsmith, monkeypatch, canary
):
    refusing = make_embeddings(atoma, tracing_policy="refuse")
    warning = make_embeddings(atoma)
    monkeypatch.setenv("LANGSMITH_TRACING", "true")
    get_env_var.cache_clear()
    with pytest.raises(PlaintextEgressError):
        refusing.embed_query(canary)
    with pytest.warns(PlaintextEgressWarning):
        assert warning.embed_query(canary)


def test_a_tracer_of_the_run_around_is_a_sink(atoma, make_chat, langsmith, canary):
    model = make_chat(atoma, tracing_policy="refuse")
    chain = RunnableLambda(lambda text: text) | model
    tracer = LangChainTracer(client=langsmith.client)
    with pytest.raises(PlaintextEgressError):
        chain.invoke(canary, {"callbacks": [tracer]})
    assert atoma.exchanges == []


def test_a_tracer_passed_to_the_call_itself_is_consent(
    atoma, make_chat, langsmith, canary
):
    model = make_chat(atoma, tracing_policy="refuse")
    tracer = LangChainTracer(client=langsmith.client)
    model.invoke(canary, {"callbacks": [tracer]})
    assert langsmith.has(canary)


@pytest.mark.parametrize("policy", ["warn", "refuse"])
def test_hidden_inputs_and_outputs_are_warned_of(
    atoma, make_chat, traced, monkeypatch, canary, policy
):
    monkeypatch.setenv("LANGSMITH_HIDE_INPUTS", "true")
    monkeypatch.setenv("LANGSMITH_HIDE_OUTPUTS", "true")
    get_env_var.cache_clear()
    with pytest.warns(PlaintextEgressWarning, match="are hidden"):
        make_chat(atoma, tracing_policy=policy).invoke(canary)


def test_a_shared_cache_is_a_sink(atoma, make_chat, canary):
    model = make_chat(atoma, tracing_policy="refuse")
    set_llm_cache(DiskCache())
    with pytest.raises(PlaintextEgressError, match="cache=False"):
        model.invoke(canary)
    with pytest.warns(PlaintextEgressWarning, match="llm-cache"):
        make_chat(atoma).invoke(canary)
    assert make_chat(atoma, tracing_policy="refuse", cache=False).invoke(canary)
    own = make_chat(atoma, tracing_policy="refuse", cache=DiskCache())
    assert own.invoke(canary).text == own.invoke(canary).text


def test_a_cache_in_memory_is_no_sink(atoma, make_chat, canary):
    set_llm_cache(InMemoryCache())
    model = make_chat(atoma, tracing_policy="refuse")
    assert model.invoke(canary).text == model.invoke(canary).text
    assert len(atoma.opened) == 1


def test_debug_output_is_a_sink(atoma, make_chat, make_embeddings, canary, capsys):
    set_debug(True)
    for make in (make_chat, make_embeddings):
        with pytest.raises(PlaintextEgressError, match="set_debug"):
            make(atoma, tracing_policy="refuse")
    with pytest.warns(PlaintextEgressWarning, match="console"):
        make_chat(atoma).invoke(canary)
    assert canary in capsys.readouterr().out


def test_verbose_output_is_noted(atoma, make_chat, caplog):
    caplog.set_level("DEBUG", "langchain_atoma")
    set_verbose(True)
    make_chat(atoma)
    assert "verbose" in caplog.text


def test_a_check_for_start_up(traced):
    with pytest.raises(PlaintextEgressError, match="langsmith"):
        assert_no_plaintext_egress()
    (sink,) = assert_no_plaintext_egress(ignore=["langsmith"])
    assert sink.name == "langsmith"
    set_llm_cache(DiskCache())
    with pytest.raises(PlaintextEgressError, match="llm-cache"):
        assert_no_plaintext_egress(ignore=["langsmith"])


def test_a_check_that_finds_nothing(langsmith):
    assert assert_no_plaintext_egress() == []
