"""Our transport alone: no network, no framework."""

from __future__ import annotations

from ..results import Measured, Part, Summary
from ..rounds import Bench

__all__ = ["run"]

# name, what it is, how many, µs or ms each
PATHS = (
    ("open_event", "open a sealed event", 2048, "µs"),
    ("read_event", "read an event in clear", 2048, "µs"),
    ("langchain_chunk", "make it LangChain's chunk", 2000, "µs"),
    ("llama_index_chunk", "make it LlamaIndex's chunk", 2000, "µs"),
    ("seal_request", "seal a request of 2 kB", 200, "µs"),
    ("open_embeddings", "open and read 100 vectors", 10, "ms"),
    ("read_embeddings", "read 100 vectors in clear", 10, "ms"),
    ("seal_megabyte", "seal a megabyte", 10, "ms"),
    ("open_megabyte", "open a megabyte", 10, "ms"),
)
UNITS = {"µs": 1e6, "ms": 1e3}


def run(bench: Bench) -> Part:
    part = Part("transport")
    took: dict[str, Measured] = {}
    for name, _, count, _ in PATHS:
        took[name] = bench.rounds(
            ["transport"], "path", {"name": name, "count": count}, rounds=9, came=count
        )
    for unit, factor in UNITS.items():
        part.add(
            f"The transport alone ({unit})",
            f"{unit} of CPU",
            {
                title: took[name].of("transport", factor=factor / count)
                for name, title, count, its in PATHS
                if its == unit
            },
        )
    part.compare(
        "An embeddings batch: opening and reading it, against reading it in clear",
        _ratio(took["open_embeddings"], took["read_embeddings"]),
        at_most=1.3,
        with_others=False,
    )
    part.compare(
        "An event: opening and reading it, against reading it in clear",
        _ratio(took["open_event"], took["read_event"]),
        with_others=False,
    )
    return part


def _ratio(one: Measured, other: Measured) -> Summary | None:
    pairs = {"one": one.taken["transport"], "other": other.taken["transport"]}
    return Measured(pairs).ratio("one", "other")
