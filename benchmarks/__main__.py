"""Measure, and write the page: `make bench`."""

from __future__ import annotations

import argparse
import importlib
import time

from . import page
from .about import about
from .results import Part
from .rounds import Bench

PARTS = (
    "streams",
    "paced",
    "completions",
    "embeddings",
    "corpus",
    "transport",
    "imports",
    "growth",
)


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks", description=__doc__)
    parser.add_argument("--only", action="append", choices=PARTS, default=[])
    parser.add_argument(
        "--quick", action="store_true", help="a trial run; its figures mean nothing"
    )
    parser.add_argument(
        "--ours-only", action="store_true", help="without anybody to compare with"
    )
    parser.add_argument("--sdk-python", help="the Python that has the official SDK")
    parser.add_argument(
        "--page", action="store_true", help="measure nothing; write the page again"
    )
    parser.add_argument(
        "--write", action="store_true", help="write the page after a trial run too"
    )
    asked = parser.parse_args()
    if asked.page:
        page.publish(page.load())
        return
    start = time.perf_counter()
    whole = not (asked.only or asked.quick or asked.ours_only) or asked.write
    parts: list[Part] = []
    with Bench(
        sdk_python=asked.sdk_python, quick=asked.quick, ours_only=asked.ours_only
    ) as bench:
        for name in asked.only or PARTS:
            part = importlib.import_module(f".parts.{name}", __package__).run(bench)
            parts.append(part)
            print(f"\n## {name}, after {time.perf_counter() - start:.0f} s\n")
            print(page.tables(part), flush=True)
    if whole:
        facts = about(time.perf_counter() - start, trial=asked.quick)
        page.publish({"about": facts, "parts": [part.as_json() for part in parts]})
        print(f"\nWritten: {page.PAGE.relative_to(page.ROOT)}, and its plots.")
    else:
        print("\nOnly a whole run writes docs/performance.md.")


if __name__ == "__main__":
    main()
