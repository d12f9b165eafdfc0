"""A key-value store that holds nothing in clear: of nodes, of texts, of vectors."""

import base64
import json
import pickle
import struct

import pytest
from llama_index.core import Document
from llama_index.core.ingestion import IngestionCache, IngestionPipeline
from llama_index.core.node_parser import MarkdownNodeParser
from llama_index.core.storage.kvstore import SimpleKVStore

from atoma_confidential import CacheSecret
from atoma_local import encodings_of
from llama_index_atoma import EncryptedKVStore, errors


@pytest.fixture
def secret():
    return CacheSecret.generate()


@pytest.fixture
def below():
    return SimpleKVStore()


@pytest.fixture
def store(below, secret):
    return EncryptedKVStore(below, secret)


def finds(raw, texts):
    return [t for t in texts if any(p.data in raw for p in encodings_of(t))]


def written(vector):
    """A vector's numbers as they could be written, and its bytes as floats."""
    texts = [json.dumps(vector)[1:-1], ",".join(map(repr, vector))]
    raw = [struct.pack(f"<{len(vector)}{kind}", *vector) for kind in "fd"]
    return [t.encode() for t in texts] + raw + [base64.b64encode(r) for r in raw]


def test_a_pipeline_sends_nothing_twice_and_nothing_is_on_disk(
    atoma, embeddings, secret, canary, tmp_path
):
    path = str(tmp_path / "cache.json")
    texts = [f"# {canary}\n\nis one passage", "# Second\n\nwhich is about herons"]
    documents = [Document(text=text, id_=f"doc-{n}") for n, text in enumerate(texts)]

    def run(below):
        cache = IngestionCache(cache=EncryptedKVStore(below, secret))
        steps = [MarkdownNodeParser(), embeddings]
        return IngestionPipeline(transformations=steps, cache=cache).run(
            documents=documents
        )

    below = SimpleKVStore()
    nodes = run(below)
    below.persist(path)
    sent = len(atoma.exchanges)
    again = run(SimpleKVStore.from_persist_path(path))
    assert len(atoma.exchanges) == sent > 0
    assert [n.embedding for n in again] == [n.embedding for n in nodes]
    assert [n.text for n in again] == [n.text for n in nodes]
    raw = (tmp_path / "cache.json").read_bytes()
    assert finds(raw, [*texts, canary, "is one passage"]) == []
    assert not any(form in raw for n in nodes for form in written(n.embedding))

    with pytest.raises(errors.CacheSecretError, match="another secret"):
        IngestionPipeline(
            transformations=[embeddings],
            cache=IngestionCache(cache=EncryptedKVStore(below, CacheSecret.generate())),
        ).run(documents=documents)
    assert len(atoma.exchanges) == sent


async def test_vectors_are_found_again_and_nothing_of_them_is_below(
    atoma, make_embeddings, below, secret, canary
):
    def model():
        return make_embeddings(atoma, embeddings_cache=EncryptedKVStore(below, secret))

    vectors = model().get_text_embedding_batch([canary, "another passage"])
    assert await model().aget_text_embedding_batch([canary]) == vectors[:1]
    assert model().get_text_embedding(canary) == vectors[0]
    assert len(atoma.opened) == 1
    raw = json.dumps(below.to_dict()).encode()
    assert finds(raw, [canary, "another passage"]) == []
    assert not any(form in raw for v in vectors for form in written(v))


def test_another_secret_is_an_error_before_anything_is_sent(
    atoma, make_embeddings, below, store, canary
):
    make_embeddings(atoma, embeddings_cache=store).get_text_embedding(canary)
    sent = len(atoma.exchanges)
    wrong = EncryptedKVStore(below, CacheSecret.generate())
    model = make_embeddings(atoma, embeddings_cache=wrong)
    for _ in range(2):
        with pytest.raises(errors.CacheSecretError):
            model.get_text_embedding(canary)
    assert len(atoma.exchanges) == sent


CALLS = [
    lambda store: store.get("k", "c"),
    lambda store: store.put("k", {}, "c"),
    lambda store: store.put_all([("k", {})], "c"),
    lambda store: store.get_all("c"),
    lambda store: store.delete("k", "c"),
]
ACALLS = [
    lambda store: store.aget("k", "c"),
    lambda store: store.aput("k", {}, "c"),
    lambda store: store.aput_all([("k", {})], "c"),
    lambda store: store.aget_all("c"),
    lambda store: store.adelete("k", "c"),
]


async def test_no_method_works_with_another_secret(below, store):
    store.put("k", {"v": 1}, "c")
    before = below.to_dict()
    for call in CALLS:
        with pytest.raises(errors.CacheSecretError):
            call(EncryptedKVStore(below, CacheSecret.generate()))
    for call in ACALLS:
        with pytest.raises(errors.CacheSecretError):
            await call(EncryptedKVStore(below, CacheSecret.generate()))
    assert below.to_dict() == before


async def test_it_does_what_a_store_does(below, store):
    below.put("somebody else's", {"v": 0})
    store.put("a", {"v": [1.5, None, "ä \ud83d"]})
    await store.aput("b", {"v": 2})
    store.put_all([("c", {"v": 3})])
    await store.aput_all([("d", {"v": 4})])
    await store.aput("a", {"v": 5}, "other")
    assert store.get("a") == {"v": [1.5, None, "ä \ud83d"]}
    assert await store.aget("b") == {"v": 2}
    assert store.get("nothing") is None
    assert await store.aget("nothing") is None
    assert store.delete("a")
    assert await store.adelete("b")
    assert not store.delete("b")
    assert store.get_all() == await store.aget_all() == {"c": {"v": 3}, "d": {"v": 4}}
    assert store.get_all("other") == {"a": {"v": 5}}
    IngestionCache(cache=store, collection="other").clear()
    assert store.get_all("other") == {}
    with pytest.raises(NotImplementedError):
        store.put_all([("e", {})], batch_size=2)


async def test_entries_that_were_changed_or_moved_are_errors(below, store):
    store.put("a", {"v": 1})
    store.put("a", {"v": 2}, "other")
    (name,) = (name for name in below.get_all() if name != "check")
    (there,) = (name for name in below.get_all("other") if name != "check")
    moved = below.get(there, "other")
    cut = {"sealed": below.get(name)["sealed"][:-4]}
    for value in (moved, cut, {"sealed": "!"}, {"sealed": 1}, {"v": 1}, {}):
        below.put(name, value)
        with pytest.raises(errors.CacheEntryError):
            store.get("a")
        with pytest.raises(errors.CacheEntryError):
            await store.aget_all()
    assert store.delete("a")
    assert store.get("a") is None


@pytest.mark.parametrize("value", [{"v": {1}}, {"v": b"x"}, {("a", "b"): 1}])
def test_what_is_no_json_is_refused_and_not_shown(store, value):
    with pytest.raises(errors.InvalidInputError, match="not JSON") as caught:
        store.put("k", value)
    assert repr(value) not in str(caught.value)


def test_a_store_is_pickled_as_its_secret_can(tmp_path, below, store):
    kept = CacheSecret.from_file(tmp_path / "secrets" / "cache")
    EncryptedKVStore(below, kept).put("k", {"v": 1}, "c")
    data = pickle.dumps(EncryptedKVStore(below, kept))
    assert bytes.fromhex((tmp_path / "secrets" / "cache").read_text()) not in data
    assert pickle.loads(data).get("k", "c") == {"v": 1}
    with pytest.raises(errors.InvalidInputError):
        pickle.dumps(store)
