"""`atoma trust`: what is pinned for each node, and what a person decides about it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from ._console import CommandError, failures, note, out

if TYPE_CHECKING:
    from atoma_confidential import PinFile
    from atoma_confidential.attestation.pins import NodePins

__all__ = ["trust"]

trust = typer.Typer(
    help="Show what is pinned for each node, and accept or forget it.",
    no_args_is_help=True,
)

Node = Annotated[int, typer.Argument(metavar="NODE", min=0, help="The node's number.")]
PinsOption = Annotated[
    Path | None,
    typer.Option(
        "--pins",
        metavar="FILE",
        show_default="one in your own settings",
        help="Where the pins are kept.",
    ),
]
YesOption = Annotated[bool, typer.Option("--yes", help="Do not ask; for scripts.")]


@trust.command("list")
def list_pins(
    *,
    keys: Annotated[
        bool, typer.Option("--keys", help="List every key ever accepted instead.")
    ] = False,
    pins: PinsOption = None,
) -> None:
    """List what is pinned for each node, and what was refused of it."""
    with failures():
        file = _pin_file(pins)
        nodes = file.read().nodes  # refuses a log whose pins are gone
        if keys:
            for key in file.accepted_keys():
                _print(f"{_day(key.at)}  node {key.node}  {key.fingerprint}")
        elif nodes:
            for node in sorted(nodes):
                _show(nodes[node])
        else:
            note(f"Nothing is pinned in {file.path}.")


@trust.command()
def accept(node: Node, *, yes: YesOption = False, pins: PinsOption = None) -> None:
    """Pin what was refused of a node, in the place of what was pinned."""
    with failures():
        file = _pin_file(pins)
        known = file.read().nodes.get(node)
        if known is None or known.refused is None:
            raise CommandError(
                f"Nothing of node {node} was refused.",
                "Run `atoma trust list` to see what is pinned.",
            )
        _show(known)
        _confirm("Accept what was refused?", yes=yes)
        file.accept(node, known.refused)
        note(f"Accepted for node {node}.", style="")


@trust.command()
def forget(node: Node, *, yes: YesOption = False, pins: PinsOption = None) -> None:
    """Drop what is pinned for a node: whatever it is next time will be believed."""
    with failures():
        file = _pin_file(pins)
        known = file.read().nodes.get(node)
        if known is not None:
            _show(known)
            _confirm("Forget this?", yes=yes)
        file.forget(node)
        note(f"Forgot node {node}.", style="")


def _pin_file(path: Path | None) -> PinFile:
    from atoma_confidential import PinFile  # noqa: PLC0415  cryptography

    return PinFile(path)


def _show(pins: NodePins) -> None:
    """Print what is pinned, and what was refused: `+` would come, and `-` go."""
    lines = [f"Node {pins.node}"]
    if pins.chips:
        chips = ", ".join(sorted(pins.chips.value))
        lines.append(f"  GPUs    {chips}, since {_day(pins.chips.since)}")
    if pins.signer:
        lines.append(f"  signer  {pins.signer.value}, since {_day(pins.signer.since)}")
    if pins.key:
        lines.append(f"  key     {pins.key.value}, since {_day(pins.key.since)}")
    if pins.refused:
        lines.append(f"  refused since {_day(pins.refused.since)}")
        for change in pins.changes(pins.refused.value):
            if change.pinned:
                lines.append(f"    - {change.what} {change.pinned}")
            if change.seen:
                lines.append(f"    + {change.what} {change.seen}")
    _print("\n".join(lines))


def _confirm(question: str, *, yes: bool) -> None:
    if not yes and not typer.confirm(question, err=True):
        raise CommandError("Nothing was changed.", "Give --yes to skip the question.")


def _day(at: int) -> str:
    return datetime.fromtimestamp(at, tz=UTC).date().isoformat()


def _print(text: str) -> None:
    out.print(Text(text), soft_wrap=True)
