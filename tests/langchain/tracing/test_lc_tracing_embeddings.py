"""Embeddings have no runs of their own: only what is around them is traced."""

import asyncio

import pytest
from langchain_core.runnables import RunnableLambda
from lc_ways import in_a_chain
from warned import egress_warnings

from langchain_atoma import PlaintextEgressError

pytestmark = pytest.mark.filterwarnings(
    "ignore::langchain_core._api.beta_decorator.LangChainBetaWarning"
)

EMBEDS = {
    "query": lambda e, text: asyncio.sleep(0, e.embed_query(text)),
    "documents": lambda e, text: asyncio.sleep(0, e.embed_documents([text, "x"])),
    "aquery": lambda e, text: e.aembed_query(text),
    "adocuments": lambda e, text: e.aembed_documents([text, "x"]),
}


@pytest.fixture(params=EMBEDS)
def embed(request):
    return EMBEDS[request.param]


@pytest.mark.parametrize("policy", ["allow", "suppress"])
async def test_embeddings_in_a_traced_chain(
    atoma, make_embeddings, traced, canary, embed, policy
):
    embeddings = make_embeddings(atoma, tracing_policy=policy)
    vectors = await in_a_chain(lambda: embed(embeddings, canary))
    assert vectors
    assert {run["name"] for run in traced.sent().runs if "name" in run} == {"chain"}
    assert not traced.has(canary)

    # Given to the chain, it would have been seen.
    async def look_up(text):
        return await embed(embeddings, text)

    await RunnableLambda(look_up).ainvoke(canary)
    assert traced.sent().has(canary)


async def test_embeddings_refuse_in_a_traced_chain(
    atoma, make_embeddings, langsmith, monkeypatch, canary, embed
):
    embeddings = make_embeddings(atoma, tracing_policy="refuse")
    langsmith.switch_on(monkeypatch)
    with pytest.raises(PlaintextEgressError):
        await in_a_chain(lambda: embed(embeddings, canary))
    assert "PlaintextEgressError" in langsmith.sent().errors[0]
    assert not langsmith.has(canary)
    assert atoma.exchanges == []


async def test_embeddings_warn_once(
    atoma, make_embeddings, langsmith, monkeypatch, canary, embed
):
    embeddings = make_embeddings(atoma)
    langsmith.switch_on(monkeypatch)
    with egress_warnings() as caught:
        for _ in range(2):
            assert await embed(embeddings, canary)
    assert len(caught) == 1
