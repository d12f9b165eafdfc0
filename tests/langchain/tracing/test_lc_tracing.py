"""LangSmith and each policy, against a collector that really receives runs."""

import pytest
from langchain_core.runnables import RunnableLambda
from langchain_core.tracers.context import tracing_v2_enabled
from lc_ways import Answer, in_a_chain, noted
from warned import egress_warnings

from langchain_atoma import PlaintextEgressError

pytestmark = pytest.mark.filterwarnings(
    "ignore::langchain_core._api.beta_decorator.LangChainBetaWarning"
)


async def test_allowed_everything_leaves(atoma, make_chat, traced, canary, way):
    assert await way(make_chat(atoma, tracing_policy="allow"), canary)
    assert traced.sent().has(canary)
    assert "llm" in traced.kinds


async def test_refused_nothing_leaves(
    atoma, make_chat, langsmith, monkeypatch, canary, way
):
    model = make_chat(atoma, tracing_policy="refuse")
    langsmith.switch_on(monkeypatch)
    with pytest.raises(PlaintextEgressError, match=r"langsmith .*LANGSMITH_TRACING"):
        await way(model, canary)
    assert langsmith.sent().bodies == []
    assert atoma.exchanges == []


async def test_suppressed_nothing_of_the_model_leaves(
    atoma, make_chat, traced, canary, way
):
    assert await way(make_chat(atoma, tracing_policy="suppress"), canary)
    assert traced.sent().bodies == []
    assert atoma.opened
    noted("something else")
    assert traced.sent().has("something else")


async def test_warned_once(atoma, make_chat, langsmith, monkeypatch, canary, way):
    model = make_chat(atoma)
    langsmith.switch_on(monkeypatch)
    with egress_warnings() as caught:
        for _ in range(2):
            assert await way(model, canary)
    (said,) = caught
    assert said.startswith("langsmith receives prompts")
    assert canary not in said
    assert langsmith.sent().has(canary)


async def test_allowed_in_a_chain(atoma, make_chat, traced, canary, way):
    model = make_chat(atoma, tracing_policy="allow")
    await in_a_chain(lambda: way(model, canary))
    assert traced.sent().has(canary)


async def test_refused_in_a_chain(
    atoma, make_chat, langsmith, monkeypatch, canary, way
):
    model = make_chat(atoma, tracing_policy="refuse")
    langsmith.switch_on(monkeypatch)
    with pytest.raises(PlaintextEgressError):
        await in_a_chain(lambda: way(model, canary))
    assert not langsmith.sent().has(canary)
    assert langsmith.kinds == {"chain"}  # the chain's own, with our error
    assert "PlaintextEgressError" in langsmith.errors[0]
    assert atoma.exchanges == []


async def test_suppressed_in_a_chain(atoma, make_chat, traced, canary, way):
    model = make_chat(atoma, tracing_policy="suppress")
    # Its answer, which may repeat the canary, is the chain's as well.
    assert await in_a_chain(lambda: answered(way(model, canary)))
    assert not traced.sent().has(canary)
    assert {run["name"] for run in traced.runs if "name" in run} == {"chain"}


async def answered(answer):
    return bool(await answer)


@pytest.mark.parametrize("policy", ["allow", "suppress"])
async def test_suppressed_for_a_tracer_of_the_context(
    atoma, make_chat, langsmith, canary, way, policy
):
    model = make_chat(atoma, tracing_policy=policy)
    with tracing_v2_enabled(client=langsmith.client):
        assert await way(model, canary)
    assert langsmith.sent().has(canary) is (policy == "allow")
    assert bool(langsmith.bodies) is (policy == "allow")


def test_suppression_does_not_leak_between_chunks(atoma, make_chat, traced, canary):
    model = make_chat(atoma, tracing_policy="suppress")
    for runnable in (model, model.with_structured_output(Answer)):
        stream = runnable.stream(canary)
        next(stream)
        noted("in between")
        stream.close()
        assert traced.sent().has("in between")
        traced.bodies.clear()
    assert not traced.has(canary)


async def test_nor_between_chunks_of_an_event_loop(atoma, make_chat, traced, canary):
    model = make_chat(atoma, tracing_policy="suppress")
    for runnable in (model, model.with_structured_output(Answer)):
        stream = runnable.astream(canary)
        await anext(stream)
        noted("in between")
        await stream.aclose()
        assert traced.sent().has("in between")
        traced.bodies.clear()
    assert not traced.has(canary)


def test_runs_around_a_suppressed_model_are_traced(atoma, make_chat, traced, canary):
    model = make_chat(atoma, tracing_policy="suppress")
    (RunnableLambda(lambda text: text) | model).invoke(canary)
    assert traced.sent().has(canary)
    assert traced.kinds == {"chain"}
