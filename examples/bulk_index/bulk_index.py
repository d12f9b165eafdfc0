"""Embeds a corpus into a LanceDB table with Ray Data, and goes on where it was killed.

    python bulk_index.py passages.parquet index --workers 4 --rate 2000

A passage is a row of Parquet, or a line of a text file. What it says makes its id, and
a row is in the table with its vector or not at all: so the table itself is the record
of what is done, and a passage that it holds is not sent again.
"""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
import secrets
import sys
import time
from contextlib import contextmanager
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Ray reads these when it is imported. Its ports are open to the network: without a
# token, whoever reaches one runs code where the key and the passages are.
os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
OWN_RAY = "RAY_ADDRESS" not in os.environ
if OWN_RAY:
    os.environ["RAY_AUTH_MODE"] = "token"
    os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)

import numpy as np
import pyarrow as pa
import ray
from pyarrow.dataset import dataset
from ray.data import ActorPoolStrategy, DataContext
from ray.exceptions import RayActorError, RayTaskError

from atoma_confidential import ConfidentialError
from langchain_atoma import AtomaEmbeddings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

MODEL = "intfloat/multilingual-e5-large-instruct"
ID = np.dtype("S16")
OBJECT_STORE_BYTES = 512 * 2**20
GO_ON = "What was recorded is kept: run it again to go on."
RETRIES = 8  # a job of days meets more busy minutes than a person at a prompt


def passage_id(text: str) -> str:
    """Return what names a passage: 128 bits of what it says, and of nothing else."""
    return blake2b(text.encode(), digest_size=ID.itemsize).hexdigest()


def packed(ids: Sequence[str]) -> np.ndarray:
    """Return ids in half the space."""
    return np.frombuffer(bytes.fromhex("".join(ids)), ID)


def unrecorded(rows: pa.Table, *, column: str, recorded: ray.ObjectRef) -> pa.Table:
    """Return `id` and `text` of the passages that have no vector yet.

    Args:
        rows: As they were read.
        column: Where their text is; what is blank there can have no vector.
        recorded: The sorted ids of the table.
    """
    texts = [text for text in rows[column].to_pylist() if text and not text.isspace()]
    ids = [passage_id(text) for text in texts]
    asked, known = packed(ids), ray.get(recorded)
    places = np.searchsorted(known, asked)
    found = places < len(known)
    found[found] = known[places[found]] == asked[found]
    columns = {"id": pa.array(ids, pa.string()), "text": pa.array(texts, pa.string())}
    return pa.table(columns).filter(pa.array(~found))


class Pace:
    """Says when to send, so that all workers together keep to a rate.

    Args:
        rate: Passages a second.
        clock: Seconds that only grow.
    """

    def __init__(
        self, rate: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._rate = rate
        self._clock = clock
        self._free = 0.0

    def reserve(self, passages: int) -> float:
        """Return in how many seconds so many passages may be sent."""
        now = self._clock()
        begin = max(self._free, now)
        self._free = begin + passages / self._rate
        return begin - now


class Embed:
    """A worker, which seals passages and opens their vectors.

    It is made where it works, and finds the key in the environment there: what travels
    to it through Ray has no secret in it.

    Args:
        pace: A `Pace` that all workers ask; None for none.
        embeddings: What `AtomaEmbeddings` is made with.
    """

    def __init__(self, pace: Any, embeddings: dict[str, Any]) -> None:
        self._pace = pace
        self._embeddings = AtomaEmbeddings(**embeddings)

    def __call__(self, rows: pa.Table) -> pa.Table:
        """Return the rows with their vectors."""
        texts = rows["text"].to_pylist()
        if self._pace is not None:
            time.sleep(ray.get(self._pace.reserve.remote(len(texts))))
        vectors = np.array(self._embeddings.embed_documents(texts), np.float32)
        column = pa.FixedSizeListArray.from_arrays(vectors.ravel(), vectors.shape[1])
        return rows.append_column("vector", column)


@contextmanager
def only_writer(folder: Path) -> Iterator[None]:
    """Keep other runs out of a folder; a run that is killed lets go of it."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            sys.exit(f"Another run writes to {folder}: wait until it has ended.")
        yield


@contextmanager
def running_ray() -> Iterator[None]:
    """Use the cluster at `RAY_ADDRESS`, or else a Ray of this machine for this run."""
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.WARNING}
    own = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    ray.init(**quiet, **(own if OWN_RAY else {}))
    logging.getLogger("ray.data").setLevel(logging.CRITICAL)  # we tell it in a sentence
    DataContext.get_current().enable_progress_bars = False
    try:
        yield
    finally:
        ray.shutdown()


def count(options: argparse.Namespace) -> int | None:
    """Return how many rows of Parquet there are; None for text."""
    if options.lines:
        return None
    try:
        source = dataset(options.source, format="parquet")
    except FileNotFoundError:
        sys.exit(f"There is no {options.source}.")
    if options.column not in source.schema.names:
        sys.exit(f"--column is one of {', '.join(source.schema.names)}.")
    return source.count_rows()


def read(options: argparse.Namespace) -> ray.data.Dataset:
    """Return the passages, which are read as they are needed."""
    if options.lines:
        return ray.data.read_text(options.source).rename_columns(
            {"text": options.column}
        )
    return ray.data.read_parquet(options.source).select_columns([options.column])


def check(table: Any, options: argparse.Namespace) -> None:
    """Refuse to put vectors beside those of another model, or of another length."""
    if table.model not in {None, options.model}:
        sys.exit(f"{options.index} is of {table.model}: name another folder.")
    if options.dimensions and table.dimensions not in {None, options.dimensions}:
        sys.exit(
            f"{options.index} has vectors of {table.dimensions} numbers: pass "
            f"--dimensions {table.dimensions}, or name another folder."
        )


def embedded(recorded: np.ndarray, options: argparse.Namespace) -> ray.data.Dataset:
    """Return the missing rows, which are embedded as they are asked for."""
    pace = None
    if options.rate:
        survivor = {"num_cpus": 0, "max_restarts": -1, "max_task_retries": -1}
        pace = ray.remote(**survivor)(Pace).remote(options.rate)
    at_once = options.batch_size * options.requests  # what a killed worker can cost
    return (
        read(options)
        .map_batches(
            unrecorded,
            fn_kwargs={"column": options.column, "recorded": ray.put(recorded)},
            batch_format="pyarrow",
        )
        .repartition(target_num_rows_per_block=at_once)
        .map_batches(
            Embed,
            fn_constructor_kwargs={"pace": pace, "embeddings": of_model(options)},
            batch_size=at_once,
            batch_format="pyarrow",
            compute=ActorPoolStrategy(size=options.workers),
            num_cpus=0,  # they wait for the network
        )
    )


def of_model(options: argparse.Namespace) -> dict[str, Any]:
    """Return what `AtomaEmbeddings` is made with."""
    return {
        "model": options.model,
        "dimensions": options.dimensions,
        "chunk_size": options.batch_size,
        "max_concurrency": options.requests,
        "max_retries": RETRIES,
    }


def run(options: argparse.Namespace) -> None:
    """Embed what is missing, and tell how far it is."""
    # What cannot work is said before anything is started.
    AtomaEmbeddings(**of_model(options))
    total = count(options)
    of_all = "" if total is None else f" of {total:,}"
    with only_writer(options.index), running_ray():
        from table import Table  # noqa: PLC0415  LanceDB minds forks: Ray has forked

        table = Table(options.index, options.model)
        check(table, options)
        ids = [packed([]), *map(packed, table.ids())]
        recorded = np.sort(np.concatenate(ids))
        done, begun = len(recorded), time.monotonic()
        print(f"{done:,}{of_all} passages are recorded", flush=True)
        rows = embedded(recorded, options)
        for batch in rows.iter_batches(
            batch_size=options.commit, batch_format="pyarrow", prefetch_batches=0
        ):
            done += table.add(batch)
            pace = (done - len(recorded)) / (time.monotonic() - begun)
            print(f"{done:,}{of_all}, {pace:,.0f}/s", flush=True)
        table.tidy()
    print(f"done: {done:,} vectors in {options.index}")


def at_least_one(text: str) -> int:
    """Return a count that is given as an argument."""
    if (number := int(text)) < 1:
        raise ValueError
    return number


def not_negative(text: str) -> float:
    """Return a rate that is given as an argument."""
    if not (number := float(text)) >= 0:  # which NaN is not either
        raise ValueError
    return number


def arguments() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("source", help="Parquet: a file, a folder or an address")
    parser.add_argument("index", type=Path, help="the folder of the table")
    parser.add_argument("--column", default="text", help="where the passages are")
    parser.add_argument("--lines", action="store_true", help="text files: by line")
    parser.add_argument("--model", default=MODEL)
    parser.add_argument("--dimensions", type=at_least_one)
    parser.add_argument("--workers", type=at_least_one, default=2)
    parser.add_argument("--requests", type=at_least_one, default=4, help="of a worker")
    parser.add_argument("--batch-size", type=at_least_one, default=100)
    parser.add_argument("--commit", type=at_least_one, default=2000, help="passages")
    parser.add_argument(
        "--rate", type=not_negative, default=0.0, help="passages a second"
    )
    return parser.parse_args()


def main() -> None:
    """Run until all is recorded, or say in a sentence why not."""
    try:
        run(arguments())
    except KeyboardInterrupt:
        sys.exit(f"Stopped. {GO_ON}")
    except ConfidentialError as error:
        sys.exit(str(error))
    except RayTaskError as error:
        if not isinstance(error.cause, ConfidentialError):
            raise
        sys.exit(f"{error.cause} {GO_ON}")
    except RayActorError:
        sys.exit(
            "No worker can start: install atoma-confidential, and set ATOMA_API_KEY, "
            "on each machine of the cluster; Ray's logs say more."
        )


if __name__ == "__main__":
    main()
