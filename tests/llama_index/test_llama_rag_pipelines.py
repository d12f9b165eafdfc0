"""Ingestion in several processes: with a cache, a docstore and a store of vectors.

Workers are other processes: they hold a copy of the model that was pickled without its
key, and read the key from their environment.
"""

import asyncio
from pathlib import Path

import llama_index.core
import pytest
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.ingestion import IngestionCache, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.storage.kvstore import SimpleKVStore
from llama_index.vector_stores.qdrant import QdrantVectorStore
from qdrant_client import AsyncQdrantClient, QdrantClient

from llama_index_atoma import errors

DOCUMENTS = {
    "harbour.md": "The harbour of Vessendorf was dredged to eleven metres in 1987.",
    "bakery.md": "The bakery on Linden Square sells rye bread from six o'clock on.",
    "tower.md": "The clock tower has stood still since a lightning strike.",
    "garden.md": "Tomatoes in the abbey garden ripen in late August.",
}
QUESTION = "How deep was the harbour of Vessendorf dredged?"

# Of Qdrant's embedded store, about what only its server has.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Payload indexes have no effect"),
    pytest.mark.usefixtures("workers_environment"),
]


@pytest.fixture
def workers_environment(monkeypatch, atoma):
    """What workers need: a key, and the tokenizer that core brings along."""
    static = Path(llama_index.core.__file__).parent / "_static"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(static / "tiktoken_cache"))
    monkeypatch.setenv("ATOMA_API_KEY", atoma.api_key)
    monkeypatch.setenv("ATOMA_BASE_URL", atoma.base_url)


@pytest.fixture
def documents():
    return [Document(text=text, id_=name) for name, text in DOCUMENTS.items()]


@pytest.fixture(params=["run", "arun"])
def ingest(request):
    """Run a pipeline in two processes."""

    def run(pipeline, documents):
        if request.param == "run":
            return pipeline.run(documents=documents, num_workers=2)
        return asyncio.run(pipeline.arun(documents=documents, num_workers=2))

    run.way = request.param
    return run


@pytest.fixture
def store(tmp_path):
    # Two stores, in truth: what is added by one of the clients, that one finds.
    client, aclient = (
        QdrantClient(path=str(tmp_path / "q")),
        AsyncQdrantClient(":memory:"),
    )
    yield QdrantVectorStore("notes", client=client, aclient=aclient)
    client.close()


def make_pipeline(embeddings, **options):
    return IngestionPipeline(
        transformations=[SentenceSplitter(chunk_overlap=0), embeddings], **options
    )


def embedded(atoma):
    """Texts that the node was asked to embed."""
    return [
        text
        for opened in atoma.opened
        if opened.path.endswith("embeddings")
        for text in opened.body["input"]
    ]


def test_cache_docstore_and_workers(
    documents, embeddings, chat, atoma, store, ingest, no_plaintext
):
    no_plaintext(*DOCUMENTS.values(), QUESTION)
    pipeline = make_pipeline(
        embeddings,
        cache=IngestionCache(),
        docstore=SimpleDocumentStore(),
        vector_store=store,
    )
    nodes = ingest(pipeline, documents)
    assert sorted(embedded(atoma)) == sorted(DOCUMENTS.values())
    assert [len(node.embedding) for node in nodes] == [384] * 4
    index = VectorStoreIndex.from_vector_store(store, embed_model=embeddings)
    engine = index.as_query_engine(llm=chat, similarity_top_k=1)
    if ingest.way == "run":
        answer = engine.query(QUESTION)
    else:
        answer = asyncio.run(engine.aquery(QUESTION))
    assert "eleven metres" in str(answer)
    asked = len(embedded(atoma))
    changed = Document(text="The harbour is shallow.", id_="harbour.md")
    (node,) = ingest(pipeline, [changed, *documents[1:]])
    assert node.text == changed.text, "known documents are left alone"
    assert embedded(atoma)[asked:] == [changed.text]


@pytest.mark.parametrize("ingest", ["arun"], indirect=True)
def test_what_workers_have_cached_is_used_again(documents, embeddings, atoma, ingest):
    pipeline = make_pipeline(embeddings, cache=IngestionCache())
    first = ingest(pipeline, documents)
    asked = len(embedded(atoma))
    assert asked == 4
    again = ingest(pipeline, documents)
    assert len(embedded(atoma)) == asked
    assert [n.embedding for n in again] == [n.embedding for n in first]


def test_a_workers_failure_is_ours_and_no_hang(documents, embeddings, atoma, ingest):
    atoma.faults.always("post-400")
    with pytest.raises(errors.InvalidRequestError) as caught:
        ingest(make_pipeline(embeddings), documents)
    assert caught.value.status == 400
    assert caught.value.exposure is errors.Exposure.SEALED
    assert atoma.api_key not in str(caught.value) + repr(caught.value.__cause__)
    assert not any(text in repr(caught.value.__cause__) for text in DOCUMENTS.values())


@pytest.mark.parametrize("ingest", ["arun"], indirect=True)
def test_a_worker_without_a_key_says_so(documents, embeddings, monkeypatch, ingest):
    monkeypatch.delenv("ATOMA_API_KEY")
    with pytest.raises(errors.MissingCredentialsError, match="ATOMA_API_KEY"):
        ingest(make_pipeline(embeddings), documents)


@pytest.mark.parametrize("ingest", ["arun"], indirect=True)
def test_workers_may_be_given_a_cache_of_vectors(
    documents, make_embeddings, atoma, ingest
):
    cache = SimpleKVStore()
    model = make_embeddings(atoma, embeddings_cache=cache)
    model.get_text_embedding_batch(list(DOCUMENTS.values()))
    asked = len(embedded(atoma))
    nodes = ingest(make_pipeline(model), documents)
    assert [len(node.embedding) for node in nodes] == [384] * 4
    assert len(embedded(atoma)) == asked, "each worker has a copy of what was known"
