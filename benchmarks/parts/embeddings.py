"""Texts embedded, 1,024 dimensions each."""

from __future__ import annotations

from ..results import Part, Summary
from ..rounds import Bench

__all__ = ["run"]

TEXTS, MANY, BATCH = 2000, 20_000, 100
MICRO = 1e6
PAIRS = (
    ("LangChain", "langchain_atoma", "langchain_openai"),
    ("LlamaIndex", "llama_index_atoma", "llama_index_openai"),
)
FRAMEWORKS = tuple(name for _, *pair in PAIRS for name in pair)
NAMES = ("raw", "openai_sdk", "core", *FRAMEWORKS)
PER_TEXT = "µs of CPU per text"


def run(bench: Bench) -> Part:
    part = Part("embeddings")
    texts = bench.few(TEXTS)
    _near(bench, part, texts)
    _plain(bench, part)
    title = f"{texts:,} texts over a line of 50 ms"
    _far(bench, part, title, texts=texts, how={"batch": BATCH}, least=4)
    _far(bench, part, title, texts=texts, how={}, least=1.3)
    many = bench.few(MANY)
    title = f"{many:,} texts over a line of 50 ms"
    _far(bench, part, title, texts=many, how={}, least=3)
    return part


def _near(bench: Bench, part: Part, texts: int) -> None:
    title = f"{texts:,} texts, {BATCH} in a request, no latency"
    args = {"texts": texts, "batch": BATCH}
    took = bench.rounds(NAMES, "embed", args, rounds=5, came=texts)
    part.add(title, PER_TEXT, took.all(factor=MICRO / texts))
    part.add(f"{title}: time", "texts/s", _rates(took.all("wall"), texts))
    for name, ours, other in PAIRS:
        part.compare(
            f"{title}: {name} sealed against OpenAI plain, CPU per text",
            took.ratio(ours, other),
            at_most=0.65,
        )
    few = bench.few(200)
    took = bench.rounds(
        ("core", "official_sdk"),
        "embed",
        {"texts": few, "batch": BATCH},
        rounds=3,
        came=few,
    )
    title = f"{few} texts, sealed"
    part.add(title, PER_TEXT, took.all(factor=MICRO / few))
    part.compare(
        f"{title}: our client against the official SDK",
        took.ratio("core", "official_sdk"),
    )


def _plain(bench: Bench, part: Part) -> None:
    """Compare with our plain path, to which Atoma allows one text in a request."""
    few = bench.few(200)
    took = bench.rounds(
        ("langchain_atoma", "langchain_atoma:plain"),
        "embed",
        {"texts": few, "batch": BATCH},
        rounds=3,
        came=few,
    )
    title = f"{few} texts; in clear, one in a request"
    part.add(title, PER_TEXT, took.all(factor=MICRO / few))
    part.compare(
        f"{title}: sealed against plain",
        took.ratio("langchain_atoma", "langchain_atoma:plain"),
        at_most=1.3,
        with_others=False,
    )


def _far(
    bench: Bench,
    part: Part,
    title: str,
    *,
    texts: int,
    how: dict[str, int],
    least: float,
) -> None:
    title += f", {BATCH} in a request" if how else ", each's defaults"
    large = texts > TEXTS
    took = bench.rounds(
        FRAMEWORKS[:2] if large else FRAMEWORKS,
        "embed",
        {"texts": texts, **how},
        rounds=2 if large else 3,
        warm=not large,
        came=texts,
        far=True,
    )
    part.add(title, "texts/s", _rates(took.all("wall"), texts))
    for name, ours, other in PAIRS[: 1 if large else 2]:
        part.compare(
            f"{title}: {name} sealed against OpenAI plain, texts/s",
            took.ratio(other, ours, "wall"),
            at_least=least,
        )


def _rates(walls: dict[str, Summary], texts: int) -> dict[str, Summary]:
    return {
        name: Summary(texts / wall.median, texts / wall.high, texts / wall.low)
        for name, wall in walls.items()
    }
