"""A list of things that were looked at, each with what was found, for people and JSON.

Exit codes: 0 all is well, 1 something is wrong, 2 something could not be checked,
64 the command was not understood.
"""

from __future__ import annotations

import enum
import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import typer
from rich.text import Text
from typer.core import TyperCommand

from ._console import USAGE, out, printable

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from atoma_confidential.errors import ConfidentialError

__all__ = [
    "Finding",
    "State",
    "StrictCommand",
    "exit_code",
    "print_json",
    "show",
    "wrong",
]


class State(enum.StrEnum):
    """How a look at something ended; only `OK` means that it was seen to be well."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"
    UNKNOWN = "unknown"
    SKIPPED = "skipped"


# Typer has it from click, or from a copy of click: no name is its own in both.
_UsageError: type[Exception] = typer.BadParameter.__mro__[1]

_STYLES = {
    State.OK: "green",
    State.NOTE: "yellow",
    State.WRONG: "bold red",
    State.UNKNOWN: "bold yellow",
    State.SKIPPED: "dim",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """What was found of one thing.

    Attributes:
        name: The thing, in one or two words.
        state: How the look at it ended.
        detail: What was found.
        advice: What to do about it; empty where there is nothing to do.
    """

    name: str
    state: State
    detail: str
    advice: str = ""


class StrictCommand(TyperCommand):
    """A command whose exit codes mean something: a wrong option has one of its own."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse, and give what is not understood its exit code."""
        try:
            return super().parse_args(ctx, args)
        except _UsageError as error:
            wrong: Any = error
            wrong.exit_code = USAGE
            raise


def wrong(name: str, error: ConfidentialError) -> Finding:
    """Return the finding that an error is."""
    return Finding(name, State.WRONG, error.headline, error.advice)


def exit_code(findings: Iterable[Finding]) -> int:
    """Return 1 where something is wrong, 2 where something could not be checked."""
    states = {finding.state for finding in findings}
    if State.WRONG in states:
        return 1
    return 2 if State.UNKNOWN in states else 0


def show(finding: Finding) -> None:
    """Print a finding, and below it what to do."""
    line = Text(f" {finding.state.upper():<8}", style=_STYLES[finding.state])
    line.append(printable(f"{finding.name:<14}{finding.detail}"), style="default")
    out.print(line, soft_wrap=True)
    if finding.advice:
        text = Text(printable(f"{'':<23}{finding.advice}"), style="dim")
        out.print(text, soft_wrap=True)


def print_json(findings: Sequence[Finding], **more: Any) -> None:
    """Print findings, and what else there is, as one JSON object."""
    document = {
        "exit_code": exit_code(findings),
        "findings": [asdict(finding) for finding in findings],
        **more,
    }
    typer.echo(json.dumps(document, indent=2, ensure_ascii=False))
