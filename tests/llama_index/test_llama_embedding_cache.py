"""The cache of embeddings: what it keeps apart, and what it does not show."""

from limiter import Limiter
from llama_embeds import aqueries, atext_batch, inputs, one_by_one, queries, text_batch
from llama_index.core.storage.kvstore import SimpleKVStore


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
