"""What this process holds: memory, descriptors, threads, objects."""

import ctypes
import gc
import os
import threading
import tracemalloc
from dataclasses import dataclass
from pathlib import Path

_SELF = Path("/proc/self")
_MEBIBYTE = 1 << 20
_FRAMES, _LINES = 12, 8


@dataclass(frozen=True, slots=True)
class Resources:
    """One reading.

    Attributes:
        rss: Resident memory in MiB, after what is free was given back.
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
    # Threads that come and go leave holes in their arenas, which are no leak.
    ctypes.CDLL(None).malloc_trim(0)
    pages = int((_SELF / "statm").read_text().split()[1])
    rss = pages * os.sysconf("SC_PAGE_SIZE") / _MEBIBYTE
    # One of them is the listing's own.
    descriptors = sum(1 for _ in (_SELF / "fd").iterdir()) - 1
    return Resources(rss, descriptors, threading.active_count(), len(gc.get_objects()))


class Growth:
    """Which lines take more memory than when it was first asked."""

    def __init__(self):
        self._first = None

    def tell(self):
        """Print the worst of them; the first time, begin to watch."""
        if self._first is None:
            tracemalloc.start(_FRAMES)
            self._first = tracemalloc.take_snapshot()
            return
        now = tracemalloc.take_snapshot()
        for one in now.compare_to(self._first, "traceback")[:_LINES]:
            print(f"{one.size_diff / 1024:.0f} KiB more in {one.count_diff} blocks")
            print("\n".join(one.traceback.format()))
