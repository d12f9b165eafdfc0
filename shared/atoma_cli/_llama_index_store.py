"""Passages as LlamaIndex keeps them: a pipeline, its document store, and Qdrant."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import llama_index.core
from llama_index.core import QueryBundle, VectorStoreIndex
from llama_index.core.ingestion import DocstoreStrategy, IngestionPipeline
from llama_index.core.schema import TextNode
from llama_index.core.settings import Settings
from llama_index.core.storage.docstore import SimpleDocumentStore
from llama_index.core.storage.docstore.keyval_docstore import (
    DEFAULT_METADATA_COLLECTION_SUFFIX,
    DEFAULT_NAMESPACE,
)
from llama_index.vector_stores.qdrant import QdrantVectorStore
from llama_index_instrumentation import root_manager

from ._index import BATCH, COLLECTION, UNREADABLE, Refreshed, drop_unrecorded
from ._index_dir import damaged, unwritable
from ._llama_index_models import silent_manager
from ._passages import Passage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from llama_index.core.embeddings import BaseEmbedding
    from llama_index.core.schema import BaseNode
    from qdrant_client import QdrantClient

__all__ = ["open_store"]


_RECORDED = f"{DEFAULT_NAMESPACE}{DEFAULT_METADATA_COLLECTION_SUFFIX}"


class _Records:
    """Which passages are stored: a document store without their texts, in a file."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / "docstore.json"
        self.docstore = self._load()

    def keys(self) -> set[str]:
        return {*self.docstore.to_dict().get(_RECORDED, {})}

    def forget(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.docstore.delete_document(key, raise_error=False)  # there is no text
        self.save()

    def save(self) -> None:
        # A kill while it is being written must not cost the records there were.
        unfinished = self._path.with_suffix(".new")
        try:
            self.docstore.persist(str(unfinished))
            unfinished.replace(self._path)
        except OSError as error:
            raise unwritable(self._directory, error.strerror) from None

    def _load(self) -> SimpleDocumentStore:
        if not self._path.exists():
            return SimpleDocumentStore()
        try:
            found = SimpleDocumentStore.from_persist_path(str(self._path))
            found.get_all_document_hashes()  # looks into all of it
        except OSError as error:
            raise unwritable(self._directory, error.strerror) from None
        except UNREADABLE:
            raise damaged(self._directory) from None
        return found


class _Store:
    def __init__(
        self, vectors: QdrantVectorStore, records: _Records, embeddings: BaseEmbedding
    ) -> None:
        self._vectors = vectors
        self._records = records
        # Without a model and transformations named, each of the two would make
        # OpenAI's models, and a splitter that loads a tokenizer.
        self._pipeline = IngestionPipeline(
            transformations=[embeddings],
            vector_store=vectors,
            docstore=records.docstore,
            docstore_strategy=DocstoreStrategy.UPSERTS,
            disable_cache=True,  # it would hold every passage, in memory
        )
        self._index = VectorStoreIndex.from_vector_store(
            vectors, embed_model=embeddings, transformations=[embeddings]
        )

    def refresh(
        self, passages: Sequence[Passage], on_progress: Callable[[int], None]
    ) -> Refreshed:
        # The pipeline records what it has stored at the end of a run, in memory. So
        # each batch is a run, and is saved: that is all a kill can cost. And so what is
        # gone is removed here: a run would take all other batches for gone.
        embedded = 0
        for start in range(0, len(passages), BATCH):
            on_progress(start)
            nodes = [_node(passage) for passage in passages[start : start + BATCH]]
            if stored := self._pipeline.run(nodes=nodes, store_doc_text=False):
                self._records.save()
                embedded += len(stored)
        removed = self._remove_all_but({passage.key for passage in passages})
        on_progress(len(passages))
        return Refreshed(embedded, len(passages) - embedded, removed)

    def nearest(self, vector: list[float], k: int) -> list[Passage]:
        retriever = self._index.as_retriever(similarity_top_k=k)
        found = retriever.retrieve(QueryBundle("", embedding=vector))
        return [_passage(scored.node) for scored in found]

    def _remove_all_but(self, kept: set[str]) -> int:
        if gone := self._records.keys() - kept:
            self._records.forget(gone)
            drop_unrecorded(self._vectors.client, kept)
        return len(gone)


@contextlib.contextmanager
def open_store(
    directory: Path,
    client: QdrantClient,
    dimensions: int,  # noqa: ARG001  the store takes those of its first vector
    *,
    embeddings: BaseEmbedding,
) -> Iterator[_Store]:
    """Open what LlamaIndex keeps in `directory`; see `OpenStore`."""
    records = _Records(directory)
    if gone := drop_unrecorded(client, records.keys()):
        records.forget(gone)  # or its passage would not be embedded again
    vectors = QdrantVectorStore(
        COLLECTION,
        client=client,
        batch_size=BATCH,
        index_doc_id=False,  # only Qdrant's server has such an index
    )
    with _untraced():
        yield _Store(vectors, records, embeddings)


@contextlib.contextmanager
def _untraced() -> Iterator[None]:
    """Keep passages from handlers that something else has put into this process.

    The models emit nothing to them by themselves, but pipelines and retrievers do:
    through each dispatcher there is, and through the global handler.
    """
    dispatchers = [*root_manager.dispatchers.values()]
    kept = [(one, one.event_handlers, one.span_handlers) for one in dispatchers]
    shared = llama_index.core.global_handler
    manager = Settings._callback_manager  # noqa: SLF001 - the getter would make one
    for one in dispatchers:
        one.event_handlers, one.span_handlers = [], []
    llama_index.core.global_handler = None
    Settings._callback_manager = silent_manager()  # noqa: SLF001 - likewise
    try:
        yield
    finally:
        for one, events, spans in kept:
            one.event_handlers, one.span_handlers = events, spans
        llama_index.core.global_handler = shared
        Settings._callback_manager = manager  # noqa: SLF001 - likewise


def _node(passage: Passage) -> TextNode:
    # Its metadata would be embedded with the text: names of files, and pages.
    return TextNode(
        id_=passage.key,
        text=passage.text,
        metadata=passage.place,
        excluded_embed_metadata_keys=[*passage.place],
    )


def _passage(node: BaseNode) -> Passage:
    return Passage.at(node.metadata, node.get_content())
