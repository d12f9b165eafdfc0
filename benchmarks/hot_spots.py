"""Where the time of one case goes: `cProfile` around one contender.

    python -m benchmarks.hot_spots langchain_atoma stream '{"chunks": 2000}' 2000

Prints microseconds of each function by itself, and calls, for each of so many things.
The profiler makes calls dearer than they are: it shows where, not how much.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import importlib
import inspect
import json
import pstats
import sys
import time
from pathlib import Path

from . import cores
from .rounds import KEY, Process

SITE = "site-packages/"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("contender")
    parser.add_argument("case")
    parser.add_argument("args", type=json.loads)
    parser.add_argument("each", type=int)
    parser.add_argument("--lines", type=int, default=40)
    asked = parser.parse_args()
    server = Process(sys.executable, "benchmarks.server", KEY)
    cores.stay_on(0)
    module, _, kind = asked.contender.partition(":")
    contenders = importlib.import_module(f".contenders.{module}", __package__)
    made = contenders.make(f"http://127.0.0.1:{server.first['near']}", KEY, kind)
    with asyncio.Runner() as runner:

        def once() -> None:
            came = getattr(made, asked.case)(**asked.args)
            if inspect.iscoroutine(came):
                runner.run(came)

        once()
        start = time.process_time()
        once()
        alone = 1e6 * (time.process_time() - start) / asked.each
        profile = cProfile.Profile(time.process_time)  # not of other processes
        profile.runcall(once)
    server.end()
    print(f"{asked.contender} {asked.case}: {alone:.1f} µs each, not profiled")
    show(profile, asked.each, asked.lines)


def show(profile: cProfile.Profile, each: int, lines: int) -> None:
    rows = pstats.Stats(profile).stats.items()
    print("  µs alone  µs with callees  calls")
    for (file, line, name), (_, calls, own, cumulative, _) in sorted(
        rows, key=lambda row: -row[1][2]
    )[:lines]:
        short = file.rpartition(SITE)[2] if SITE in file else Path(file).name
        where = name if file == "~" else f"{short}:{line} {name}"
        figures = (1e6 * own / each, 1e6 * cumulative / each, calls / each)
        print("{:10.2f} {:16.2f} {:6.2f}".format(*figures), where)


if __name__ == "__main__":
    main()
