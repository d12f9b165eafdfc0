"""Embeddings over HTTP and the sealed path."""

import asyncio
import copy
import pickle
import sys
import types

import pytest
from langchain_core.documents import Document
from langchain_core.exceptions import ModelError
from langchain_core.indexing import InMemoryRecordManager, index
from langchain_core.vectorstores import InMemoryVectorStore

from atoma_confidential import VectorMismatchError
from atoma_confidential.known_models import query_instruction_of
from langchain_atoma import AtomaEmbeddings, errors

TEXTS = [f"passage number {n}" for n in range(7)]


@pytest.fixture
def scripted_embeddings(scripted, make_embeddings):
    return make_embeddings(scripted)


def test_sync_and_async_agree(embeddings, canary):
    texts = [canary, *TEXTS]
    vectors = embeddings.embed_documents(texts)
    assert len(vectors) == len(texts)
    assert asyncio.run(embeddings.aembed_documents(texts)) == vectors
    assert embeddings.embed_query(canary) == vectors[0]
    assert asyncio.run(embeddings.aembed_query(canary)) == vectors[0]


def test_both_encodings_give_the_same_vectors(atoma, make_embeddings, canary):
    as_base64 = make_embeddings(atoma).embed_query(canary)
    as_floats = make_embeddings(atoma, encoding_format="float").embed_query(canary)
    assert as_base64 == pytest.approx(as_floats, abs=1e-6)
    formats = [opened.body["encoding_format"] for opened in atoma.opened]
    assert formats == ["base64", "float"]


def test_the_order_is_that_of_the_texts(atoma, make_embeddings, canary):
    embeddings = make_embeddings(atoma)
    expected = embeddings.embed_documents([canary, *TEXTS])
    atoma.faults.always("embeddings-reversed")
    assert embeddings.embed_documents([canary, *TEXTS]) == expected


@pytest.mark.parametrize(
    "fault", ["embeddings-missing", "embeddings-duplicate", "embeddings-nan"]
)
def test_vectors_that_cannot_be_right_are_refused(atoma, embeddings, canary, fault):
    atoma.faults.always(fault)
    with pytest.raises(errors.RemoteProtocolError) as caught:
        embeddings.embed_documents([canary, *TEXTS])
    assert isinstance(caught.value, ModelError)


def test_the_length_of_vectors_is_what_was_asked_for(atoma, make_embeddings, canary):
    embeddings = make_embeddings(atoma, dimensions=64)
    assert len(embeddings.embed_query(canary)) == 64
    atoma.faults.always("embeddings-short")
    with pytest.raises(errors.RemoteProtocolError, match="another length"):
        embeddings.embed_query(canary)


@pytest.mark.parametrize("run", ["sync", "async"])
def test_batches(scripted_embeddings, engine, canary, run):
    texts = [canary, *TEXTS]
    embeddings = scripted_embeddings.model_copy(update={"chunk_size": 3})
    if run == "sync":
        vectors = embeddings.embed_documents(texts)
    else:
        vectors = asyncio.run(embeddings.aembed_documents(texts))
    assert [vector[0] for vector in vectors] == [len(text) for text in texts]
    assert sorted(len(body["input"]) for body in engine.asked) == [2, 3, 3]
    engine.asked.clear()
    embeddings.embed_documents(texts, chunk_size=8)
    assert [len(body["input"]) for body in engine.asked] == [8]
    engine.asked.clear()
    small = embeddings.model_copy(update={"max_chunk_bytes": 40})
    small.embed_documents(texts)
    assert max(len(body["input"]) for body in engine.asked) == 2


def test_nothing_to_embed_sends_nothing(scripted_embeddings, scripted):
    assert scripted_embeddings.embed_documents([]) == []
    assert asyncio.run(scripted_embeddings.aembed_documents([])) == []
    assert scripted_embeddings.last_verdict is None
    assert scripted.exchanges == []


@pytest.mark.parametrize("instruction", ["", "passage: "])
def test_empty_texts_are_refused_by_index(
    scripted, make_embeddings, engine, canary, instruction
):
    embeddings = make_embeddings(scripted, text_instruction=instruction)
    with pytest.raises(errors.InvalidInputError, match="empty: 1, 3") as caught:
        embeddings.embed_documents([canary, "", "x", " \n"])
    assert canary not in str(caught.value)
    with pytest.raises(ValueError, match="empty: 0"):
        embeddings.embed_query("")
    assert engine.asked == []


@pytest.mark.parametrize("instruction", ["", "passage: "])
@pytest.mark.parametrize("foreign", [b"bytes", None, 5])
def test_what_is_no_text_is_refused_by_index(
    scripted, make_embeddings, engine, canary, instruction, foreign
):
    instructions = {"text_instruction": instruction, "query_instruction": instruction}
    embeddings = make_embeddings(scripted, **instructions)
    with pytest.raises(errors.InvalidInputError, match="not strings: 1") as caught:
        embeddings.embed_documents([canary, foreign])
    assert canary not in str(caught.value)
    with pytest.raises(errors.InvalidInputError, match="not strings: 0"):
        embeddings.embed_query(foreign)
    with pytest.raises(errors.InvalidInputError, match="not strings: 0"):
        asyncio.run(embeddings.aembed_query(foreign))
    assert engine.asked == []


def test_instructions_stand_before_texts(scripted, make_embeddings, engine, canary):
    embeddings = make_embeddings(
        scripted, query_instruction="Instruct: Find\nQuery: ", text_instruction="p: "
    )
    embeddings.embed_query(canary)
    embeddings.embed_documents([canary])
    asyncio.run(embeddings.aembed_query(canary))
    asyncio.run(embeddings.aembed_documents([canary]))
    query, document = f"Instruct: Find\nQuery: {canary}", f"p: {canary}"
    inputs = [body["input"] for body in engine.asked]
    assert inputs == [[query], [document], [query], [document]]


@pytest.mark.parametrize(
    ("fields", "before"),
    [
        ({}, query_instruction_of("intfloat/multilingual-e5-large-instruct")),
        ({"query_instruction": ""}, ""),
        ({"query_instruction": "query: "}, "query: "),
        ({"model": "meta-llama/Llama-3.1-8B-Instruct"}, ""),
    ],
)
def test_what_a_known_model_was_trained_with_is_put_before_a_query(
    scripted, make_embeddings, engine, fields, before
):
    model = make_embeddings(scripted, **fields)
    model.embed_query("q")
    asyncio.run(model.aembed_query("q"))
    model.embed_documents(["t"])
    inputs = [body["input"] for body in engine.asked]
    assert inputs == [[f"{before}q"], [f"{before}q"], ["t"]]


def test_parameters_reach_the_engine(scripted, make_embeddings, engine, canary):
    fields = {
        "dimensions": 2,
        "user": "u1",
        "extra_body": {"truncate_prompt_tokens": 9},
    }
    make_embeddings(scripted, **fields).embed_query(canary)
    (body,) = engine.asked
    assert body["dimensions"] == 2
    assert body["user"] == "u1"
    assert body["truncate_prompt_tokens"] == 9


def test_blinded_replies_hold_one_more_text(scripted, make_embeddings, engine, canary):
    embeddings = make_embeddings(scripted, blind_replies=True)
    assert len(embeddings.embed_documents([canary, "another"])) == 2
    assert len(engine.asked[0]["input"]) == 3


def test_the_verdict_of_the_last_call(embeddings, canary):
    assert embeddings.last_verdict is None
    embeddings.embed_query(canary)
    assert embeddings.last_verdict.sealed
    assert embeddings.last_verdict.assurance == "proxy_asserted"
    assert embeddings.last_verdicts == (embeddings.last_verdict,)


def test_a_failed_batch_says_which_texts(atoma, make_embeddings, canary):
    atoma.faults.once("tag-tampered", skip=1)
    embeddings = make_embeddings(atoma, chunk_size=2, max_concurrency=1, max_retries=0)
    with pytest.raises(errors.OpenError) as caught:
        embeddings.embed_documents([canary, *TEXTS])
    assert caught.value.indices == range(2, 4)
    assert isinstance(caught.value, ModelError)


@pytest.mark.parametrize("run", ["sync", "async"])
def test_progress_is_shown(scripted, make_embeddings, monkeypatch, canary, run):
    shown = []

    class Bar:
        def __init__(self, total):
            shown.append(("total", total))

        def __enter__(self):
            return self

        def __exit__(self, *_error):
            shown.append(("closed",))

        def update(self, count):
            shown.append(("done", count))

    monkeypatch.setitem(sys.modules, "tqdm", types.ModuleType("tqdm"))
    auto = types.ModuleType("tqdm.auto")
    auto.tqdm = Bar
    monkeypatch.setitem(sys.modules, "tqdm.auto", auto)
    embeddings = make_embeddings(scripted, show_progress_bar=True, chunk_size=2)
    texts = [canary, "two", "three"]
    if run == "sync":
        embeddings.embed_documents(texts)
    else:
        asyncio.run(embeddings.aembed_documents(texts))
    assert shown[0] == ("total", 3)
    assert sorted(shown[1:-1]) == [("done", 1), ("done", 2)]
    assert shown[-1] == ("closed",)


def test_progress_needs_tqdm(scripted, make_embeddings, engine, monkeypatch):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setitem(sys.modules, "tqdm.auto", None)
    with pytest.raises(ImportError, match="needs tqdm"):
        make_embeddings(scripted, show_progress_bar=True).embed_query("x")
    assert engine.asked == []


def test_unknown_fields_and_empty_models_are_refused(atoma, make_embeddings):
    with pytest.raises(ValueError, match="dimension"):
        make_embeddings(atoma, dimension=3)
    with pytest.raises(errors.InvalidInputError, match="model is empty"):
        make_embeddings(atoma, model=" ")
    with pytest.raises(errors.InvalidInputError, match="at least 1"):
        make_embeddings(atoma, chunk_size=0).embed_query("x")
    with pytest.raises(errors.MissingCredentialsError):
        AtomaEmbeddings(model="m")


def test_pickled_without_the_key(atoma, embeddings, monkeypatch, canary):
    embeddings.embed_query(canary)
    pickled = pickle.dumps(embeddings)
    assert atoma.api_key.encode() not in pickled
    monkeypatch.setenv("ATOMA_API_KEY", atoma.api_key)
    assert pickle.loads(pickled).embed_query(canary) == embeddings.embed_query(canary)
    assert copy.deepcopy(embeddings).embed_query(canary)


def test_several_event_loops(embeddings, canary):
    first, *rest = (asyncio.run(embeddings.aembed_query(canary)) for _ in range(3))
    assert rest == [first, first]


def test_a_vector_store_and_the_indexing_api(embeddings, canary):
    store = InMemoryVectorStore(embeddings)
    records = InMemoryRecordManager("test")
    records.create_schema()
    documents = [
        Document(f"{canary} lives in Bern", metadata={"source": "a"}),
        Document("Glaciers are melting", metadata={"source": "b"}),
    ]

    def indexed():
        return index(
            documents, records, store, source_id_key="source", key_encoder="sha256"
        )

    assert indexed()["num_added"] == 2
    assert indexed()["num_skipped"] == 2
    (found,) = store.similarity_search("Who lives in Bern?", k=1)
    assert found.page_content == documents[0].page_content


async def test_a_vector_of_this_model_is_told_from_any_other(embeddings, canary):
    vector = (await embeddings.aembed_documents([canary]))[0]

    embeddings.check_vector(canary, vector)
    await embeddings.acheck_vector(canary, vector)
    with pytest.raises(VectorMismatchError, match="gives 384"):
        embeddings.check_vector(canary, vector[:100])
    with pytest.raises(VectorMismatchError, match="not the one"):
        await embeddings.acheck_vector(canary, vector[::-1])
