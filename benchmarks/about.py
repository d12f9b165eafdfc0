"""On what machine, with what versions, and of which revision a run was."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path
from typing import Any

from . import cores
from .rounds import ROOT

__all__ = ["about"]

PACKAGES = (
    "cryptography",
    "httpx",
    "openai",
    "langchain-core",
    "langchain-openai",
    "llama-index-core",
    "llama-index-llms-openai",
    "llama-index-embeddings-openai",
    "pydantic",
    "uvicorn",
    "httptools",
)
CPU_INFO = Path("/proc/cpuinfo")


def about(seconds: float, *, trial: bool) -> dict[str, Any]:
    """Return the facts, for the results."""
    return {
        "date": dt.datetime.now(dt.UTC).date().isoformat(),
        "revision": _revision(),
        "machine": _machine(),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "versions": [[name, importlib.metadata.version(name)] for name in PACKAGES],
        "seconds": round(seconds),
        "trial": trial,
    }


def _machine() -> str:
    model = platform.processor() or platform.machine()
    if CPU_INFO.exists():
        for line in CPU_INFO.read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    count = len(cores.available()) or os.cpu_count()
    system = f"{platform.system()} {platform.machine()}"
    return f"{model}, {count} cores, {system}"


def _revision() -> str:
    """Return the commit; one with changes that are in no commit is marked."""
    try:
        done = subprocess.run(
            ["git", "describe", "--always", "--dirty"],  # noqa: S607  as the user's
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "not in a repository"
    return done.stdout.strip()
