"""Bulk indexing on Ray whose workers and driver are killed until it is done.

    python tests/soak/bulk.py --kills 10 --passages 100000 --seed 7
    python tests/soak/bulk.py --measure 1 2 4 --passages 20000

Runs examples/bulk_index. Prints what was counted; exits with 1 if a vector is missing,
doubled or another one than the engine's, or if something was embedded again that was
recorded.
"""

import argparse
import random
import re
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

from atoma_local import LocalAtoma

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from bulk_job import Job

WORDS = ("archive", "balloon", "budget", "canal", "copper", "ledger", "meadow", "shelf")
SHOWN = (
    "kills",
    "kills of workers",
    "kills of the driver",
    "kills within a commit",
    "passages embedded",
)
MUST_BE_ZERO = (
    "recorded passages embedded again",
    "missing",
    "doubled",
    "never asked for",
    "under another id",
    "other vectors",
    "runs that ended otherwise",
)
BATCH = 100
PROGRESS = re.compile(r"^([\d,]+) of [\d,]+, ", re.MULTILINE)


def corpus(count, rng):
    """Return passages of about 160 bytes, no two alike."""
    return [
        f"Passage {number}: {' '.join(rng.choices(WORDS, k=20))}."
        for number in range(count)
    ]


class Siege:
    """A job that is killed so many times.

    Args:
        job: What is killed.
        atoma: Whom it asks.
        rng: When, and what of it.
        kills: How often.
        gap: Requests between two kills, at the most.
    """

    def __init__(self, job, atoma, rng, *, kills, gap):
        self._job = job
        self._atoma = atoma
        self._rng = rng
        self._kills = kills
        self._gap = gap
        self.counts = Counter()

    def run(self):
        """Run it as often as it takes."""
        while True:
            recorded = {*self._job.stored()[1]}
            self._atoma.opened.clear()
            with self._job.running() as run:
                killed = self._until_killed(run)
                status = None if killed else run.wait()
                said = run.said
            sent = [text for one in self._atoma.opened for text in one.body["input"]]
            self.counts["passages embedded"] += len(sent)
            again = recorded.intersection(sent)
            self.counts["recorded passages embedded again"] += len(again)
            if not killed:
                self.counts["runs that ended otherwise"] += status != 0
                if status:
                    print(said)
                return

    def _until_killed(self, run):
        """Return whether the driver was killed, after any number of workers."""
        while self.counts["kills"] < self._kills:
            aim = len(self._atoma.opened) + self._rng.randrange(1, self._gap)
            if not run.until(lambda aim=aim: len(self._atoma.opened) >= aim):
                return False
            if self._rng.random() < 0.5:
                if not run.kill_worker(self._rng):
                    continue
                self.counts["kills of workers"] += 1
            else:
                self._kill_driver(run)
                self.counts["kills of the driver"] += 1
            self.counts["kills"] += 1
            print(".", end="", flush=True)
            if run.ended:
                return True
        return False

    def _kill_driver(self, run):
        """Kill it anywhere, or else when a commit, of which it is a part, begins."""
        within = self._rng.random() < 0.5
        files, versions = self._files("data"), self._files("_versions")
        if within:
            run.until(lambda: self._files("data") - files)
        run.kill()
        halfway = within and self._files("_versions") == versions
        self.counts["kills within a commit"] += halfway

    def _files(self, kind):
        folder = self._job.index / "passages.lance" / kind
        return {one.name for one in folder.iterdir()} if folder.exists() else set()


def besieged(kills, passages, rng):
    """Return what was counted of a job that was killed so many times."""
    texts = corpus(passages, rng)
    gap = 2 * passages // BATCH // (kills + 2)
    with tempfile.TemporaryDirectory() as folder, LocalAtoma() as atoma:
        job = Job(texts, Path(folder), atoma)
        siege = Siege(job, atoma, rng, kills=kills, gap=max(2, gap))
        siege.run()
        siege.counts.update(job.faults(texts))
    return siege.counts


def measured(workers, passages, rng):
    """Return the passages a second between the first commit and the last."""
    with tempfile.TemporaryDirectory() as folder, LocalAtoma() as atoma:
        job = Job(corpus(passages, rng), Path(folder), atoma, "--workers", str(workers))
        with job.running() as run:
            first, begun = _commits(run, 1)
            run.until(lambda: f"{passages:,} of {passages:,}, " in run.said)
            took = time.monotonic() - begun
            if run.wait():
                raise SystemExit(run.said)
    return (passages - first) / took


def _commits(run, count):
    """Return how many passages so many commits recorded, and when that was."""
    run.until(lambda: len(PROGRESS.findall(run.said)) >= count)
    done = PROGRESS.findall(run.said)[count - 1]
    return int(done.replace(",", "")), time.monotonic()


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--passages", type=int, default=100_000)
    parser.add_argument("--seed", default=str(int(time.time())))
    parser.add_argument("--measure", type=int, nargs="+", help="workers; kill nothing")
    options = parser.parse_args()
    rng = random.Random(options.seed)
    print(f"seed {options.seed}, {options.passages:,} passages", flush=True)
    if options.measure:
        for workers in options.measure:
            rate = measured(workers, options.passages, rng)
            print(f"{workers} workers: {rate:,.0f} passages a second", flush=True)
        return
    counts = besieged(options.kills, options.passages, rng)
    print()
    for name in (*SHOWN, *MUST_BE_ZERO):
        print(f"{name + ':':<36}{counts[name]:>10,}")
    failed = any(counts[name] for name in MUST_BE_ZERO)
    print("FAILED" if failed else "passed")
    sys.exit(failed)


if __name__ == "__main__":
    main()
