"""`make demo`: ask a folder through a wiretap, then show what the wire saw.

Runs against a local Atoma, or against the network when both ATOMA_API_KEY and
ATOMA_BASE_URL are set. Sealed, nothing may be found on the wire; in clear, everything
must be: either way the exit code says whether the search told the truth.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from atoma_local import LocalAtoma, Wiretap

from ._ask import Question, ask
from ._console import failures, out, printable
from ._endpoint import Endpoint
from ._wire_report import search, show_search, show_view

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["cli"]

cli = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,  # they would print the key as a local variable
)

_ABOUT_THE_PROBE = (
    "One chat request was a harmless probe: does the node use fresh nonces in streams?"
)


@cli.command()
def main(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False)],
    question: str,
    *,
    confidential: bool = True,
) -> None:
    """Ask a folder a question through a wiretap, and show what the wire saw."""
    with (
        failures(),
        _network() as (base_url, api_key),
        Wiretap(base_url) as tap,
        tempfile.TemporaryDirectory() as index_dir,
    ):
        flag = "" if confidential else " --no-confidential"
        _title(f'$ atoma ask {folder} "{question}"{flag}\n')
        endpoint = Endpoint(
            confidential=confidential, base_url=tap.base_url, api_key=api_key
        )
        asked = ask(
            Question(folder, question, index_dir=Path(index_dir), k=4), endpoint
        )
        _title(f"\nOn the wire to {base_url}\n")
        show_view(tap.view())
        if confidential:
            out.print(_ABOUT_THE_PROBE, style="dim")
        found = search(tap, asked, question)
        show_search(found)
    _conclude(found.found, len(found.names), confidential=confidential)


@contextlib.contextmanager
def _network() -> Iterator[tuple[str, str]]:
    base_url, api_key = (os.environ.get(f"ATOMA_{n}") for n in ("BASE_URL", "API_KEY"))
    if base_url and api_key:
        yield base_url, api_key
    else:
        with LocalAtoma() as atoma:
            yield atoma.base_url, atoma.api_key


def _title(text: str) -> None:
    # No markup: the user's words may look like it.
    out.print(Text(printable(text), style="bold"), soft_wrap=True)


def _conclude(found: int, searched: int, *, confidential: bool) -> None:
    if searched == 0:
        passed = False
        verdict = "Nothing was long enough to be searched for: nothing was shown."
    elif confidential:
        passed = found == 0
        verdict = (
            "None of your text could be read on the way." if passed else "It leaked."
        )
    else:
        passed = found == searched
        verdict = (
            "Without sealing, all of it could be read on the way."
            if passed
            else "The search missed texts that crossed in clear."
        )
    out.print(f"{verdict}\n", style="bold green" if passed else "bold red")
    raise typer.Exit(0 if passed else 1)


if __name__ == "__main__":
    cli()
