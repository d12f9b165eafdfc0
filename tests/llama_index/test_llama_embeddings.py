"""Embeddings: order, roles, instructions, and what a model says of itself."""

import asyncio
import math

import pytest
from llama_embeds import (
    aone_by_one,
    aqueries,
    atext_batch,
    inputs,
    one_by_one,
    queries,
    text_batch,
)
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.schema import TextNode

from atoma_confidential import TrustPolicy, VectorMismatchError
from atoma_confidential.known_models import query_instruction_of
from llama_index_atoma import AtomaEmbeddings, errors


@pytest.fixture
def model(scripted, make_embeddings):
    return make_embeddings(scripted, query_instruction="")


def test_the_class_is_what_llama_index_looks_for():
    assert BaseEmbedding in AtomaEmbeddings.__mro__
    assert not AtomaEmbeddings.__abstractmethods__
    assert AtomaEmbeddings.class_name() == "AtomaEmbeddings"


def test_vectors_are_in_the_order_of_the_texts(model, embed):
    # The scripted engine answers the last one first.
    assert embed(model, ["a", "bbb", "cc"]) == [[1.0, 1.0], [3.0, 1.0], [2.0, 1.0]]


def test_every_way_is_sealed(atoma, embeddings, embed, canary, no_plaintext):
    texts = [f"{canary} one", "another heliotrope text"]
    no_plaintext(*texts)
    vectors = embed(embeddings, texts)
    assert [len(vector) for vector in vectors] == [384, 384]
    assert math.isclose(math.dist(vectors[0], [0.0] * 384), 1.0, abs_tol=1e-4)
    paths = {e.path for e in atoma.exchanges if "embed" in e.path}
    assert paths == {"/v1/confidential/embeddings"}
    assert embeddings.last_verdict.sealed
    assert embeddings.last_verdict in embeddings.last_verdicts
    assert embeddings.last_usage["total_tokens"] > 0


def test_texts_are_not_rewritten(model, embed, engine):
    embed(model, ["one\ntwo  three"])
    assert inputs(engine) == [["one\ntwo  three"]]


@pytest.mark.parametrize("batch", [text_batch, atext_batch])
def test_texts_and_queries_have_their_own_instruction(
    scripted, make_embeddings, engine, batch
):
    model = make_embeddings(
        scripted, query_instruction="query: ", text_instruction="passage: "
    )
    batch(model, ["t"])
    queries(model, ["q"])
    aqueries(model, ["q"])
    one_by_one(model, ["t"])
    aone_by_one(model, ["t"])
    assert inputs(engine) == [
        ["passage: t"],
        ["query: q"],
        ["query: q"],
        ["passage: t"],
        ["passage: t"],
    ]


E5_QUERY = query_instruction_of("intfloat/multilingual-e5-large-instruct")


@pytest.mark.parametrize(
    ("fields", "before"),
    [
        ({}, E5_QUERY),
        ({"query_instruction": ""}, ""),
        ({"query_instruction": "query: "}, "query: "),
        ({"model_name": "meta-llama/Llama-3.1-8B-Instruct"}, ""),
    ],
)
def test_what_a_known_model_was_trained_with_is_put_before_a_query(
    scripted, make_embeddings, engine, fields, before
):
    model = make_embeddings(scripted, **fields)
    twin = AtomaEmbeddings.from_dict(
        model.to_dict(), api_key=model.api_key, base_url=model.base_url
    )
    for one in (model, twin):
        queries(one, ["q"])
        one_by_one(one, ["t"])
    assert inputs(engine) == [[f"{before}q"], ["t"]] * 2


def test_the_hooks_of_core_do_the_same(scripted, make_embeddings, engine):
    model = make_embeddings(scripted, query_instruction="q:", text_instruction="t:")
    model._get_query_embedding("1")
    model._get_text_embedding("1")
    model._get_text_embeddings(["1"])

    async def run():
        await model._aget_query_embedding("1")
        await model._aget_text_embedding("1")
        await model._aget_text_embeddings(["1"])

    asyncio.run(run())
    assert inputs(engine) == [["q:1"], ["t:1"], ["t:1"]] * 2


def test_dimensions_and_format_are_sent(scripted, make_embeddings, engine):
    make_embeddings(scripted, dimensions=2, encoding_format="float").get_text_embedding(
        "a"
    )
    (body,) = engine.asked
    assert (body["dimensions"], body["encoding_format"]) == (2, "float")


def test_vectors_of_another_length_than_asked_are_refused(scripted, make_embeddings):
    with pytest.raises(errors.RemoteProtocolError, match="another length"):
        make_embeddings(scripted, dimensions=3).get_text_embedding("a")


@pytest.mark.parametrize(
    "fault",
    [
        "embeddings-missing",
        "embeddings-duplicate",
        "embeddings-no-index",
        "embeddings-nan",
    ],
)
def test_vectors_that_do_not_fit_the_texts_are_refused(
    atoma, make_embeddings, embed_batch, fault
):
    atoma.faults.always(fault)
    with pytest.raises(errors.RemoteProtocolError) as caught:
        embed_batch(make_embeddings(atoma, max_retries=0), ["a", "b"])
    assert caught.value.indices == range(2)


def test_retries_are_the_cores_alone(atoma, make_embeddings, embed):
    atoma.faults.always("post-429-retry-after:0")
    with pytest.raises(errors.RateLimitError):
        embed(make_embeddings(atoma, max_retries=2), ["a"])
    posts = [e for e in atoma.exchanges if e.path.endswith("embeddings")]
    assert len(posts) == 3


@pytest.mark.parametrize("fmt", ["base64", "float"])
def test_both_formats_give_the_same_vectors(atoma, make_embeddings, fmt):
    vector = make_embeddings(atoma, encoding_format=fmt).get_text_embedding("same")
    other = make_embeddings(atoma).get_text_embedding("same")
    assert vector == pytest.approx(other, abs=1e-6)


def test_empty_texts_are_told_by_their_place(model, embed_batch, engine):
    model.embed_batch_size = 2
    with pytest.raises(errors.InvalidInputError, match=r"empty: 1, 4\.") as caught:
        embed_batch(model, ["secret", "", "c", "d", " \n"])
    assert "secret" not in str(caught.value)
    assert engine.asked == []


def test_an_empty_query_is_refused_although_it_has_an_instruction(
    scripted, make_embeddings, engine
):
    model = make_embeddings(scripted, query_instruction="query: ")
    with pytest.raises(errors.InvalidInputError):
        model.get_query_embedding(" ")
    with pytest.raises(errors.InvalidInputError):
        model._get_query_embedding("")
    assert engine.asked == []


def test_nodes_are_given_their_vectors(model):
    nodes = [TextNode(text="a"), TextNode(text="bbb")]
    assert [node.embedding[0] for node in model(nodes)] == [1.0, 3.0]
    nodes = asyncio.run(model.acall([TextNode(text="cc")]))
    assert nodes[0].embedding[0] == 2.0


def test_what_vectors_do_not_depend_on_is_not_part_of_the_models_hash(monkeypatch):
    # Ingestion caches by `str(to_dict())`: a new key must not empty them.
    monkeypatch.delenv("ATOMA_API_KEY", raising=False)
    base = {"model_name": "m", "api_key": "k"}
    same = [
        {"api_key": "other"},
        {"base_url": "https://other.example"},
        {"timeout": 9.0},
        {"max_retries": 0},
        {"tracing_policy": "allow"},
        {"encoding_format": "float"},
        {"max_concurrency": 2},
        {"confidential": False},
        {"attestation_url": "https://other.example"},
        {"request_size": 5},
    ]
    plain = str(AtomaEmbeddings(**base).to_dict())
    assert {str(AtomaEmbeddings(**base | more).to_dict()) for more in same} == {plain}
    other = [
        {"dimensions": 3},
        {"query_instruction": "q"},
        {"model_name": "n"},
        # Vectors would be the same; but a loaded model would not be.
        {"embed_batch_size": 5},
        {"num_workers": 2},
        {"trust": TrustPolicy.pinned(keys=[bytes(32)])},
        {"signatures": "all"},
        {"blind_replies": True},
        {"tracing_policy": "suppress"},
    ]
    for more in other:
        assert str(AtomaEmbeddings(**base | more).to_dict()) != plain, more


def test_model_is_another_name_for_model_name():
    assert AtomaEmbeddings(model="m", api_key="k").model_name == "m"
    assert AtomaEmbeddings(model_name="m", api_key="k").to_dict()["model_name"] == "m"
    with pytest.raises(errors.InvalidInputError, match="model"):
        AtomaEmbeddings(api_key="k")
    with pytest.raises(errors.InvalidInputError, match="model is empty"):
        AtomaEmbeddings(model_name="", api_key="k")


def test_decoys_are_dropped(scripted, make_embeddings, engine):
    model = make_embeddings(scripted, blind_replies=True)
    assert model.get_text_embedding_batch(["a"]) == [[1.0, 1.0]]
    assert len(engine.asked[0]["input"]) == 2


@pytest.mark.clear_text
def test_plain_only_by_name(atoma, make_embeddings, embed_batch):
    model = make_embeddings(atoma, confidential=False)
    assert len(embed_batch(model, ["a", "b"])) == 2
    assert {e.path for e in atoma.exchanges} == {"/v1/embeddings"}
    assert model.last_verdict.sealed is False


async def test_a_vector_of_this_model_is_told_from_any_other(embeddings, canary):
    vector = (await embeddings.aget_text_embedding_batch([canary]))[0]

    embeddings.check_vector(canary, vector)
    await embeddings.acheck_vector(canary, vector)
    with pytest.raises(VectorMismatchError, match="gives 384"):
        embeddings.check_vector(canary, vector[:100])
    with pytest.raises(VectorMismatchError, match="not the one"):
        await embeddings.acheck_vector(canary, vector[::-1])
