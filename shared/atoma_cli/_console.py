"""What the user sees: answers on stdout, everything said about them on stderr.

Nothing of a traceback and nothing of a document ever goes into an error message.
"""

from __future__ import annotations

import contextlib
import logging
import re
import unicodedata
import warnings
from typing import TYPE_CHECKING, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from atoma_confidential.errors import ConfidentialError, MissingCredentialsError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["CommandError", "err", "failures", "note", "out", "printable", "say_error"]

out = Console(highlight=False)
err = Console(highlight=False, stderr=True)

_NO_KEY = (
    "Set ATOMA_API_KEY, or run `atoma local` in another terminal and export the two "
    "lines it prints."
)
_INTERRUPTED = 130

# The core's advice names Python parameters.
_AS_OPTIONS = re.compile(r"(stream_mode)='(\w+)'")


class CommandError(Exception):
    """A command cannot go on; `advice` says what the user can do about it."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message, advice)
        self.message = message
        self.advice = advice


def printable(text: str) -> str:
    """Drop control characters: an answer must not be able to drive the terminal."""
    return "".join(
        char for char in text if char in "\n\t" or unicodedata.category(char) != "Cc"
    )


def note(text: str) -> None:
    """Print one line beside the answer, in yellow."""
    _line(text, style="yellow")


def say_error(error: ConfidentialError | CommandError) -> None:
    """Print one red line, then what left the process and the next step."""
    _line(f"Error: {error.message}", style="bold red")
    if isinstance(error, ConfidentialError):
        _line(f"Left this process: {error.exposure.value}.")
    advice = _NO_KEY if isinstance(error, MissingCredentialsError) else error.advice
    if advice:
        _line(f"Next: {_AS_OPTIONS.sub(_as_option, advice)}")


def _line(text: str, style: str = "") -> None:
    # Not wrapped: paths and names in it are there to be copied.
    err.print(Text(printable(text), style=style), soft_wrap=True)


def _as_option(found: re.Match[str]) -> str:
    return f"--{found[1].replace('_', '-')} {found[2]}"


@contextlib.contextmanager
def failures() -> Iterator[None]:
    """Turn our errors into a red line and exit code 1, warnings into yellow lines."""
    # What it logs about plain endpoints is said by the commands themselves.
    logging.getLogger("atoma_confidential").addHandler(logging.NullHandler())
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        # It recommends a hosted Qdrant, which would get the vectors in clear.
        warnings.filterwarnings("ignore", message="Local mode is not recommended")
        warnings.showwarning = lambda message, *_, **__: note(f"Note: {message}")
        try:
            yield
        except (ConfidentialError, CommandError) as error:
            say_error(error)
            _exit(1)
        except KeyboardInterrupt:
            note("Interrupted.")
            _exit(_INTERRUPTED)


def _exit(code: int) -> NoReturn:
    raise typer.Exit(code) from None
