"""What importing the plugin adds to importing LangChain and httpx, as a ratio.

Fresh interpreters that take turns, and medians over them. Baseline and plugin are
timed one after the other in one interpreter, in CPU time: what else the machine does
weighs on both. Embeddings alone need less than the baseline, and get their own.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

BASELINE = "import langchain_core.language_models.chat_models, httpx"
BOTH = "from langchain_atoma import AtomaChatModel, AtomaEmbeddings"
EMBEDDINGS = "from langchain_atoma import AtomaEmbeddings"
PACKAGE = "import langchain_atoma"


def milliseconds(*statements: str) -> list[float]:
    """Return the CPU time of statements, run in turn in one fresh interpreter."""
    code = "from time import process_time as now; t = [now()]\n"
    code += "".join(f"{statement}; t.append(now())\n" for statement in statements)
    code += "print(*(1000 * (b - a) for a, b in zip(t, t[1:])))"
    command = [sys.executable, "-c", code]
    ran = subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
    return [float(number) for number in ran.stdout.split()]


def measure(rounds: int) -> list[tuple[str, float, float]]:
    """Return for each import its name, median milliseconds and ratio."""
    baseline, both, embeddings, package = [], [], [], []
    for turn in range(rounds + 1):
        first, added = milliseconds(BASELINE, BOTH)
        (alone,) = milliseconds(EMBEDDINGS)
        (nothing,) = milliseconds(PACKAGE)
        if turn == 0:
            continue  # it wrote the bytecode
        baseline.append(first)
        both.append((first + added, (first + added) / first))
        embeddings.append((alone, alone / first))
        package.append((nothing, nothing / first))
    rows = [("langchain-core + httpx", statistics.median(baseline), 1.0)]
    for name, pairs in (
        ("and both classes of langchain_atoma", both),
        ("langchain_atoma's embeddings alone", embeddings),
        ("the package, before a name is used", package),
    ):
        times, ratios = zip(*pairs, strict=True)
        rows.append((name, statistics.median(times), statistics.median(ratios)))
    return rows


def main() -> None:
    """Print the medians of one run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    for name, median, ratio in measure(parser.parse_args().rounds):
        print(f"{name:36} {median:6.0f} ms   {ratio:.2f}")


if __name__ == "__main__":
    main()
