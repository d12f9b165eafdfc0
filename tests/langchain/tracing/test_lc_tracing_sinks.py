"""What of LangSmith is a sink, and when: tracers, runs around, and the environment."""

import pytest
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.langchain import LangChainTracer
from langsmith import run_helpers

from langchain_atoma import PlaintextEgressError, PlaintextEgressWarning

pytestmark = pytest.mark.filterwarnings(
    "ignore::langchain_core._api.beta_decorator.LangChainBetaWarning"
)


@pytest.mark.parametrize("policy", ["allow", "suppress"])
@pytest.mark.parametrize("asynchronous", [False, True])
async def test_suppressed_for_a_tracer_that_is_given(
    atoma, make_chat, langsmith, canary, policy, asynchronous
):
    model = make_chat(atoma, tracing_policy=policy)
    config = {"callbacks": [LangChainTracer(client=langsmith.client)]}
    if asynchronous:
        stream = await model.astream_events(canary, config, version="v3")
        assert await stream.output
        assert await model.ainvoke(canary, config)
    else:
        assert model.stream_events(canary, config, version="v3").output
        assert model.invoke(canary, config)
    assert langsmith.sent().has(canary) is (policy == "allow")


@pytest.mark.parametrize("policy", ["warn", "refuse", "suppress"])
def test_tracing_disabled_by_the_caller_is_no_sink(
    atoma, make_chat, traced, canary, policy
):
    with run_helpers.tracing_context(enabled=False):
        assert make_chat(atoma, tracing_policy=policy).invoke(canary)
    assert traced.sent().bodies == []


def test_what_langsmith_calls_local_leaves(atoma, make_chat, langsmith, canary):
    # LangChain's tracer sends it all the same.
    refusing = make_chat(atoma, tracing_policy="refuse")
    with run_helpers.tracing_context(enabled="local"):
        with pytest.raises(PlaintextEgressError):
            refusing.invoke(canary)
        assert make_chat(atoma, tracing_policy="suppress").invoke(canary)
        assert langsmith.sent().bodies == []
        assert make_chat(atoma, tracing_policy="allow").invoke(canary)
    assert langsmith.sent().has(canary)


def test_a_run_of_langsmith_itself_is_a_sink(atoma, make_chat, langsmith, canary):
    model = make_chat(atoma, tracing_policy="refuse")
    with (
        run_helpers.tracing_context(enabled=True, client=langsmith.client),
        pytest.raises(PlaintextEgressError),
    ):
        model.invoke(canary)
    assert langsmith.sent().bodies == []


def test_warned_of_at_construction(atoma, make_chat, make_embeddings, traced, canary):
    with pytest.warns(PlaintextEgressWarning, match="langsmith receives prompts"):
        model = make_chat(atoma)
    assert model.invoke(canary)  # and not again: warnings are errors here
    assert make_embeddings(atoma).embed_query(canary)
    assert traced.sent().has(canary)


def test_refused_at_construction(atoma, make_chat, make_embeddings, traced):
    for make in (make_chat, make_embeddings):
        with pytest.raises(PlaintextEgressError, match="LANGSMITH_TRACING"):
            make(atoma, tracing_policy="refuse")
    assert traced.sent().bodies == []


def test_the_policy_of_the_environment(atoma, make_chat, traced, monkeypatch):
    monkeypatch.setenv("ATOMA_TRACING_POLICY", "refuse")
    with pytest.raises(PlaintextEgressError):
        make_chat(atoma)
    monkeypatch.setenv("ATOMA_TRACING_POLICY", "whatever")
    with pytest.raises(ValueError, match="tracing_policy"):
        make_chat(atoma)


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
    assert langsmith.sent().has(canary)
