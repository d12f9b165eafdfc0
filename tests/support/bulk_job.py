"""One bulk index, however often its program or a worker of it is killed."""

import operator
import os
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from hashlib import blake2b
from pathlib import Path

import lancedb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from atoma_local.embedder import embed_text

PROGRAM = Path(__file__).parents[2] / "examples" / "bulk_index" / "bulk_index.py"
DIMENSIONS = 64
WORKER = b"MapBatches(Embed)"
_PATIENCE = 150.0  # seconds for anything that must come


class Job:
    """The program of examples/bulk_index over some passages.

    Args:
        texts: The passages.
        folder: For the source and the table.
        atoma: Whom it asks.
        *options: Of the program.
    """

    def __init__(self, texts, folder, atoma, *options):
        self.index = folder / "index"
        source = folder / "passages.parquet"
        pq.write_table(pa.table({"text": texts}), source, row_group_size=1000)
        self._command = [sys.executable, PROGRAM, source, self.index, *options]
        self._command += ["--dimensions", str(DIMENSIONS)]
        self._environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith("RAY_")},
            "ATOMA_BASE_URL": atoma.base_url,
            "ATOMA_API_KEY": atoma.api_key,
            "RAY_worker_niceness": "0",  # it would wait for whatever else runs
        }

    @contextmanager
    def running(self, *more):
        """Run it, with more options; nothing of it is left when the block ends."""
        # Not below pytest's folders: the path of a Unix socket is short.
        with tempfile.TemporaryDirectory(
            prefix="ray", dir="/tmp", ignore_cleanup_errors=True
        ) as sessions:
            run = Run([*self._command, *more], self._environment, Path(sessions))
            try:
                yield run
            finally:
                run.kill()

    def stored(self):
        """Return the table's ids and texts, and its vectors in the same order."""
        if not any((self.index / "passages.lance" / "_versions").glob("*.manifest")):
            return [], [], np.zeros((0, DIMENSIONS), np.float32)
        rows = lancedb.connect(self.index).open_table("passages").to_arrow()
        vectors = rows["vector"].combine_chunks().flatten().to_numpy()
        texts = rows["text"].to_pylist()
        return rows["id"].to_pylist(), texts, vectors.reshape(-1, DIMENSIONS)

    def faults(self, texts):
        """Count what is wrong with the table of these passages, no two alike."""
        ids, stored, vectors = self.stored()
        right = np.array([_engines(text) for text in stored], np.float32)
        named = [blake2b(text.encode(), digest_size=16).hexdigest() for text in stored]
        return {
            "missing": len({*texts} - {*stored}),
            "doubled": len(stored) - len({*stored}),
            "never asked for": len({*stored} - {*texts}),
            "under another id": sum(map(operator.ne, ids, named)),
            "other vectors": int(
                (vectors != right.reshape(vectors.shape)).any(1).sum()
            ),
        }


class Run:
    """One life of the program.

    Args:
        command: What to run.
        environment: For it and all that it starts.
        sessions: Where its Ray writes.
    """

    def __init__(self, command, environment, sessions):
        self.sessions = sessions
        self._said = sessions / "said"
        with self._said.open("w") as said:
            self._process = subprocess.Popen(  # noqa: S603  a program of our own
                command,
                env=environment | {"RAY_TMPDIR": str(sessions)},
                stdout=said,
                stderr=subprocess.STDOUT,
            )

    @property
    def said(self):
        """All that it printed so far."""
        return self._said.read_text()

    @property
    def ended(self):
        """Whether it has."""
        return self._process.poll() is not None

    def wait(self):
        """Return its exit status, when it has ended by itself."""
        return self._process.wait(_PATIENCE)

    def until(self, happened):
        """Wait for something; return whether it came before the program's end."""
        end = time.monotonic() + _PATIENCE
        while not (found := happened()):
            if self.ended:
                return False
            if time.monotonic() > end:
                raise TimeoutError(self.said)
            time.sleep(0.001)
        return bool(found)

    def workers(self):
        """Return the processes of the workers that embed."""
        return [one for one in self._descendants() if WORKER in _command_of(one)]

    def kill_worker(self, rng):
        """Kill one of the workers; return whether there was one."""
        if not (workers := self.workers()):
            return False
        _kill(rng.choice(workers))
        return True

    def kill(self):
        """Kill the program, and wait until its Ray has noticed and sends nothing."""
        self._process.send_signal(signal.SIGSTOP)  # it gets no further while we look
        started = self._descendants()
        workers = self.workers()
        self._process.kill()
        self._process.wait()
        end = time.monotonic() + _PATIENCE
        while (sending := [*filter(_lives, workers)]) and time.monotonic() < end:
            time.sleep(0.01)
        if sending:
            raise TimeoutError("Workers outlive their driver.")
        for one in started:  # others take longer to notice
            _kill(one)

    def _descendants(self):
        children = {}
        for one in Path("/proc").glob("[0-9]*"):
            children.setdefault(_parent_of(one.name), []).append(int(one.name))
        found = [self._process.pid]
        for one in found:  # it grows
            found += children.get(one, [])
        return found[1:]


def _parent_of(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return 0
    return int(stat.rpartition(b")")[2].split()[1])


def _command_of(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def _lives(pid):
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b")")[2].split()[0] != b"Z"


def _kill(pid):
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _engines(text):
    """Return what the engine says of a passage."""
    return embed_text(text, dimensions=DIMENSIONS)
