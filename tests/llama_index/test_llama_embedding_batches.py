"""Embeddings in batches: how they are cut, how many are under way, which one failed."""

import asyncio
import contextlib

import pytest
from llama_embeds import atext_batch, inputs, text_batch

from llama_index_atoma import errors


@pytest.fixture
def model(scripted, make_embeddings):
    return make_embeddings(scripted, query_instruction="")


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
    text_batch(make_embeddings(make_atoma(backend=busy)), ["x"] * 2048)
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
