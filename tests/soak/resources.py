"""What this process holds: memory, descriptors, threads, objects."""

import gc
import os
import threading
from dataclasses import dataclass
from pathlib import Path

_SELF = Path("/proc/self")
_MEBIBYTE = 1 << 20


@dataclass(frozen=True, slots=True)
class Resources:
    """One reading.

    Attributes:
        rss: Resident memory in MiB.
        descriptors: Open files and sockets.
        threads: Of Python.
        objects: That the collector knows.
    """

    rss: float
    descriptors: int
    threads: int
    objects: int


def read():
    """Read after a collection; Linux alone tells all of it."""
    if not _SELF.exists():
        raise SystemExit("The soak reads /proc, which only Linux has.")
    gc.collect()
    pages = int((_SELF / "statm").read_text().split()[1])
    rss = pages * os.sysconf("SC_PAGE_SIZE") / _MEBIBYTE
    # One of them is the listing's own.
    descriptors = sum(1 for _ in (_SELF / "fd").iterdir()) - 1
    return Resources(rss, descriptors, threading.active_count(), len(gc.get_objects()))
