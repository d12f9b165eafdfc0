"""The LanceDB table of a bulk index: what it holds is the record of what is done."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

import lancedb
import numpy as np
import pyarrow as pa
from lancedb.index import BTree

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TABLE = "passages"
MODEL = b"model"
COMMITS_PER_TIDYING = 50
KEPT = timedelta(hours=1)  # old versions, for who reads them


class Table:
    """Passages with their ids and vectors, in a folder.

    Args:
        folder: Where; nobody else writes there meanwhile.
        model: Whose vectors are added.

    Attributes:
        model: Whose vectors it holds; None if it is new.
        dimensions: How long they are; likewise.
    """

    def __init__(self, folder: Path, model: str) -> None:
        self._database = lancedb.connect(folder)
        self._adding = model
        self._table: Any = None
        self._commits = 0
        self.model = self.dimensions = None
        try:
            self._table = self._database.open_table(TABLE)
        except ValueError as error:
            # Also where a run was killed that had made its folder, and nothing in it.
            if "not found" not in str(error):
                raise
            return
        schema = self._table.schema
        self.model = (schema.metadata or {}).get(MODEL, b"another program").decode()
        self.dimensions = schema.field("vector").type.list_size
        self.tidy()

    def ids(self) -> Iterator[list[str]]:
        """Yield the ids of all passages that have their vector."""
        if self._table is not None:
            for batch in self._table.search().select(["id"]).to_batches():
                yield batch["id"].to_pylist()

    def add(self, rows: pa.Table) -> int:
        """Commit rows, all of them or none, and return how many were new.

        The id decides: however often a passage comes, it is here once.
        """
        length = rows.schema.field("vector").type.list_size
        if self.dimensions not in {None, length}:
            raise SystemExit(
                f"The table has vectors of {self.dimensions} numbers, and these have "
                f"{length}: pass --dimensions {self.dimensions}, or another folder."
            )
        if self._table is None:
            schema = rows.schema.with_metadata({MODEL: self._adding})
            self._table = self._database.create_table(TABLE, schema=schema)
        if self._commits % COMMITS_PER_TIDYING == 0:
            self.tidy()
        self._commits += 1
        # Merging looks for what is there already, and not for twins among the new.
        _, firsts = np.unique(rows["id"].to_numpy(), return_index=True)
        merge = self._table.merge_insert("id").when_not_matched_insert_all()
        added: int = merge.execute(rows.take(firsts)).num_inserted_rows
        return added

    def tidy(self) -> None:
        """Join the small files that commits leave, and bring the ids' index up to date.

        Without it a commit takes longer the more of them there were.
        """
        if self._table is None:
            return
        if not self._table.list_indices():
            self._table.create_index("id", config=BTree())
        self._table.optimize(cleanup_older_than=KEPT)
