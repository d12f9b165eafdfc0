"""Real vector stores under both frameworks: indexed, filtered, indexed again, queried.

What opens them, and reads them past the frameworks, is tests/support/opened_stores.py.
"""

import hashlib
import json
import shutil
import socket
import tempfile
import uuid
from pathlib import Path

import faiss
import pytest
from langchain_core.documents import Document as LangChainDocument
from langchain_core.indexing import InMemoryRecordManager, index
from llama_index.core import Document, VectorStoreIndex
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.node_parser import SentenceSplitter
from llama_index.core.schema import MetadataMode, TextNode
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.vector_stores import (
    MetadataFilter,
    MetadataFilters,
    VectorStoreQuery,
)
from llama_index.vector_stores.faiss import FaissMapVectorStore
from opened_stores import (
    LANGCHAIN,
    LLAMA,
    ChromaStore,
    FaissStore,
    LanceStore,
    PostgresStore,
    QdrantStore,
)
from scripted import EMBEDDINGS, maker

import langchain_atoma
import llama_index_atoma
from atoma_confidential import VectorMismatchError
from atoma_local import BuiltInBackend

DIMENSIONS = 384
OTHER_DIMENSIONS = 64
NOTES = {
    f"{topic}-{number}": f"Note {number} is about the {topic}: {said}."
    for topic in ("launch", "budget", "staff")
    for number, said in enumerate(
        ("it is settled", "Ada asks for more", "nobody objects", "see you in May")
    )
}
CHANGED = {
    **{key: text for key, text in NOTES.items() if key != "staff-3"},
    "budget-1": "Note 1 is about the budget: Ada has what she asked for.",
    "launch-4": "Note 4 is about the launch: it moves to the 4th of May.",
}
NEW = sorted(set(CHANGED.values()) - set(NOTES.values()))


@pytest.fixture(autouse=True)
def _nothing_is_sent_elsewhere(monkeypatch):
    """No code in Python may look up a host; native code shows in no such way."""
    look_up = socket.getaddrinfo

    def local_only(host, *arguments, **options):
        assert host in {"127.0.0.1", "localhost", None}, host
        return look_up(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", local_only)


@pytest.fixture(scope="module")
def server():
    """A PostgreSQL with pgvector of our own; stopped at the end."""
    import pgserver

    # A folder that another user may enter: for root, the server runs as one.
    folder = Path(tempfile.mkdtemp(prefix="atoma-postgres-"))
    with pgserver.get_server(folder) as running:
        yield running
    shutil.rmtree(folder)


@pytest.fixture
def postgres(request):
    """The address of an empty database; whoever asks first starts the server."""
    running = request.getfixturevalue("server")
    running.psql(
        "DROP SCHEMA public CASCADE; CREATE SCHEMA public; CREATE EXTENSION vector"
    )
    return running.get_uri()


@pytest.fixture
def store(request, tmp_path):
    """What opens a store; called again, it closes it and opens it again."""
    kind = request.param
    address = request.getfixturevalue("postgres") if kind is PostgresStore else None
    opened = []

    def open_again():
        if opened:
            opened[-1].close()
        opened.append(kind(tmp_path / "store", address))
        return opened[-1]

    yield open_again
    opened[-1].close()


@pytest.fixture
def make_langchain():
    return maker(langchain_atoma.AtomaEmbeddings, model=EMBEDDINGS)


@pytest.fixture
def make_llama():
    return maker(llama_index_atoma.AtomaEmbeddings, model=EMBEDDINGS)


def by_name(kinds):
    return pytest.mark.parametrize(
        "store", kinds, indirect=True, ids=lambda kind: kind.__name__
    )


def documents_for_langchain(notes):
    return [
        LangChainDocument(text, metadata={"key": key, "topic": key.partition("-")[0]})
        for key, text in notes.items()
    ]


def documents_for_llama(notes):
    hidden = {"excluded_embed_metadata_keys": ["topic"]}
    return [
        Document(
            text=text, id_=key, metadata={"topic": key.partition("-")[0]}, **hidden
        )
        for key, text in notes.items()
    ]


def key_of(document):
    """An id that changes with the document, and is one for Qdrant too."""
    said = json.dumps([document.page_content, document.metadata], sort_keys=True)
    return str(uuid.UUID(bytes=hashlib.sha256(said.encode()).digest()[:16]))


def texts_of(opened):
    return sorted(text for text, _ in opened.kept())


def embedded(atoma):
    """The documents of all embedding calls so far."""
    bodies = [opened.body["input"] for opened in atoma.opened]
    texts = [text for texts in bodies for text in texts]
    return sorted(text for text in texts if text.startswith("Note "))


def ingest(vector_store, embed_model, notes, docstore=None):
    """Index with a splitter: without one, nodes do not know their documents."""
    IngestionPipeline(
        transformations=[SentenceSplitter(), embed_model],
        vector_store=vector_store,
        docstore=docstore,
        docstore_strategy=DocstoreStrategy.UPSERTS_AND_DELETE,
        disable_cache=True,
    ).run(documents=documents_for_llama(notes))


@by_name(LANGCHAIN)
def test_langchain_indexes_again_filters_and_reopens(
    store, atoma, make_langchain, no_plaintext
):
    no_plaintext(*NOTES.values(), *CHANGED.values())
    embeddings = make_langchain(atoma)
    records = InMemoryRecordManager("notes")

    def indexed(notes):
        opened = store()
        return opened, index(
            documents_for_langchain(notes),
            records,
            opened.langchain(embeddings, DIMENSIONS),
            cleanup="full",
            source_id_key="key",
            key_encoder=key_of,
        )

    indexed(NOTES)
    opened, done = indexed(CHANGED)

    counts = {"num_added": 2, "num_updated": 0, "num_skipped": 10, "num_deleted": 2}
    assert done == counts
    assert texts_of(opened) == sorted(CHANGED.values())
    assert embedded(atoma) == sorted([*NOTES.values(), *NEW])  # each of them once

    opened = store()
    vectors = opened.langchain(embeddings, DIMENSIONS)
    near = vectors.similarity_search("Ada asks for more", k=4, **opened.where("budget"))
    assert [document.metadata["topic"] for document in near] == ["budget"] * 4
    near = vectors.similarity_search("Which note moves to the 4th of May?", k=1)
    assert near[0].page_content == CHANGED["launch-4"]

    [moved] = documents_for_langchain({"launch-4": CHANGED["launch-4"]})
    vectors.delete([key_of(moved)])
    assert texts_of(opened) == sorted({*CHANGED.values()} - {CHANGED["launch-4"]})


@by_name(LLAMA)
def test_llama_index_indexes_again_filters_and_reopens(
    store, atoma, make_llama, no_plaintext
):
    no_plaintext(*NOTES.values(), *CHANGED.values())
    embed_model = make_llama(atoma)
    docstore = SimpleDocumentStore()

    for notes in (NOTES, CHANGED):
        opened = store()
        ingest(opened.llama(DIMENSIONS), embed_model, notes, docstore)
        assert texts_of(opened) == sorted(notes.values())
    assert embedded(atoma) == sorted([*NOTES.values(), *NEW])  # each of them once

    opened = store()
    indexed = VectorStoreIndex.from_vector_store(
        opened.llama(DIMENSIONS), embed_model=embed_model
    )
    budget = MetadataFilters(filters=[MetadataFilter(key="topic", value="budget")])
    near = indexed.as_retriever(similarity_top_k=4, filters=budget)
    topics = [item.metadata["topic"] for item in near.retrieve("Ada asks for more")]
    assert topics == ["budget"] * 4
    near = indexed.as_retriever(similarity_top_k=1)
    [found] = near.retrieve("Which note moves to the 4th of May?")
    assert found.get_content(MetadataMode.NONE) == CHANGED["launch-4"]

    indexed.delete_ref_doc("launch-4")
    assert texts_of(opened) == sorted({*CHANGED.values()} - {CHANGED["launch-4"]})


# What each says of vectors of another length, while adding and while searching.
LANGCHAIN_SAYS = {
    ChromaStore: ("expecting embedding with dimension of 384, got 64",) * 2,
    FaissStore: ("^$", "^$"),  # a bare AssertionError
    LanceStore: (
        "Cannot cast to FixedSizeList",
        r"query dim\(64\) doesn't match the column vector vector dim\(384\)",
    ),
    PostgresStore: ("expected 384 dimensions, not 64", "different vector dimensions"),
    QdrantStore: ("configured for dense vectors with 384 dimensions",) * 2,
}
LLAMA_SAYS = {
    **LANGCHAIN_SAYS,
    QdrantStore: ("expected dim: 384, got 64", "not aligned"),
}


@by_name(LANGCHAIN)
def test_langchain_with_vectors_of_another_length(store, atoma, make_langchain):
    store().langchain(make_langchain(atoma), DIMENSIONS).add_documents(
        documents_for_langchain(NOTES)
    )
    opened = store()
    shorter = make_langchain(atoma, dimensions=OTHER_DIMENSIONS)
    adding, searching = LANGCHAIN_SAYS[type(opened)]

    with pytest.raises(Exception, match=adding):
        opened.langchain(shorter, OTHER_DIMENSIONS).add_documents(
            documents_for_langchain(NOTES)
        )
    with pytest.raises(Exception, match=searching):
        opened.langchain(shorter, OTHER_DIMENSIONS).similarity_search("May", k=1)

    [(text, vector), *_] = opened.kept()
    with pytest.raises(VectorMismatchError, match=r"of 384 numbers, and .* gives 64"):
        shorter.check_vector(text, vector)


@by_name(LLAMA)
def test_llama_index_with_vectors_of_another_length(store, atoma, make_llama):
    ingest(store().llama(DIMENSIONS), make_llama(atoma), NOTES)
    opened = store()
    shorter = make_llama(atoma, dimensions=OTHER_DIMENSIONS)
    adding, searching = LLAMA_SAYS[type(opened)]

    with pytest.raises(Exception, match=adding):
        ingest(opened.llama(OTHER_DIMENSIONS), shorter, NOTES)
    indexed = VectorStoreIndex.from_vector_store(
        opened.llama(OTHER_DIMENSIONS), embed_model=shorter
    )
    with pytest.raises(Exception, match=searching):
        indexed.as_retriever().retrieve("May")

    [(text, vector), *_] = opened.kept()
    with pytest.raises(VectorMismatchError, match=r"of 384 numbers, and .* gives 64"):
        shorter.check_vector(text, vector)


class OtherModel(BuiltInBackend):
    """Vectors of the same length, and of another space."""

    def embed(self, body):
        answer = super().embed({**body, "encoding_format": "float"})
        for item in answer["data"]:
            item["embedding"] = item["embedding"][::-1]
        return answer


@by_name(LANGCHAIN)
def test_langchain_with_a_store_of_another_model(
    store, atoma, make_atoma, make_langchain
):
    opened = store()
    embeddings = make_langchain(atoma)
    opened.langchain(embeddings, DIMENSIONS).add_documents(
        documents_for_langchain(NOTES)
    )
    [(text, vector), *_] = opened.kept()
    embeddings.check_vector(text, vector)

    other = make_langchain(make_atoma(backend=OtherModel()))
    with pytest.raises(VectorMismatchError, match="is not the one that"):
        other.check_vector(text, vector)


@by_name(LLAMA)
def test_llama_index_with_a_store_of_another_model(
    store, atoma, make_atoma, make_llama
):
    opened = store()
    embed_model = make_llama(atoma)
    ingest(opened.llama(DIMENSIONS), embed_model, NOTES)
    [(text, vector), *_] = opened.kept()
    embed_model.check_vector(text, vector)

    other = make_llama(make_atoma(backend=OtherModel()))
    with pytest.raises(VectorMismatchError, match="is not the one that"):
        other.check_vector(text, vector)


def test_faiss_of_llama_index_has_no_filters_and_doubles_numbers_after_a_deletion():
    """Why the page builds it anew; if this fails, the page can be simplified."""
    topic = MetadataFilters(filters=[MetadataFilter(key="topic", value="budget")])
    asked = VectorStoreQuery(query_embedding=[1.0, 0.0], filters=topic)
    nodes = [TextNode(id_=name, text=name, embedding=[1.0, 0.0]) for name in "abcd"]
    store = FaissMapVectorStore(faiss.IndexIDMap2(faiss.IndexFlatIP(2)))

    store.add(nodes[:3])
    with pytest.raises(ValueError, match="filters not implemented"):
        store.query(asked)
    store.delete_nodes(["a"])
    store.add(nodes[3:])

    assert faiss.vector_to_array(store.client.id_map).tolist() == [1, 2, 2]
