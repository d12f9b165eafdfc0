"""What a streamed chunk of one token costs the client, in CPU time."""

from __future__ import annotations

from ..results import Part, Summary
from ..rounds import Bench

__all__ = ["run"]

CHUNKS = 2000
TOKEN = 5  # characters, see `answers`
ARGUMENTS = 11_000
MICRO = 1e6

EVERYONE = (
    "raw",
    "openai_sdk",
    "core",
    "core:plain",
    "langchain_openai",
    "langchain_atoma",
    "langchain_atoma:plain",
    "llama_index_openai",
    "llama_index_atoma",
    "llama_index_atoma:plain",
)
LANGCHAIN = ("langchain_openai", "langchain_atoma")
FRAMEWORKS = (*LANGCHAIN, "llama_index_openai", "llama_index_atoma")
UNIT = "µs of CPU per chunk"


def run(bench: Bench) -> Part:
    part = Part("streams")
    chunks = bench.few(CHUNKS)
    walls: dict[str, dict[str, Summary]] = {}
    for case, title, names, targets in (
        ("stream", "A stream, sync", EVERYONE, (0.30, 0.38)),
        ("astream", "A stream, async", EVERYONE, (0.25, None)),
        ("events", "LangChain's stream_events, v3", LANGCHAIN, (None, None)),
        ("aevents", "LangChain's astream_events", LANGCHAIN, (None, None)),
    ):
        took = bench.rounds(
            names, case, {"chunks": chunks}, rounds=7, came=chunks * TOKEN
        )
        part.add(title, UNIT, took.all(factor=MICRO / chunks))
        walls[title] = took.all("wall", factor=MICRO / chunks)
        part.compare(
            f"{title}: LangChain sealed against ChatOpenAI plain",
            took.ratio("langchain_atoma", "langchain_openai"),
            at_most=targets[0],
        )
        part.compare(
            f"{title}: LlamaIndex sealed against its OpenAI plain",
            took.ratio("llama_index_atoma", "llama_index_openai"),
            at_most=targets[1],
        )
        if names is EVERYONE:
            for ours in ("langchain_atoma", "llama_index_atoma", "core"):
                part.compare(
                    f"{title}: {ours} sealed against plain",
                    took.ratio(ours, f"{ours}:plain"),
                    at_most=1.5,
                    with_others=False,
                )
    for title, wall in walls.items():
        part.add(f"{title}: time", "µs per chunk, the server's sealing in it", wall)
    _tools(bench, part)
    _official(bench, part)
    return part


def _tools(bench: Bench, part: Part) -> None:
    title = "A tool call with 11 kB of arguments"
    size = bench.few(ARGUMENTS)
    for case, how, names in (
        ("tool", "streamed", FRAMEWORKS),
        ("agent_tool", "read as FunctionAgent does", FRAMEWORKS[2:]),
    ):
        took = bench.rounds(names, case, {"size": size}, rounds=5, came=size)
        part.add(f"{title}, {how}", "ms of CPU", took.all(factor=1000))
        part.compare(
            f"{title}, {how}: LlamaIndex sealed against its OpenAI plain",
            took.ratio("llama_index_atoma", "llama_index_openai"),
            at_most=0.20,
        )
        part.compare(
            f"{title}, {how}: LangChain sealed against ChatOpenAI plain",
            took.ratio("langchain_atoma", "langchain_openai"),
        )


def _official(bench: Bench, part: Part) -> None:
    """Compare with the official SDK, which is too slow for as many rounds."""
    chunks = bench.few(500)
    names = ("core", "official_sdk")
    for case, title in (("stream", "sync"), ("astream", "async")):
        took = bench.rounds(
            names, case, {"chunks": chunks}, rounds=3, came=chunks * TOKEN
        )
        title = f"A stream of {chunks} chunks, sealed, {title}"  # noqa: PLW2901
        part.add(title, UNIT, took.all(factor=MICRO / chunks))
        part.compare(
            f"{title}: our client against the official SDK",
            took.ratio("core", "official_sdk"),
        )
