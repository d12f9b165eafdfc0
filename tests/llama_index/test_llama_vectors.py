"""Embeddings as other parts of LlamaIndex use them, and answers in several shapes."""

import asyncio
import base64
import logging
import pickle
import struct
import threading

import pytest
from llama_index.core.rate_limiter import TokenBucketRateLimiter
from llama_index.core.schema import MetadataMode, TextNode
from llama_index.core.storage.kvstore import SimpleKVStore

from llama_index_atoma import AtomaEmbeddings, errors


@pytest.fixture
def model(scripted, make_embeddings):
    return make_embeddings(scripted, query_instruction="q: ", text_instruction="t: ")


def inputs(engine):
    return [body["input"] for body in engine.asked]


def test_several_queries_become_one_vector(model, engine):
    vector = model.get_agg_embedding_from_queries(["a", "bbb"])
    assert vector == [5.0, 1.0], "the mean of both"
    assert inputs(engine) == [["q: a"], ["q: bbb"]]
    other = asyncio.run(model.aget_agg_embedding_from_queries(["a", "bbb"]))
    assert other == vector


def test_a_nodes_metadata_is_embedded_unless_it_is_left_out(model, engine):
    node = TextNode(
        text="said",
        metadata={"file_path": "/home/me/diary.md", "topic": "bees"},
        excluded_embed_metadata_keys=["file_path"],
    )
    model([node])
    ((sent,),) = inputs(engine)
    assert sent == "t: " + node.get_content(MetadataMode.EMBED)
    assert "bees" in sent
    assert "diary" not in sent


@pytest.mark.parametrize("asked", ["base64", "float"])
@pytest.mark.parametrize("answered", ["base64", "float"])
def test_an_engine_may_answer_in_the_other_format(
    scripted, make_embeddings, engine, asked, answered
):
    vectors = {"a": [0.5, -0.25], "bb": [1.0, 0.0]}

    def embed(body):
        engine.asked.append(body)
        found = [vectors[text] for text in body["input"]]
        if answered == "base64":
            packed = [struct.pack("<2f", *vector) for vector in found]
            found = [base64.b64encode(data).decode() for data in packed]
        data = [{"index": n, "embedding": one} for n, one in enumerate(found)]
        usage = {"prompt_tokens": 1, "total_tokens": 1}
        return {"model": body["model"], "data": data, "usage": usage}

    engine.embed = embed
    model = make_embeddings(scripted, encoding_format=asked)
    assert model.get_text_embedding_batch(["a", "bb"]) == [*vectors.values()]
    assert engine.asked[-1]["encoding_format"] == asked


@pytest.mark.parametrize("fault", ["post-413", "post-400-context"])
def test_what_is_too_large_is_halved(scripted, make_embeddings, fault):
    scripted.faults.once(fault)
    model = make_embeddings(scripted)
    vectors = model.get_text_embedding_batch(["a", "bb", "ccc", "dddd"])
    assert [vector[0] for vector in vectors] == [1.0, 2.0, 3.0, 4.0]
    assert len(scripted.opened) == 2


@pytest.mark.parametrize("fault", ["embeddings-short", "embeddings-extra"])
def test_what_does_not_fit_is_refused_in_every_way(atoma, make_embeddings, fault):
    atoma.faults.always(fault)
    model = make_embeddings(atoma, max_retries=0, dimensions=384)
    for run in (
        lambda: model.get_query_embedding("a"),
        lambda: model.get_text_embedding_batch(["a", "b"]),
        lambda: asyncio.run(model.aget_query_embedding("a")),
        lambda: asyncio.run(model.aget_text_embedding_batch(["a", "b"])),
        lambda: model([TextNode(text="a")]),
        lambda: asyncio.run(model.acall([TextNode(text="a")])),
    ):
        with pytest.raises(errors.RemoteProtocolError):
            run()


@pytest.mark.parametrize(
    "fields",
    [
        {"embed_batch_size": 0},
        {"embed_batch_size": 2049},
        {"request_size": 0},
        {"request_bytes": 0},
        {"max_concurrency": 0},
        {"encoding_format": "hex"},
        {"dimension": 3},
    ],
)
def test_a_setting_that_cannot_be_used(fields):
    (name,) = fields
    with pytest.raises(errors.InvalidInputError, match=name):
        AtomaEmbeddings(model_name="e", api_key="k", **fields)


def test_async_embedding_leaves_the_loop_to_others(make_atoma, make_embeddings, engine):
    released = threading.Event()
    in_time = []

    class Waiting:
        models = engine.models

        async def embed(self, body):
            in_time.append(await asyncio.to_thread(released.wait, 5))
            return engine.embed(body)

    model = make_embeddings(make_atoma(backend=Waiting()))

    async def run(call):
        released.clear()
        task = asyncio.create_task(call)
        await asyncio.sleep(0.05)
        released.set()  # by this loop, which is free while the node waits
        await task

    asyncio.run(run(model.aget_text_embedding("x")))
    asyncio.run(run(model.aget_query_embedding("x")))
    asyncio.run(run(model.aget_text_embedding_batch(["x"])))
    assert in_time == [True, True, True]


class Keeping(SimpleKVStore):
    """A store that cannot be pickled, as those of databases."""

    def __init__(self):
        super().__init__()
        self.lock = threading.Lock()


def test_what_cannot_be_pickled_is_left_out_and_said(monkeypatch, caplog):
    # Core deletes it from the object itself: it was gone there as well.
    monkeypatch.setenv("ATOMA_API_KEY", "k")
    caplog.set_level(logging.WARNING)
    limiter = TokenBucketRateLimiter(requests_per_minute=60)
    store = Keeping()
    model = AtomaEmbeddings(
        model_name="e", rate_limiter=limiter, embeddings_cache=store
    )
    twin = pickle.loads(pickle.dumps(model))
    assert (twin.rate_limiter, twin.embeddings_cache) == (None, None)
    assert model.rate_limiter is limiter
    assert model.embeddings_cache is store
    assert "rate_limiter" in caplog.text
    assert "embeddings_cache" in caplog.text


def test_an_async_cache_is_asked_asynchronously(model, engine):
    class Async(SimpleKVStore):
        def get(self, *args, **kwargs):
            raise AssertionError("not in a loop")

        put = get

        async def aget(self, key, collection="data"):
            await asyncio.sleep(0)
            return super().get(key, collection)

        async def aput(self, key, val, collection="data"):
            await asyncio.sleep(0)
            super().put(key, val, collection)

    model.embeddings_cache = Async()

    async def run():
        first = await model.aget_text_embedding_batch(["a", "bb"])
        assert await model.aget_text_embedding_batch(["a", "bb"]) == first

    asyncio.run(run())
    assert len(engine.asked) == 1
