"""Importing and constructing, in fresh interpreters that take turns."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from ..results import Measured, Part
from ..rounds import ROOT, Bench

__all__ = ["run"]

MODELS = {
    "langchain_atoma": "from langchain_atoma import AtomaChatModel as Model",
    "langchain_openai": "from langchain_openai import ChatOpenAI as Model",
    "llama_index_atoma": "from llama_index_atoma import AtomaChatModel as Model",
    "llama_index_openai": "from llama_index.llms.openai import OpenAI as Model",
    "core": "from atoma_confidential import Client as Model",
    "core, imported alone": "import atoma_confidential",
}
# Nothing of ours is loaded before the clock starts.
CODE = """
import resource, time
cpu, wall = time.process_time(), time.perf_counter()
{statement}
{construct}
cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print('{{"cpu": %f, "wall": %f, "peak": %d}}' % (cpu, wall, peak))
"""
LIMITS = (
    ("LangChain", "langchain", 0.40, 0.70),
    ("LlamaIndex", "llama_index", 0.78, 1),
)


def run(bench: Bench) -> Part:
    part = Part("imports")
    theirs = () if bench.ours_only else ("langchain_openai", "llama_index_openai")
    names = [
        name for name in MODELS if "atoma" in name or name in theirs or "core" in name
    ]
    taken: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    for turn in range(-1, 1 if bench.quick else 9):  # the first writes the bytecode
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            took = _fresh(name)
            if turn >= 0:
                taken[name].append(took)
    took = Measured(taken)
    part.add("Importing and constructing: CPU", "ms", took.all("cpu", factor=1000))
    part.add("Importing and constructing: time", "ms", took.all("wall", factor=1000))
    part.add("Peak memory after it", "MB", took.all("peak", factor=1 / 1024))
    for title, name, time, memory in LIMITS:
        pair = f"{name}_atoma", f"{name}_openai"
        what = f"{title}, against its OpenAI class"
        part.compare(
            f"Import and construct, {what}: CPU", took.ratio(*pair), at_most=time
        )
        part.compare(
            f"Peak memory after it, {what}", took.ratio(*pair, "peak"), at_most=memory
        )
    part.compare(
        "`import atoma_confidential` alone, seconds",
        took.of("core, imported alone", "wall"),
        at_most=0.12,
        with_others=False,
    )
    return part


def _fresh(name: str) -> dict[str, Any]:
    """Run a statement in a fresh interpreter, and construct what it imports."""
    chat = "" if name == "core" else ", model='gpt-4o'"
    construct = f"Model(api_key='k'{chat})" if MODELS[name].endswith("Model") else ""
    code = CODE.format(statement=MODELS[name], construct=construct)
    ran = subprocess.run(  # noqa: S603  our own interpreter
        [sys.executable, "-P", "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONHASHSEED": "0"},
    )
    return json.loads(ran.stdout)
