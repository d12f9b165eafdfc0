"""What importing the plugin adds to importing LangChain and httpx, as a ratio.

Fresh interpreters, the imports in turn, medians of CPU time; one run, one table.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

BASELINE = "import langchain_core.language_models.chat_models, httpx"
IMPORTS = {
    "langchain-core + httpx": BASELINE,
    "langchain_atoma, both classes": (
        "from langchain_atoma import AtomaChatModel, AtomaEmbeddings"
    ),
    "langchain_atoma, embeddings only": "from langchain_atoma import AtomaEmbeddings",
    "langchain_atoma, nothing used": "import langchain_atoma",
}
_TIMED = "import time; t = time.process_time(); {}; print(time.process_time() - t)"


def seconds(statement: str) -> float:
    """Return how long a statement takes in an interpreter of its own."""
    command = [sys.executable, "-c", _TIMED.format(statement)]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    return float(ran.stdout)


def measure(rounds: int) -> dict[str, float]:
    """Return the median for each import, the imports taking turns."""
    for statement in IMPORTS.values():
        seconds(statement)  # writes bytecode, warms the page cache
    taken: dict[str, list[float]] = {name: [] for name in IMPORTS}
    for _ in range(rounds):
        for name, statement in IMPORTS.items():
            taken[name].append(seconds(statement))
    return {name: statistics.median(times) for name, times in taken.items()}


def main() -> None:
    """Print medians, and their ratios to the baseline of the same run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    medians = measure(parser.parse_args().rounds)
    baseline = medians["langchain-core + httpx"]
    for name, median in medians.items():
        print(f"{name:34} {median * 1000:6.0f} ms   {median / baseline:.2f}")


if __name__ == "__main__":
    main()
