"""Have the hot paths become slower? Counts instructions: `make bench-check`.

Valgrind counts what a path executes when it runs n times and when it runs not at all;
the difference is the path's alone, whatever else the machine does meanwhile. Without
Valgrind the paths are timed against a loop that is always the same, and the tolerance
is wide. A baseline holds for one Python and one version of what the paths use.
"""

from __future__ import annotations

import argparse
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from .hot_paths import PATHS
from .rounds import ROOT

BASELINE = Path(__file__).with_name("baseline.json")
# name: how often it runs to be counted
COUNTED = {
    "open_event": 512,
    "langchain_chunk": 200,
    "llama_index_chunk": 200,
    "seal_request": 20,
    "open_embeddings": 2,
    "parse_vectors": 2,
}
TOLERANCE = {"instructions": 0.05, "calibrated time": 0.35}
PACKAGES = ("cryptography", "langchain-core", "llama-index-core", "pydantic")


def instructions(name: str) -> float:
    """Return the instructions of one run of a path."""
    count = COUNTED[name]
    return (_counted(name, 2 * count) - _counted(name, count)) / count


def _counted(name: str, count: int) -> int:
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(  # noqa: S603  our own interpreter
            [
                shutil.which("valgrind") or "valgrind",
                "--tool=callgrind",
                f"--callgrind-out-file={folder}/out",
                sys.executable,
                *("-m", "benchmarks.hot_paths", name, str(count)),
            ],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": "0"},
            capture_output=True,
            text=True,
            check=True,
        )
    return int(re.findall(r"Collected : (\d+)", done.stderr)[-1])


def calibrated(name: str) -> float:
    """Return the time of one run of a path, in runs of a loop of plain Python."""
    count, path = COUNTED[name], PATHS[name]
    path(count)
    ratios = [_seconds(path, count) / count / _seconds(_loop, 1) for _ in range(15)]
    return min(ratios)


def _seconds(path: Callable[[int], object], count: int) -> float:
    start = time.process_time()
    path(count)
    return time.process_time() - start


def _loop(_count: int) -> dict[str, int]:
    return {str(number): number for number in range(20_000)}


def measured(names: Sequence[str]) -> dict[str, Any]:
    """Return each path's figure, and what they hold for."""
    counting = shutil.which("valgrind") is not None
    if counting:
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            figures = list(pool.map(instructions, names))
    else:
        figures = [calibrated(name) for name in names]
    return {
        "unit": "instructions" if counting else "calibrated time",
        "python": platform.python_version(),
        "versions": {name: importlib.metadata.version(name) for name in PACKAGES},
        "machine": platform.machine(),
        "figures": {
            name: float(f"{figure:.4g}")
            for name, figure in zip(names, figures, strict=True)
        },
    }


def compared(now: dict[str, Any], then: dict[str, Any]) -> int:
    """Print both; return how many paths became dearer than is tolerated."""
    foreign = [name for name in now if name != "figures" and now[name] != then[name]]
    for name in foreign:
        print(f"The baseline is for another {name}: {then[name]}, not {now[name]}.")
    if "unit" in foreign:
        raise SystemExit("It cannot be compared; UPDATE=1 makes a new one.")
    tolerance = TOLERANCE[now["unit"]]
    dearer = 0
    for name, figure in now["figures"].items():
        change = figure / then["figures"][name] - 1
        dearer += change > tolerance
        verdict = "DEARER" if change > tolerance else ""
        print(f"{name:20} {figure:16,.6g} {now['unit']} {change:+7.1%} {verdict}")
    print(f"{dearer} dearer than the baseline by more than {tolerance:.0%}.")
    return dearer


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench-check", description=__doc__)
    parser.add_argument("--update", action="store_true", help="write a new baseline")
    parser.add_argument("--only", action="append", choices=COUNTED, help="some paths")
    asked = parser.parse_args()
    update = asked.update and not asked.only
    if not update and not BASELINE.exists():
        sys.exit("There is no baseline: make bench-check UPDATE=1 writes one.")
    now = measured(asked.only or [*COUNTED])
    if update:
        BASELINE.write_text(json.dumps(now, indent=1) + "\n", encoding="utf-8")
        print(f"Written: {BASELINE.relative_to(ROOT)}")
        return
    if compared(now, json.loads(BASELINE.read_text(encoding="utf-8"))):
        sys.exit(1)


if __name__ == "__main__":
    main()
