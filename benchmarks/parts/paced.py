"""Streams as fast as a model writes: the client mostly waits."""

from __future__ import annotations

from ..results import Part
from ..rounds import Bench
from .streams import FRAMEWORKS, MICRO, TOKEN, UNIT

__all__ = ["run"]

CHUNKS, EVERY_MS = 400, 5
STREAMS, EACH, EACH_MS = 50, 200, 10


def run(bench: Bench) -> Part:
    part = Part("paced")
    chunks = bench.few(CHUNKS)
    title = f"A chunk every {EVERY_MS} ms"
    took = bench.rounds(
        ("raw", *FRAMEWORKS),
        "stream",
        {"chunks": chunks, "every_ms": EVERY_MS},
        rounds=3,
        came=chunks * TOKEN,
    )
    part.add(title, UNIT, took.all(factor=MICRO / chunks))
    for name, target in (("langchain", 0.55), ("llama_index", None)):
        part.compare(
            f"{title}: {name} sealed against OpenAI plain",
            took.ratio(f"{name}_atoma", f"{name}_openai"),
            at_most=target,
        )
    streams, each = bench.few(STREAMS), bench.few(EACH)
    title = f"{STREAMS} streams side by side, {1000 // EACH_MS} tokens/s each"
    took = bench.rounds(
        FRAMEWORKS,
        "side_by_side",
        {"streams": streams, "chunks": each, "every_ms": EACH_MS},
        rounds=3,
        came=streams * each * TOKEN,
    )
    seconds = each * EACH_MS / 1000
    part.add(title, "% of a core", took.all(factor=100 / seconds))
    for name in ("langchain", "llama_index"):
        part.compare(
            f"{title}: {name} sealed against OpenAI plain",
            took.ratio(f"{name}_atoma", f"{name}_openai"),
        )
    return part
