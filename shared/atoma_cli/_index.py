"""The index of a folder: passages, vectors and records, in clear, on this disk.

Vectors are in an embedded Qdrant, whatever the framework; which passages are done is
in the framework's own records beside it. Each batch is stored and then recorded, so a
run that is killed goes on where it stopped. What it left half done, vectors without a
record or the reverse, is dropped when the index is opened again.
"""

from __future__ import annotations

import contextlib
import pickle
import sqlite3
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from qdrant_client import QdrantClient

from ._console import CommandError
from ._index_dir import damaged, prepare, unwritable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path

    from ._index_dir import Maker
    from ._passages import Passage

__all__ = [
    "BATCH",
    "COLLECTION",
    "UNREADABLE",
    "OpenStore",
    "PassageIndex",
    "Refreshed",
    "drop_unrecorded",
    "open_index",
]

BATCH = 256
"""Passages embedded, stored and recorded at a time: what a kill can cost."""

COLLECTION = "passages"

UNREADABLE = (
    AttributeError,
    EOFError,
    ImportError,
    LookupError,
    TypeError,
    ValueError,
    pickle.UnpicklingError,
)
"""What loading their own damaged files lets Qdrant and LlamaIndex raise."""


@dataclass(frozen=True, slots=True)
class Refreshed:
    """What one run changed in the index, in passages."""

    embedded: int
    unchanged: int
    removed: int


class PassageIndex(Protocol):
    """Passages that can be searched by vector."""

    def refresh(
        self, passages: Sequence[Passage], on_progress: Callable[[int], None]
    ) -> Refreshed:
        """Make the index hold exactly these passages, embedding only new ones.

        Args:
            passages: All passages of the folder.
            on_progress: Called with the number of passages that are safely stored.
        """

    def nearest(self, vector: list[float], k: int) -> list[Passage]:
        """Return the `k` passages whose vectors are closest, best first."""


class OpenStore(Protocol):
    """How a framework keeps passages in Qdrant and its records in `directory`."""

    def __call__(
        self, directory: Path, client: QdrantClient, dimensions: int
    ) -> AbstractContextManager[PassageIndex]:
        """Open the records, and drop what has no record or no vector."""


@contextlib.contextmanager
def open_index(
    directory: Path, open_store: OpenStore, maker: Maker, dimensions: int
) -> Iterator[PassageIndex]:
    """Open the index in `directory`, making it on the first run.

    Args:
        directory: Where the index is kept. Opening one that somebody else made can
            run their code: Qdrant's embedded mode stores pickles.
        open_store: The framework's part of it.
        maker: What makes the index, to be found again on later runs.
        dimensions: The length of the vectors the model gives.

    Raises:
        CommandError: It was made with something else, is in use, or is damaged.
    """
    prepare(directory, maker, dimensions)
    try:
        with (
            contextlib.closing(_open_vectors(directory)) as client,
            open_store(directory, client, dimensions) as index,
        ):
            yield index
    except sqlite3.OperationalError as error:
        raise unwritable(directory, str(error)) from None
    except sqlite3.DatabaseError:
        raise damaged(directory) from None


def drop_unrecorded(client: QdrantClient, recorded: set[str]) -> set[str]:
    """Delete the vectors that have no record; return the records without a vector."""
    stored: set[str] = set()
    if client.collection_exists(COLLECTION):
        count = client.count(COLLECTION).count
        points, _ = client.scroll(COLLECTION, limit=count or 1, with_payload=False)
        stored = {str(point.id) for point in points}
    if unrecorded := stored - recorded:
        client.delete(COLLECTION, [*unrecorded])
    return recorded - stored


def _open_vectors(directory: Path) -> QdrantClient:
    try:
        return QdrantClient(path=str(directory / "qdrant"))
    except RuntimeError:
        raise CommandError(
            f"The index in {directory} is in use by another run.",
            "Wait for it to end, or give this run its own with --index-dir.",
        ) from None
    except (*UNREADABLE, sqlite3.DatabaseError):
        raise damaged(directory) from None
