"""The options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .._endpoint import Framework, StreamMode

__all__ = [
    "ConfidentialOption",
    "FrameworkOption",
    "JsonOption",
    "ModelOption",
    "PinsOption",
    "StreamModeOption",
    "not_blank",
]


def not_blank(value: str) -> str:
    """Refuse a value of blanks, such as an unset variable of a shell gives."""
    if not value.strip():
        raise typer.BadParameter("it is empty")
    return value


ModelOption = Annotated[
    str,
    typer.Option("--model", callback=not_blank, help="The model that answers."),
]
StreamModeOption = Annotated[
    StreamMode,
    typer.Option(
        help="live: piece by piece; buffered: sealed as one reply; "
        "auto: live only where the node is seen to do it safely."
    ),
]
ConfidentialOption = Annotated[
    bool,
    typer.Option(
        "--confidential/--no-confidential",
        help="Seal everything to the node, or let the proxy read it.",
    ),
]
FrameworkOption = Annotated[
    Framework, typer.Option(help="Whose models, pipeline and store to use.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
PinsOption = Annotated[
    Path | None,
    typer.Option(
        metavar="FILE",
        dir_okay=False,
        show_default=False,
        help="Keep nodes to the signer they were first met with, in this file.",
    ),
]
