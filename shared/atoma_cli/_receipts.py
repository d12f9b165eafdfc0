"""`atoma receipt`: signatures of answers that were kept, checked again."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from ._console import failures
from ._findings import Finding, State, StrictCommand, exit_code, print_json, show, wrong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from atoma_confidential import ReceiptError

    from ._signed import Kept

__all__ = ["receipt"]


def _address(value: str | None) -> str | None:
    if value is not None and not re.fullmatch(r"0x[0-9a-fA-F]{64}", value):
        raise typer.BadParameter("a Sui address has 64 hex digits after 0x")
    return value


receipt = typer.Typer(
    help="Check the signatures of answers that were kept.", no_args_is_help=True
)


@receipt.callback()
def _group() -> None:
    """Keep `verify` a command of its own: a Typer with one command is that command."""


@receipt.command(cls=StrictCommand)
def verify(
    file: Annotated[
        Path,
        typer.Argument(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            show_default=False,
            help="As `atoma chat --receipt` writes it.",
        ),
    ],
    *,
    address: Annotated[
        str | None,
        typer.Option(
            metavar="0x…",
            callback=_address,
            show_default=False,
            help="The Sui address that must have signed.",
        ),
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, for programs.")
    ] = False,
) -> None:
    """Check who signed each answer in a file, and that it is the answer there."""
    with failures(strict=True):
        from ._signed import read_kept  # noqa: PLC0415  cryptography

        findings: list[Finding] = []
        for number, kept in enumerate(read_kept(file), start=1):
            findings += _checked(number, kept, address)
        if not findings:
            findings.append(Finding("receipts", State.UNKNOWN, "the file has none"))
        if as_json:
            print_json(findings)
        else:
            for finding in findings:
                show(finding)
    raise typer.Exit(exit_code(findings))


def _checked(
    number: int, kept: Kept | ReceiptError, address: str | None
) -> Iterator[Finding]:
    from atoma_confidential import ReceiptError  # noqa: PLC0415  cryptography

    name = f"answer {number}"
    if isinstance(kept, ReceiptError):
        yield wrong(name, kept)
        return
    try:
        signer = kept.receipt.verify(answer=kept.answer, address=address)
    except ReceiptError as error:
        yield wrong(name, error)
        return
    detail = f"signed by {signer.address} ({signer.scheme})"
    if address is not None:
        yield Finding(name, State.OK, detail)
        return
    yield Finding(
        name,
        State.NOTE,
        f"{detail}, for whom nobody vouches",
        f"Compare the address with one known of node {kept.receipt.node}: --address.",
    )
