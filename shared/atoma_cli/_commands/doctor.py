"""The options of `atoma doctor`."""

from __future__ import annotations

from typing import Annotated

import typer

from atoma_confidential.known_models import CHAT_MODEL

from .._console import failures
from ._options import JsonOption, ModelOption

__all__ = ["doctor"]


def doctor(
    *,
    model: ModelOption = CHAT_MODEL,
    offline: Annotated[
        bool, typer.Option("--offline", help="Send nothing at all.")
    ] = False,
    spend: Annotated[
        bool,
        typer.Option(
            "--spend/--no-spend",
            help="Take locks and ask the model a word, which may cost money.",
        ),
    ] = True,
    as_json: JsonOption = False,
) -> None:
    """Look at all that a sealed call depends on, and say what is off."""
    with failures():
        from .._doctor import Patient, examine  # noqa: PLC0415  heavy
        from .._findings import exit_code, print_json, show  # noqa: PLC0415

        findings = []
        for finding in examine(Patient(model, offline=offline, spend=spend)):
            findings.append(finding)
            if not as_json:
                show(finding)
        if as_json:
            print_json(findings)
    raise typer.Exit(exit_code(findings))
