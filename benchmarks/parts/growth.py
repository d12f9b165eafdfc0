"""How the CPU time of our own code grows with what it is given."""

from __future__ import annotations

from ..results import Curve, Measured, Part
from ..rounds import Bench
from .streams import TOKEN

__all__ = ["run"]

OURS = ("core", "langchain_atoma", "llama_index_atoma")
CHUNKS = (100, 300, 1000, 3000, 10_000, 30_000, 100_000)
HISTORY = (1, 2, 5, 10, 20, 50, 100, 200)
BATCH = (1, 4, 16, 64, 256, 1024, 2048)
CONCURRENCY = (1, 2, 4, 8, 16, 32, 64)
WORDS = 40


def run(bench: Bench) -> Part:
    part = Part("growth")
    chunks = CHUNKS[:3] if bench.quick else CHUNKS
    rounds = {n: max(1, min(5, 10_000 // n)) for n in chunks}
    part.curves.append(
        _curve(
            "chunks",
            "A stream, by its chunks",
            "chunks",
            {
                n: bench.rounds(
                    OURS,
                    "stream",
                    {"chunks": n},
                    rounds=rounds[n],
                    came=n * TOKEN,
                    warm=n < 10_000,  # noqa: PLR2004
                )
                for n in chunks
            },
        )
    )
    part.curves.append(
        _curve(
            "history",
            "A completion, by the messages sent",
            "messages",
            {
                n: bench.rounds(
                    OURS,
                    "complete",
                    {"reply": WORDS, "history": n},
                    rounds=7,
                    came=WORDS * TOKEN,
                )
                for n in HISTORY
            },
        )
    )
    part.curves.append(
        _curve(
            "batch",
            "Embeddings, by the texts in one request",
            "texts",
            {
                n: bench.rounds(
                    OURS[:1], "embed", {"texts": n, "batch": 2048}, rounds=5, came=n
                )
                for n in (BATCH[:4] if bench.quick else BATCH)
            },
        )
    )
    part.curves.append(
        _curve(
            "concurrency",
            "Completions side by side, by how many",
            "calls at once",
            {
                n: bench.rounds(
                    OURS[:2],
                    "acomplete_all",
                    {"calls": n, "reply": WORDS},
                    rounds=5,
                    came=n * WORDS * TOKEN,
                )
                for n in CONCURRENCY
            },
        )
    )
    return part


def _curve(name: str, title: str, size: str, taken: dict[int, Measured]) -> Curve:
    names = next(iter(taken.values())).taken
    points = {
        one: [(n, took.of(one).median) for n, took in taken.items()] for one in names
    }
    return Curve(name, title, size, points)
