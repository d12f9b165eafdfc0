"""What one whole chat answer costs, on this machine and over a line of 50 ms."""

from __future__ import annotations

import statistics
from collections.abc import Callable

from ..results import Measured, Part, Summary, summary
from ..rounds import Bench

__all__ = ["run"]

WORDS = 40
CAME = {"reply": WORDS}
NAMES = (
    "raw",
    "openai_sdk",
    "official_sdk",
    "core",
    "langchain_openai",
    "langchain_atoma",
    "langchain_atoma:plain",
    "llama_index_openai",
    "llama_index_atoma",
    "llama_index_atoma:plain",
)
AHEAD = ("langchain_atoma:ahead", "llama_index_atoma:ahead")
PAIRS = (
    ("LangChain", "langchain_atoma", "langchain_openai"),
    ("LlamaIndex", "llama_index_atoma", "llama_index_openai"),
)


def run(bench: Bench) -> Part:
    part = Part("completions")
    _near(bench, part)
    _far(bench, part)
    _accounts(bench, part)
    return part


def _near(bench: Bench, part: Part) -> None:
    title = "One completion, no latency"
    took = bench.rounds(
        NAMES, "complete", CAME, rounds=7, times=bench.few(20), came=5 * WORDS
    )
    each = _typical(took, statistics.median)
    part.add(title, "ms", each.all("wall", factor=1000))
    part.add(f"{title}: CPU", "ms", took.all(factor=1000 / bench.few(20)))
    if "raw" in each.taken:
        part.add(f"{title}: more than raw httpx takes", "ms", _added(each, "raw", 1000))
    for name, ours, other in PAIRS:
        part.compare(
            f"{title}: {name} sealed against OpenAI plain, time",
            each.ratio(ours, other, "wall"),
            at_most=1.0,
        )


def _far(bench: Bench, part: Part) -> None:
    title = "A completion over a line of 50 ms"
    took = bench.rounds(
        (*NAMES, *AHEAD),
        "complete",
        CAME,
        rounds=3,
        times=7,
        came=5 * WORDS,
        far=True,
        fresh=True,
    )
    first = _typical(took, lambda walls: walls[0])
    later = _typical(took, lambda walls: statistics.median(walls[1:]))
    part.add(f"{title}: the first, with its connection", "ms", _ms(first))
    part.add(f"{title}: each after it", "ms", _ms(later))
    for name, ours, other in PAIRS:
        for which, each, how, at_most in (
            ("the first", first, "", 2.0),
            ("the later", later, "", 1.05),
            ("the later, with `lock_ahead`", later, ":ahead", 1.05),
        ):
            part.compare(
                f"{title}, {which}: {name} sealed against OpenAI plain, time",
                each.ratio(ours + how, other, "wall"),
                at_most=at_most,
            )


def _accounts(bench: Bench, part: Part) -> None:
    """Note what a completion costs the server, and how many connections it takes."""
    times = bench.few(20)
    cpu: dict[str, Summary] = {}
    connections: dict[str, Summary] = {}
    for name in (*NAMES, *AHEAD):
        before = bench.server()
        took = bench.rounds(
            [name], "complete", CAME, rounds=1, times=times, fresh=True, warm=False
        )
        after = bench.server()
        if took.taken:
            used = (after["cpu"] - before["cpu"]) / times
            cpu[name] = summary([1000 * used])
            opened = after["connections"] - before["connections"]
            connections[name] = summary([opened])
    part.add("What one completion costs the server", "ms of CPU", cpu)
    part.add(f"Connections opened for {times} completions", "", connections)


def _typical(took: Measured, of: Callable[[list[float]], float]) -> Measured:
    """Return the same rounds with one time for each, out of those of its calls."""
    return Measured(
        {
            name: [{"wall": of(one["walls"])} for one in rounds]
            for name, rounds in took.taken.items()
        }
    )


def _ms(took: Measured) -> dict[str, Summary]:
    return took.all("wall", factor=1000)


def _added(took: Measured, floor: str, factor: float) -> dict[str, Summary]:
    return {
        name: summary(
            factor * (mine["wall"] - least["wall"])
            for mine, least in zip(rounds, took.taken[floor], strict=True)
        )
        for name, rounds in took.taken.items()
        if name != floor
    }
