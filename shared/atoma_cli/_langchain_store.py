"""Passages as LangChain keeps them: its indexing API, records in SQLite, and Qdrant."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import sqlalchemy
from langchain_classic.indexes import SQLRecordManager
from langchain_core.documents import Document
from langchain_core.indexing import index
from langchain_qdrant import QdrantVectorStore
from qdrant_client import models

from ._index import BATCH, COLLECTION, Refreshed, drop_unrecorded
from ._index_dir import damaged, unwritable
from ._passages import Passage

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from langchain_core.embeddings import Embeddings
    from langchain_core.indexing import RecordManager
    from qdrant_client import QdrantClient

__all__ = ["open_store"]


class _Store:
    def __init__(self, vectors: QdrantVectorStore, records: RecordManager) -> None:
        self._vectors = vectors
        self._records = records

    def refresh(
        self, passages: Sequence[Passage], on_progress: Callable[[int], None]
    ) -> Refreshed:
        counts = index(
            _announced(passages, on_progress),
            self._records,
            self._vectors,
            batch_size=BATCH,
            cleanup="full",
            source_id_key="source",
            key_encoder=lambda document: _passage(document).key,
        )
        on_progress(len(passages))
        return Refreshed(
            counts["num_added"], counts["num_skipped"], counts["num_deleted"]
        )

    def nearest(self, vector: list[float], k: int) -> list[Passage]:
        found = self._vectors.similarity_search_by_vector(vector, k=k)
        return [_passage(document) for document in found]


@contextlib.contextmanager
def open_store(
    directory: Path, client: QdrantClient, dimensions: int, *, embeddings: Embeddings
) -> Iterator[_Store]:
    """Open what LangChain keeps in `directory`; see `OpenStore`."""
    with _damage_reported(directory), _opened_records(directory) as records:
        if not client.collection_exists(COLLECTION):
            client.create_collection(
                COLLECTION,
                vectors_config=models.VectorParams(
                    size=dimensions, distance=models.Distance.COSINE
                ),
            )
        if gone := drop_unrecorded(client, {*records.list_keys()}):
            # Such a record would keep its passage from being embedded again.
            records.delete_keys([*gone])
        yield _Store(
            QdrantVectorStore(
                client, COLLECTION, embeddings, validate_collection_config=False
            ),
            records,
        )


def _announced(
    passages: Sequence[Passage], on_progress: Callable[[int], None]
) -> Iterator[Document]:
    for position, passage in enumerate(passages):
        if position % BATCH == 0:
            # The next batch is asked for, so everything before it is stored.
            on_progress(position)
        yield Document(passage.text, metadata=passage.place)


def _passage(document: Document) -> Passage:
    return Passage.at(document.metadata, document.page_content)


@contextlib.contextmanager
def _opened_records(directory: Path) -> Iterator[SQLRecordManager]:
    url = sqlalchemy.URL.create("sqlite", database=str(directory / "records.sqlite"))
    engine = sqlalchemy.create_engine(url)
    try:
        records = SQLRecordManager(COLLECTION, engine=engine)
        records.create_schema()
        yield records
    finally:
        engine.dispose()


@contextlib.contextmanager
def _damage_reported(directory: Path) -> Iterator[None]:
    try:
        yield
    except sqlalchemy.exc.OperationalError as error:
        # Its own text shows the statement with all that was to be stored.
        raise unwritable(directory, str(error.orig)) from None
    except sqlalchemy.exc.DatabaseError:
        raise damaged(directory) from None
