"""Embeddings: order, roles, batches, cache, concurrency, events."""

import asyncio
import contextlib
import math

import pytest
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.schema import TextNode
from llama_index.core.storage.kvstore import SimpleKVStore

from atoma_confidential import TrustPolicy
from atoma_confidential.known_models import query_instruction_of
from llama_index_atoma import AtomaEmbeddings, errors


def text_batch(model, texts):
    return model.get_text_embedding_batch(texts)


def atext_batch(model, texts):
    return asyncio.run(model.aget_text_embedding_batch(texts))


def one_by_one(model, texts):
    return [model.get_text_embedding(text) for text in texts]


def aone_by_one(model, texts):
    async def run():
        return [await model.aget_text_embedding(text) for text in texts]

    return asyncio.run(run())


def queries(model, texts):
    return [model.get_query_embedding(text) for text in texts]


def aqueries(model, texts):
    async def run():
        return [await model.aget_query_embedding(text) for text in texts]

    return asyncio.run(run())


TEXTS = [text_batch, atext_batch, one_by_one, aone_by_one]
BATCHES = [text_batch, atext_batch]
ALL = [*TEXTS, queries, aqueries]


@pytest.fixture(params=ALL, ids=lambda call: call.__name__)
def embed(request):
    return request.param


@pytest.fixture(params=BATCHES, ids=lambda call: call.__name__)
def embed_batch(request):
    return request.param


@pytest.fixture
def model(scripted, make_embeddings):
    return make_embeddings(scripted, query_instruction="")


def inputs(engine):
    return [body["input"] for body in engine.asked]


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


def test_no_texts_are_no_request(model, embed_batch, engine):
    assert embed_batch(model, []) == []
    assert engine.asked == []


def test_batches_and_requests(scripted, make_embeddings, engine, embed_batch):
    model = make_embeddings(scripted, embed_batch_size=4, request_size=3)
    texts = ["x" * (n + 1) for n in range(9)]
    vectors = embed_batch(model, texts)
    assert [vector[0] for vector in vectors] == [float(n + 1) for n in range(9)]
    assert sorted(map(len, inputs(engine))) == [1, 1, 1, 3, 3]


def test_requests_are_cut_by_bytes_as_well(scripted, make_embeddings, engine):
    model = make_embeddings(scripted, request_bytes=10)
    model.get_text_embedding_batch(["a" * 6, "b" * 6, "c" * 3])
    assert sorted(map(len, inputs(engine))) == [1, 2]


class Busy:
    """An engine that holds requests until so many are there, and counts them."""

    def __init__(self, inner, expected):
        self.inner = inner
        self.expected = expected
        self.now = self.most = 0
        self.models = inner.models
        self.full = asyncio.Event()

    async def embed(self, body):
        self.now += 1
        self.most = max(self.most, self.now)
        if self.now >= self.expected:
            await asyncio.sleep(0.05)  # time for one too many
            self.full.set()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self.full.wait(), 5)
        self.now -= 1
        return self.inner.embed(body)


@pytest.mark.parametrize(
    ("fields", "most"),
    [
        ({"embed_batch_size": 1}, 8),
        ({"embed_batch_size": 1, "num_workers": 2}, 2),
        ({"embed_batch_size": 1, "max_concurrency": 3}, 3),
        ({"embed_batch_size": 4, "request_size": 1, "max_concurrency": 4}, 4),
    ],
)
def test_concurrency_is_bounded(make_atoma, make_embeddings, engine, fields, most):
    busy = Busy(engine, most)
    model = make_embeddings(make_atoma(backend=busy), **fields)
    atext_batch(model, ["x"] * 24)
    assert busy.most == most


def test_blocking_calls_use_several_connections_too(
    make_atoma, make_embeddings, engine
):
    busy = Busy(engine, 8)
    model = make_embeddings(make_atoma(backend=busy), request_size=2)
    text_batch(model, ["x"] * 16)
    assert busy.most == 8


def test_by_default_a_batch_has_as_many_requests_as_may_be_under_way(
    make_atoma, make_embeddings, engine
):
    busy = Busy(engine, 8)
    text_batch(make_embeddings(make_atoma(backend=busy)), ["x"] * 800)
    assert busy.most == 8
    assert len(engine.asked) == 8


def test_a_failed_batch_names_its_texts_and_stops_the_others(
    make_atoma, make_embeddings, embed_batch, legacy, heard_by
):
    atoma = make_atoma()
    atoma.faults.once("post-400", skip=1)
    model = make_embeddings(atoma, embed_batch_size=2, max_concurrency=1, max_retries=0)
    with pytest.raises(errors.InvalidRequestError) as caught:
        embed_batch(heard_by(model), [f"text {n}" for n in range(8)])
    assert caught.value.indices == range(2, 4)
    posts = [e for e in atoma.exchanges if e.path.endswith("embeddings")]
    assert len(posts) == 2
    assert legacy.balanced


def test_each_batch_is_one_event(
    scripted, make_embeddings, embed_batch, events, legacy, heard_by
):
    model = make_embeddings(scripted, embed_batch_size=2, tracing_policy="allow")
    embed_batch(heard_by(model), ["a", "bb", "ccc"])
    assert events.names.count("EmbeddingStartEvent") == 2
    assert events.names.count("EmbeddingEndEvent") == 2
    ends = [e for e in events.events if type(e).__name__ == "EmbeddingEndEvent"]
    assert sorted(len(end.chunks) for end in ends) == [1, 2]
    assert len(legacy.of("embedding")) == 2
    assert legacy.balanced


def test_single_texts_are_one_event(model, embed, events, legacy, heard_by):
    model.tracing_policy = "allow"
    embed(heard_by(model), ["a"])
    assert events.names.count("EmbeddingStartEvent") == 1
    assert events.names.count("EmbeddingEndEvent") == 1
    assert len(legacy.of("embedding")) == 1
    assert legacy.balanced


def test_tokens_are_counted_once(model, embed):
    counter = TokenCountingHandler(tokenizer=str.split)
    model.callback_manager = CallbackManager([counter])
    embed(model, ["one two three"])
    assert counter.total_embedding_token_count == 3


class Limiter:
    taken = 0

    def acquire(self):
        self.taken += 1

    async def async_acquire(self):
        self.taken += 1


@pytest.mark.parametrize("policy", ["allow", "suppress"])
def test_the_rate_limiter_is_taken_once(model, embed, events, policy):
    model.rate_limiter = limiter = Limiter()
    model.tracing_policy = policy
    embed(model, ["a"])
    assert limiter.taken == 1


def test_the_cache_keeps_queries_and_texts_apart(scripted, make_embeddings, engine):
    store = SimpleKVStore()
    model = make_embeddings(
        scripted, embeddings_cache=store, query_instruction="query: "
    )
    text, query = [1.0, 1.0], [8.0, 1.0]
    for _ in range(2):
        assert text_batch(model, ["a"]) == [text]
        assert atext_batch(model, ["a"]) == [text]
        assert one_by_one(model, ["a"]) == [text]
        assert queries(model, ["a"]) == [query]
        assert aqueries(model, ["a"]) == [query]
    assert inputs(engine) == [["a"], ["query: a"]]


def test_the_cache_keeps_them_apart_without_instructions_too(
    scripted, make_embeddings, engine
):
    model = make_embeddings(
        scripted, embeddings_cache=SimpleKVStore(), query_instruction=""
    )
    model.get_text_embedding("a")
    model.get_query_embedding("a")
    assert inputs(engine) == [["a"], ["a"]]


def test_the_cache_does_not_show_the_texts(scripted, make_embeddings, canary):
    store = SimpleKVStore()
    model = make_embeddings(scripted, embeddings_cache=store)
    model.get_text_embedding_batch([canary, "b"])
    assert canary not in str(store.to_dict())
    assert len(store.get_all("embeddings")) == 2


def test_the_cache_keeps_models_apart(scripted, make_embeddings, engine):
    store = SimpleKVStore()
    for fields in (
        {},
        {"dimensions": 2},
        {"text_instruction": "t"},
        {"model_name": "meta-llama/Llama-3.1-8B-Instruct"},
    ):
        model = make_embeddings(scripted, embeddings_cache=store, **fields)
        model.get_text_embedding("a")
    assert len(engine.asked) == 4


def test_only_what_is_missing_is_asked_for(
    scripted, make_embeddings, engine, embed_batch
):
    model = make_embeddings(scripted, embeddings_cache=SimpleKVStore())
    model.rate_limiter = limiter = Limiter()
    embed_batch(model, ["a", "ccc"])
    assert embed_batch(model, ["a", "bb", "ccc"]) == [[1, 1], [2, 1], [3, 1]]
    embed_batch(model, ["a", "bb", "ccc"])
    assert inputs(engine) == [["a", "ccc"], ["bb"]]
    assert limiter.taken == 2


def test_a_bar_is_shown(model, embed_batch, capfd, monkeypatch):
    def wanted(texts):
        if embed_batch is text_batch:
            return model.get_text_embedding_batch(texts, show_progress=True)
        return asyncio.run(model.aget_text_embedding_batch(texts, show_progress=True))

    model.embed_batch_size = 2
    assert len(wanted(["a", "b", "c"])) == 3
    assert "Generating embeddings" in capfd.readouterr().err


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
