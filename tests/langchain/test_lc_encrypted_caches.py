"""Caches that hold nothing in clear: of vectors, and of answers."""

import base64
import copy
import json
import pickle
import struct
import subprocess
import sys

import pytest
from langchain_classic.embeddings import CacheBackedEmbeddings
from langchain_classic.storage import LocalFileStore
from langchain_core.globals import set_llm_cache
from langchain_core.messages import AIMessage, ChatMessage
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.stores import InMemoryByteStore
from langchain_core.tools import tool

from atoma_confidential import CacheSecret
from atoma_local import encodings_of
from langchain_atoma import EncryptedByteStore, EncryptedCache, errors


@pytest.fixture
def secret():
    return CacheSecret.generate()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "kept"


def stored(folder):
    """Names and contents of all files."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return b"\0".join(
        part for path in files for part in (path.name.encode(), path.read_bytes())
    )


def finds(raw, texts):
    return [t for t in texts if any(p.data in raw for p in encodings_of(t))]


def numbers_of(vector):
    """A vector's numbers as they could be written, and its bytes as floats."""
    texts = [json.dumps(vector)[1:-1], ", ".join(map(repr, vector[:4]))]
    raw = [struct.pack(f"<{len(vector)}{kind}", *vector) for kind in "fd"]
    return [t.encode() for t in texts] + raw + [base64.b64encode(r) for r in raw]


def cached(model, store):
    return CacheBackedEmbeddings.from_bytes_store(
        model, store, query_embedding_cache=True, key_encoder="sha256"
    )


def test_texts_are_embedded_once_and_nothing_of_them_is_on_disk(
    atoma, embeddings, folder, secret, canary
):
    texts = [f"{canary} is one passage", "A second passage, about herons"]

    def embed():
        store = EncryptedByteStore(LocalFileStore(folder), secret)
        return cached(embeddings, store).embed_documents(texts)

    vectors = embed()
    sent = len(atoma.exchanges)
    assert embed() == vectors
    assert len(atoma.exchanges) == sent
    raw = stored(folder)
    assert finds(raw, texts) == []
    assert not any(form in raw for v in vectors for form in numbers_of(v))
    # A search that finds nothing must be one that could.
    plain = folder.with_name("plain")
    cached(embeddings, LocalFileStore(plain)).embed_documents(texts)
    assert any(form in stored(plain) for form in numbers_of(vectors[0]))


async def test_vectors_are_found_again_from_async_code(
    atoma, embeddings, folder, secret, canary
):
    def model():
        store = EncryptedByteStore(LocalFileStore(folder), secret)
        return cached(embeddings, store)

    vectors = await model().aembed_documents([canary])
    assert await model().aembed_query(canary) == vectors[0]
    assert model().embed_documents([canary]) == vectors
    assert len(atoma.opened) == 1


def test_answers_are_given_once_and_nothing_of_them_is_on_disk(
    scripted, engine, make_chat, folder, secret, canary
):
    engine.message = {"role": "assistant", "content": "The heron flies at seven."}
    question = f"{canary}: when does the heron fly?"
    set_llm_cache(EncryptedCache(LocalFileStore(folder), secret))
    first = make_chat(scripted).invoke(question)
    set_llm_cache(EncryptedCache(LocalFileStore(folder), secret))
    sent = len(scripted.exchanges)
    again = make_chat(scripted).invoke(question)
    assert len(scripted.exchanges) == sent
    assert again.content == first.content == "The heron flies at seven."
    assert finds(stored(folder), [question, again.content, canary]) == []


async def test_an_answer_from_the_cache_does_not_pretend_to_be_fresh(
    scripted, engine, make_chat, secret, canary
):
    model = make_chat(scripted, cache=EncryptedCache(InMemoryByteStore(), secret))
    fresh = (await model.ainvoke(canary)).response_metadata["atoma"]
    for again in (model.invoke(canary), await model.ainvoke(canary)):
        assert again.response_metadata["atoma"] == {**fresh, "cached": True}
        assert again.usage_metadata["total_cost"] == 0
    assert "cached" not in fresh
    assert len(engine.asked) == 1


def test_tool_calls_come_back_whole(scripted, engine, make_chat, secret, canary):
    @tool
    def look(place: str) -> str:
        """Look."""
        return place

    call = {"name": "look", "arguments": '{"place": "the reeds"}'}
    engine.message = {
        "role": "assistant",
        "content": None,
        "tool_calls": [{"id": "call_1", "type": "function", "function": call}],
    }
    store = InMemoryByteStore()
    model = make_chat(scripted, cache=EncryptedCache(store, secret)).bind_tools([look])
    first, again = model.invoke(canary), model.invoke(canary)
    assert again.tool_calls == first.tool_calls
    assert again.tool_calls[0]["args"] == {"place": "the reeds"}
    assert len(engine.asked) == 1


def test_a_sealed_cache_is_no_sink_and_another_one_is(
    atoma, make_chat, secret, canary, folder
):
    class Other(EncryptedCache):
        """Somebody's own."""

    set_llm_cache(EncryptedCache(LocalFileStore(folder), secret))
    make_chat(atoma, tracing_policy="refuse").invoke(canary)
    set_llm_cache(Other(LocalFileStore(folder), secret))
    with pytest.raises(errors.PlaintextEgressError, match="llm-cache"):
        make_chat(atoma, tracing_policy="refuse").invoke(canary)


@pytest.mark.parametrize(
    "generation",
    [
        ChatGeneration(message=AIMessage("x", additional_kwargs={"parsed": {1}})),
        ChatGeneration(message=AIMessage("x", additional_kwargs={"parsed": (1, 2)})),
        Generation(text="x", generation_info={"at": object()}),
    ],
)
async def test_an_answer_that_would_not_come_back_the_same_is_not_kept(
    secret, generation
):
    cache = EncryptedCache(InMemoryByteStore(), secret)
    cache.update("p", "m", [generation])
    await cache.aupdate("p", "m", [generation])
    assert cache.lookup("p", "m") is None


@pytest.mark.parametrize(
    "generation",
    [
        Generation(text="x", generation_info={"finish_reason": "stop"}),
        ChatGeneration(message=ChatMessage("half a pair: \ud83d", role="critic")),
        ChatGeneration(message=AIMessage([{"type": "text", "text": "x"}], id="run-1")),
    ],
)
async def test_answers_of_other_models_come_back_the_same(secret, generation):
    store = InMemoryByteStore()
    cache = EncryptedCache(store, secret)
    await cache.aupdate("p\ud83d", "m", [generation, generation])
    assert cache.lookup("p\ud83d", "m") == [generation, generation]
    assert cache.lookup("p", "\ud83dm") is None
    await cache.aclear()
    assert await cache.alookup("p\ud83d", "m") is None


def test_another_secret_is_an_error_and_sends_nothing(
    atoma, make_chat, embeddings, folder, secret, canary
):
    set_llm_cache(EncryptedCache(LocalFileStore(folder), secret))
    make_chat(atoma).invoke(canary)
    store = EncryptedByteStore(LocalFileStore(folder), secret)
    cached(embeddings, store).embed_documents([canary])
    sent = len(atoma.exchanges)

    wrong = CacheSecret.generate()
    cache = EncryptedCache(LocalFileStore(folder), wrong)
    set_llm_cache(cache)
    for _ in range(2):
        with pytest.raises(errors.CacheSecretError, match="another secret"):
            make_chat(atoma).invoke(canary)
    store = EncryptedByteStore(LocalFileStore(folder), wrong)
    with pytest.raises(errors.CacheSecretError):
        cached(embeddings, store).embed_documents([canary])
    assert len(atoma.exchanges) == sent
    cache.clear()
    make_chat(atoma).invoke(canary)
    assert len(atoma.exchanges) > sent


CALLS = [
    lambda store: store.mget(["k"]),
    lambda store: store.mset([("k", b"v")]),
    lambda store: store.mdelete(["k"]),
    lambda store: list(store.yield_keys()),
]
ACALLS = [
    lambda store: store.amget(["k"]),
    lambda store: store.amset([("k", b"v")]),
    lambda store: store.amdelete(["k"]),
    lambda store: anext(store.ayield_keys()),
]


@pytest.mark.parametrize("call", CALLS)
def test_no_method_works_with_another_secret(secret, call):
    below = InMemoryByteStore()
    EncryptedByteStore(below, secret).mset([("k", b"v")])
    before = dict(below.store)
    with pytest.raises(errors.CacheSecretError):
        call(EncryptedByteStore(below, CacheSecret.generate()))
    assert below.store == before


@pytest.mark.parametrize("call", ACALLS)
async def test_no_method_works_with_another_secret_in_async_code(secret, call):
    below = InMemoryByteStore()
    EncryptedByteStore(below, secret).mset([("k", b"v")])
    before = dict(below.store)
    with pytest.raises(errors.CacheSecretError):
        await call(EncryptedByteStore(below, CacheSecret.generate()))
    assert below.store == before


async def test_it_does_what_a_store_does(secret):
    below = InMemoryByteStore()
    store = EncryptedByteStore(below, secret, namespace="one")
    other = EncryptedByteStore(below, secret, namespace="one-more")
    store.mset([("a/1", b"1"), ("a/2", b""), ("ä \ud83d", b"3")])
    await other.amset([("a/1", b"other")])
    below.mset([("one.of-somebody-else", b"x")])
    assert store.mget(["a/2", "b", "a/1"]) == [b"", None, b"1"]
    assert await store.amget(["ä \ud83d"]) == [b"3"]
    assert sorted(store.yield_keys(prefix="a/")) == ["a/1", "a/2"]
    assert {key async for key in store.ayield_keys()} == {"a/1", "a/2", "ä \ud83d"}
    for key in store.yield_keys(prefix="a/1"):
        store.mdelete([key])
    await store.amdelete(["a/2"])
    assert store.mget(["a/1", "a/2"]) == [None, None]
    store.clear()
    assert list(store.yield_keys()) == []
    assert other.mget(["a/1"]) == [b"other"]
    assert "one.of-somebody-else" in below.store


async def test_entries_that_were_changed_or_moved_are_errors(secret):
    below = InMemoryByteStore()
    store = EncryptedByteStore(below, secret)
    store.mset([("a", b"1"), ("b", b"2")])
    first, second = (n for n in below.store if not n.endswith("check"))
    below.store[first], below.store[second] = below.store[second], below.store[first]
    for keys in (["a"], ["b"]):
        with pytest.raises(errors.CacheEntryError):
            store.mget(keys)
    below.store[first] = b""
    with pytest.raises(errors.CacheEntryError):
        await store.amget(["a"])
    with pytest.raises(errors.CacheEntryError):
        list(store.yield_keys())
    store.mdelete(["a", "b"])
    assert store.mget(["a", "b"]) == [None, None]


def test_an_entry_of_another_namespace_is_an_error(secret):
    below = InMemoryByteStore()
    one, two = (EncryptedByteStore(below, secret, namespace=n) for n in ("1", "2"))
    one.mset([("a", b"1")])
    two.mset([("a", b"2")])
    names = {n[0]: n for n in below.store if not n.endswith("check")}
    below.store[names["2"]] = below.store[names["1"]]
    with pytest.raises(errors.CacheEntryError):
        two.mget(["a"])


def test_of_two_that_begin_a_namespace_together_one_is_refused(secret):
    class Slow(InMemoryByteStore):
        """Lets another process in between looking and writing."""

        def mset(self, pairs):
            super().mset(pairs)
            if len(self.store) == 1:
                name = next(iter(self.store))
                self.store[name] = CacheSecret.generate().entries("cache").check()

    with pytest.raises(errors.CacheSecretError):
        EncryptedByteStore(Slow(), secret).mget(["k"])


@pytest.mark.parametrize("namespace", ["", "a.b", "a/b", "..", "ä", "a" * 65, "a\n"])
def test_a_namespace_must_be_a_plain_name(secret, namespace):
    with pytest.raises(errors.InvalidInputError, match="1 to 64 letters"):
        EncryptedByteStore(InMemoryByteStore(), secret, namespace=namespace)


def test_a_store_can_be_copied_and_pickled_as_its_secret_can(tmp_path, folder, secret):
    kept = CacheSecret.from_file(tmp_path / "secrets" / "cache")
    store = EncryptedByteStore(LocalFileStore(folder), kept, namespace="n")
    store.mset([("k", b"v")])
    data = pickle.dumps(store)
    assert bytes.fromhex((tmp_path / "secrets" / "cache").read_text()) not in data
    assert pickle.loads(data).mget(["k"]) == [b"v"]
    assert copy.deepcopy(store).mget(["k"]) == [b"v"]
    with pytest.raises(errors.InvalidInputError):
        pickle.dumps(EncryptedByteStore(LocalFileStore(folder), secret))


def test_caches_load_no_models_and_models_no_caches():
    for code, absent in (
        ("import langchain_atoma; langchain_atoma.EncryptedCache", "chat_models"),
        ("import langchain_atoma; langchain_atoma.AtomaChatModel", "caches"),
    ):
        shown = f"import sys; {code}; print('langchain_atoma.{absent}' in sys.modules)"
        ran = subprocess.run(  # noqa: S603
            [sys.executable, "-c", shown], check=True, capture_output=True, text=True
        )
        assert ran.stdout.strip() == "False"
