"""Runs what it is told for one contender, in a process of its own.

    python -m benchmarks.worker CONTENDER

Reads one JSON object a line, with the keys `case`, `args`, `url`, `key` and `kind`, and
answers each with the CPU and wall time of it, and what came of it: characters, vectors.
"""

from __future__ import annotations

import asyncio
import gc
import importlib
import inspect
import json
import sys
import time
from typing import Any

from . import cores

__all__: list[str] = []


class Worker:
    """A contender, kept from one case to the next with its connections."""

    def __init__(self, module: str) -> None:
        self._module = importlib.import_module(f".contenders.{module}", __package__)
        self._kept: dict[tuple[str, ...], Any] = {}
        self._loop = asyncio.Runner()

    def run(self, order: dict[str, Any]) -> dict[str, Any]:
        at = order["url"], order["key"], order["kind"]
        if order.get("fresh"):
            self._kept.pop(at, None)
        contender = self._kept.get(at)
        if contender is None:
            contender = self._kept[at] = self._module.make(*at)
        case = getattr(contender, order["case"])
        gc.collect()
        walls: list[float] = []
        cpu, start = time.process_time(), time.perf_counter()
        for _ in range(order.get("times", 1)):
            before = time.perf_counter()
            came = case(**order["args"])
            if inspect.iscoroutine(came):
                came = self._loop.run(came)
            walls.append(time.perf_counter() - before)
        return {
            "cpu": time.process_time() - cpu,
            "wall": time.perf_counter() - start,
            "walls": walls,
            "came": came,
        }


def main() -> None:
    cores.stay_on(0)
    # What a library prints must not be taken for an answer.
    answers, sys.stdout = sys.stdout, sys.stderr
    worker = Worker(sys.argv[1])
    print("{}", file=answers, flush=True)
    for line in sys.stdin:
        print(json.dumps(worker.run(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
