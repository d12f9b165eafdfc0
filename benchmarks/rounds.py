"""Rounds in which all contenders take their turn, and what comes of them.

A contender lives in one process for the whole run. In each round each is measured once,
in another order each time, so that what else the machine does weighs on all alike.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from .results import Measured

__all__ = ["KEY", "ROOT", "Bench", "Process"]

ROOT = Path(__file__).parents[1]
KEY = "benchmark-key"


class Process:
    """A child that answers lines with lines."""

    def __init__(self, python: str, *command: str) -> None:
        # `-P` would be safer, but the official SDK's Python finds us by the folder.
        self._child = subprocess.Popen(  # noqa: S603  our own modules
            [python, "-m", *command],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": "0", "LANGSMITH_TRACING": "false"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.first = self._answer()

    def ask(self, order: dict[str, Any]) -> dict[str, Any]:
        print(json.dumps(order), file=self._child.stdin, flush=True)
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        line = self._child.stdout.readline()
        if not line:
            raise SystemExit(f"It ended: {self._child.args}, {self._child.wait()}.")
        return json.loads(line)

    def end(self) -> None:
        self._child.stdin.close()
        self._child.wait(30)
        self._child.stdout.close()


class Bench:
    """The server and the contenders of one run."""

    def __init__(
        self, *, sdk_python: str | None, quick: bool = False, ours_only: bool = False
    ) -> None:
        self.quick = quick
        self.ours_only = ours_only
        self._sdk_python = sdk_python
        self._server = Process(sys.executable, "benchmarks.server", KEY)
        self._workers: dict[str, Process] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for process in [*self._workers.values(), self._server]:
            process.end()

    def rounds(
        self,
        contenders: Iterable[str],
        case: str,
        args: dict[str, Any],
        *,
        rounds: int,
        came: int | None = None,
        far: bool = False,
        warm: bool = True,
        **order: Any,
    ) -> Measured:
        """Measure a case for each contender, in turns.

        Args:
            contenders: whom; those that are not installed are left out.
            case: name of a contender's method.
            args: what it is called with.
            rounds: how often, after one that is not counted.
            came: what it must return, if that is known.
            far: behind the line of 50 ms.
            warm: run once before, which is not counted.
            **order: more for the worker.
        """
        names = [name for name in contenders if self._has(name)]
        port = self._server.first["far" if far else "near"]
        order |= {"case": case, "args": args, "key": KEY}
        order["url"] = f"http://127.0.0.1:{port}"
        measured = Measured({name: [] for name in names})
        if not names:
            return measured
        print(f"{case} {args}{' at 50 ms' if far else ''} …", file=sys.stderr)
        for turn in range(-1 if warm else 0, 1 if self.quick else rounds):
            for name in names[turn % len(names) :] + names[: turn % len(names)]:
                kind = {"kind": name.partition(":")[2]}
                took = self._worker(name).ask(order | kind)
                if came is not None and took["came"] != came:
                    raise SystemExit(f"{name}, {case}: {took['came']}, not {came}.")
                if turn >= 0:
                    measured.taken[name].append(took)
        return measured

    def few(self, number: int) -> int:
        """Return a number of things to measure with; a trial run makes do with few."""
        return min(number, 10 + number // 100) if self.quick else number

    def server(self) -> dict[str, Any]:
        """Return connections accepted and CPU time used by the server so far."""
        return self._server.ask({})

    def _has(self, name: str) -> bool:
        return not self.ours_only or name.partition(":")[0] in OURS

    def _worker(self, name: str) -> Process:
        module = name.partition(":")[0]
        if module not in self._workers:
            python = sys.executable
            if module == "official_sdk":
                if self._sdk_python is None:
                    raise SystemExit("--sdk-python is needed.")
                python = self._sdk_python
            self._workers[module] = Process(python, "benchmarks.worker", module)
        return self._workers[module]


OURS = ("core", "corpus", "langchain_atoma", "llama_index_atoma", "transport")
