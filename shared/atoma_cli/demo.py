"""`make demo`: ask a folder through a wiretap, then show what the wire saw.

Each framework asks the same question of the same folder, behind a wiretap of its own.
Runs against a local Atoma, or against the network when both ATOMA_API_KEY and
ATOMA_BASE_URL are set. Sealed, nothing may be found on the wire; in clear, everything
must be: either way the exit code says whether the search told the truth.
"""

from __future__ import annotations

import contextlib
import enum
import os
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from atoma_local import LocalAtoma, Wiretap

from ._ask import Question, ask
from ._console import failures, out, printable
from ._endpoint import Endpoint, Framework
from ._wire_report import Search, search, show_search, show_view

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


_NAMES = {Framework.LANGCHAIN: "LangChain", Framework.LLAMA_INDEX: "LlamaIndex"}


class Shown(enum.StrEnum):
    """Which frameworks ask."""

    BOTH = "both"
    LANGCHAIN = Framework.LANGCHAIN.value
    LLAMA_INDEX = Framework.LLAMA_INDEX.value

    @property
    def frameworks(self) -> list[Framework]:
        """The frameworks, in the order they ask."""
        return [*Framework] if self is Shown.BOTH else [Framework(self.value)]


@cli.command()
def main(
    folder: Annotated[Path, typer.Argument(exists=True, file_okay=False)],
    question: str,
    *,
    framework: Shown = Shown.BOTH,
    confidential: bool = True,
) -> None:
    """Ask a folder a question through a wiretap, and show what the wire saw."""
    with failures(), _network() as (base_url, api_key):
        passed = [
            _show(
                shown,
                Question(folder, question, k=4),
                Endpoint(confidential=confidential, base_url=base_url, api_key=api_key),
            )
            for shown in framework.frameworks
        ]
    raise typer.Exit(0 if all(passed) else 1)


def _show(framework: Framework, question: Question, endpoint: Endpoint) -> bool:
    """Ask through a wiretap, print what it saw, and tell whether that was right."""
    flag = "" if endpoint.confidential else " --no-confidential"
    out.rule(Text(_NAMES[framework], style="bold"), align="left", style="dim")
    _title(
        f'\n$ atoma ask {question.folder} "{question.text}" '
        f"--framework {framework}{flag}\n"
    )
    with (
        Wiretap(str(endpoint.base_url)) as tap,
        tempfile.TemporaryDirectory() as directory,
    ):
        asked = ask(
            replace(question, index_dir=Path(directory)),
            replace(endpoint, base_url=tap.base_url),
            framework,
        )
        _title(f"\nOn the wire to {endpoint.base_url}\n")
        show_view(tap.view())
        if endpoint.confidential:
            out.print(_ABOUT_THE_PROBE, style="dim")
        found = search(tap, asked, question.text)
        show_search(found)
    return _conclude(found, confidential=endpoint.confidential)


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


def _conclude(search: Search, *, confidential: bool) -> bool:
    found, searched = search.found, len(search.names)
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
    return passed


if __name__ == "__main__":
    cli()
