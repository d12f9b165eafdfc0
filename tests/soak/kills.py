"""Indexing that is killed, and resumed, until it is done.

    python tests/soak/kills.py --kills 50 --seed 7

Runs the two programs of docs/reliability.md, with SIGKILL at random moments. Prints
what was counted; exits with 1 if a vector is missing, doubled or another one than
without kills, or if something was embedded again that was recorded.
"""

import argparse
import json
import multiprocessing
import os
import random
import sqlite3
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import recipes
from qdrant_client import QdrantClient

from atoma_local import LocalAtoma

FRAMEWORKS = ("langchain", "llama-index")
MUST_BE_ZERO = (
    "kills that cost more than a batch",
    "recorded texts embedded again",
    "jobs that ended otherwise",
)
_PATIENCE = 300.0  # seconds that a program may take for all


class Job:
    """One index, however often its program is killed.

    Args:
        framework: Whose program.
        code: The program.
        directory: Where it runs.
        atoma: What it asks.
    """

    def __init__(self, framework, code, directory, atoma):
        self.framework = framework
        self._code = code
        self._directory = directory
        self._atoma = atoma
        self._records = directory / f"index-{framework}.records"
        self._environment = {
            "ATOMA_BASE_URL": atoma.base_url,
            "ATOMA_API_KEY": atoma.api_key,
        }

    def run(self, kill_after=None, delay=0.0):
        """Run it to its end, or to its death.

        Args:
            kill_after: Requests that the node has opened; None to let it live.
            delay: Seconds from then on.

        Returns:
            The exit status, or None if it was killed; the texts the node opened.
        """
        self._atoma.opened.clear()
        context = multiprocessing.get_context("forkserver")
        process = context.Process(
            target=recipes.run,
            args=(self._code, str(self._directory), self._environment),
        )
        process.start()
        end = time.monotonic() + _PATIENCE
        while process.is_alive() and time.monotonic() < end:
            if kill_after is not None and len(self._atoma.opened) >= kill_after:
                process.join(delay)
                break
            process.join(0.002)
        killed = process.is_alive()
        process.kill()
        process.join()
        texts = [text for one in self._atoma.opened for text in one.body["input"]]
        return (None if killed else process.exitcode), texts

    def stored(self):
        """Return the vectors in the store: by their ids, with their texts."""
        client = QdrantClient(path=str(self._directory / f"index-{self.framework}"))
        try:
            if not client.collection_exists("passages"):
                return {}
            points, _ = client.scroll("passages", limit=10**6, with_vectors=True)
        finally:
            client.close()
        return {
            one.id: (_text(one.payload), _document(one), one.vector) for one in points
        }

    def recorded(self):
        """Return the ids that the framework's records hold, as they are on disk."""
        if not self._records.exists():
            return set()
        if self.framework == "llama-index":
            return {*json.loads(self._records.read_text())["docstore/metadata"]}
        try:
            with sqlite3.connect(self._records) as records:
                found = records.execute("SELECT key FROM upsertion_record").fetchall()
        except sqlite3.OperationalError:  # killed before there was a table
            return set()
        return {key for (key,) in found}


def _text(payload):
    if "page_content" in payload:
        return payload["page_content"]
    return json.loads(payload["_node_content"])["text"]


def _document(point):
    """What the records call a point: itself, or the document it is of."""
    return point.payload.get("doc_id") or point.id


def killed(framework, *, kills, passages, rng, atoma):
    """Kill the program of a framework so many times; return what was counted."""
    code = recipes.recipe(framework, passages)
    counts = Counter()
    with tempfile.TemporaryDirectory() as directory:
        right = _undisturbed(Job(framework, code, Path(directory), atoma), passages)
    while counts["kills"] < kills:
        with tempfile.TemporaryDirectory() as directory:
            job = Job(framework, code, Path(directory), atoma)
            _until_done(job, kills, rng, counts)
            counts["jobs"] += 1
            counts["jobs that ended otherwise"] += job.stored() != right
    return counts


def _undisturbed(job, passages):
    status, texts = job.run()
    stored = job.stored()
    if status != 0 or len({text for text, *_ in stored.values()}) != passages:
        raise SystemExit(f"Without a kill the program ended with {status}.")
    if len(texts) != passages:
        raise SystemExit("Without a kill a text was embedded twice, or never.")
    return stored


def _until_done(job, kills, rng, counts):
    texts = []
    while True:
        stored, recorded = job.stored(), job.recorded()
        known = {text for text, name, _ in stored.values() if name in recorded}
        loose = {text for text, *_ in stored.values()} - known
        counts["kills between vectors and records"] += bool(loose)
        lost = len({*texts} - known)
        counts["kills that cost more than a batch"] += lost > recipes.BATCH
        plan = {}
        if counts["kills"] < kills:
            # Also before the first request, and while a batch is being stored.
            plan = {"kill_after": rng.randrange(7), "delay": rng.uniform(0, 0.3)}
        status, texts = job.run(**plan)
        counts["texts embedded"] += len(texts)
        counts["stored texts embedded again"] += len(loose.intersection(texts))
        counts["recorded texts embedded again"] += len(known.intersection(texts))
        if status is not None or not plan:
            counts["jobs that ended otherwise"] += status != 0
            return
        counts["kills"] += 1
        counts["kills before a request"] += not texts
        print(".", end="", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=50, help="of both frameworks")
    parser.add_argument("--passages", type=int, default=2000)
    parser.add_argument("--seed", default=str(int(time.time())))
    options = parser.parse_args()
    # Its server looks for what it is to import here; Python 3.11 does not tell it.
    os.environ["PYTHONPATH"] = str(Path(__file__).parent)
    multiprocessing.get_context("forkserver").set_forkserver_preload(["recipes"])
    print(f"seed {options.seed}, {options.passages} passages, {recipes.BATCH} a batch")
    failed = False
    for framework in FRAMEWORKS:
        share = options.kills // 2
        if framework == FRAMEWORKS[0]:
            share = options.kills - share
        rng = random.Random(f"{options.seed} {framework}")
        with LocalAtoma() as atoma:
            counts = killed(
                framework,
                kills=share,
                passages=options.passages,
                rng=rng,
                atoma=atoma,
            )
        print(f"\n\n{framework}")
        for name in (
            "kills",
            "kills before a request",
            "kills between vectors and records",
            "jobs",
            "texts embedded",
            "stored texts embedded again",
            *MUST_BE_ZERO,
        ):
            print(f"  {name + ':':<36}{counts[name]:>8}", flush=True)
        failed |= any(counts[name] for name in MUST_BE_ZERO)
    print("FAILED" if failed else "passed")
    sys.exit(failed)


if __name__ == "__main__":
    main()
