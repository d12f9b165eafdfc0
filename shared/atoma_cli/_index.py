"""The index of a folder: passages, vectors and records, in clear, on this disk.

Each batch is written to Qdrant and then recorded, so a run that is killed goes on
where it stopped. A passage is keyed by its text and its place; whatever the folder no
longer holds is removed at the end of a run.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import pickle
import sqlite3
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING

import sqlalchemy
from langchain_classic.indexes import SQLRecordManager
from langchain_core.indexing import index
from langchain_qdrant import QdrantVectorStore
from qdrant_client import QdrantClient, models

from ._console import CommandError
from ._index_dir import check_model, damaged, prepare, unwritable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from langchain_core.documents import Document
    from langchain_core.embeddings import Embeddings
    from langchain_core.indexing import RecordManager

__all__ = [
    "PassageIndex",
    "Refreshed",
    "open_index",
]

BATCH = 256
"""Passages embedded, stored and recorded at a time: what a kill can cost."""

_COLLECTION = "passages"


# What loading its own damaged files lets Qdrant raise.
_UNREADABLE = (
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What one run changed in the index, in passages."""

    embedded: int
    unchanged: int
    removed: int


class PassageIndex:
    """Passages that can be searched by vector."""

    def __init__(self, store: QdrantVectorStore, records: RecordManager) -> None:
        self._store = store
        self._records = records

    def refresh(
        self, passages: Sequence[Document], on_progress: Callable[[int], None]
    ) -> Refreshed:
        """Make the index hold exactly these passages, embedding only new ones.

        Args:
            passages: All passages of the folder.
            on_progress: Called with the number of passages that are safely stored.
        """
        counts = index(
            _announced(passages, on_progress),
            self._records,
            self._store,
            batch_size=BATCH,
            cleanup="full",
            source_id_key="source",
            key_encoder=_key,
        )
        self._drop_unrecorded()
        on_progress(len(passages))
        return Refreshed(
            counts["num_added"], counts["num_skipped"], counts["num_deleted"]
        )

    def nearest(self, vector: list[float], k: int) -> list[Document]:
        """Return the `k` passages whose vectors are closest, best first."""
        return self._store.similarity_search_by_vector(vector, k=k)

    def _drop_unrecorded(self) -> None:
        # A run killed between storing and recording leaves points no cleanup knows.
        keys = self._records.list_keys()
        client = self._store.client
        if client.count(_COLLECTION).count == len(keys):
            return
        recorded = models.HasIdCondition(has_id=[*keys])
        client.delete(
            _COLLECTION,
            models.FilterSelector(filter=models.Filter(must_not=[recorded])),
        )


@contextlib.contextmanager
def open_index(
    directory: Path, embeddings: Embeddings, *, model: str, dimensions: int
) -> Iterator[PassageIndex]:
    """Open the index in `directory`, making it on the first run.

    Args:
        directory: Where the index is kept. Opening one that somebody else made can
            run their code: Qdrant's embedded mode stores pickles.
        embeddings: What embeds the passages that are new.
        model: The name of the embedding model, to be found again on later runs.
        dimensions: The length of the vectors this model gives.

    Raises:
        CommandError: It was made with another model, is in use, or is damaged.
    """
    check_model(directory, model)
    prepare(directory, model, dimensions)
    with (
        _damage_reported(directory),
        contextlib.closing(_open_vectors(directory)) as client,
        _opened_records(directory) as records,
    ):
        _prepare_collection(client, records, dimensions)
        store = QdrantVectorStore(
            client, _COLLECTION, embeddings, validate_collection_config=False
        )
        yield PassageIndex(store, records)


def _announced(
    passages: Sequence[Document], on_progress: Callable[[int], None]
) -> Iterator[Document]:
    for position, passage in enumerate(passages):
        if position % BATCH == 0:
            # The next batch is asked for, so everything before it is stored.
            on_progress(position)
        yield passage


def _key(passage: Document) -> str:
    identity = json.dumps([passage.page_content, passage.metadata], sort_keys=True)
    digest = hashlib.blake2b(identity.encode(), digest_size=16).digest()
    return str(uuid.UUID(bytes=digest))  # Qdrant takes UUIDs, not digests


def _prepare_collection(
    client: QdrantClient, records: SQLRecordManager, dimensions: int
) -> None:
    records.create_schema()
    if client.collection_exists(_COLLECTION):
        return
    # Records of vectors that are gone would keep their passages from coming back.
    records.delete_keys(records.list_keys())
    client.create_collection(
        _COLLECTION,
        vectors_config=models.VectorParams(
            size=dimensions, distance=models.Distance.COSINE
        ),
    )


def _open_vectors(directory: Path) -> QdrantClient:
    try:
        return QdrantClient(path=str(directory / "qdrant"))
    except RuntimeError:
        raise CommandError(
            f"The index in {directory} is in use by another run.",
            "Wait for it to end, or give this run its own with --index-dir.",
        ) from None
    except (*_UNREADABLE, sqlite3.DatabaseError):
        raise damaged(directory) from None


@contextlib.contextmanager
def _opened_records(directory: Path) -> Iterator[SQLRecordManager]:
    url = sqlalchemy.URL.create("sqlite", database=str(directory / "records.sqlite"))
    engine = sqlalchemy.create_engine(url)
    try:
        yield SQLRecordManager(_COLLECTION, engine=engine)
    finally:
        engine.dispose()


@contextlib.contextmanager
def _damage_reported(directory: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        raise unwritable(directory, str(error)) from None
    except sqlalchemy.exc.OperationalError as error:
        # Its own text shows the statement with all that was to be stored.
        raise unwritable(directory, str(error.orig)) from None
    except (sqlite3.DatabaseError, sqlalchemy.exc.DatabaseError):
        raise damaged(directory) from None
