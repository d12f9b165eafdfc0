"""What the user sees: answers on stdout, everything said about them on stderr.

Nothing of a traceback and nothing of a document ever goes into an error message.
"""

from __future__ import annotations

import contextlib
import io
import logging
import os
import re
import sys
import unicodedata
import warnings
from typing import TYPE_CHECKING, NoReturn

import typer
from rich.console import Console
from rich.text import Text

from atoma_confidential.errors import (
    ConfidentialError,
    InvalidInputError,
    MissingCredentialsError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "USAGE",
    "CommandError",
    "err",
    "failures",
    "legible",
    "note",
    "out",
    "printable",
    "say_error",
    "sound",
]

out = Console(highlight=False)
err = Console(highlight=False, stderr=True)

_NO_KEY = (
    "Set ATOMA_API_KEY, or run `atoma local` in another terminal and export the two "
    "lines it prints."
)
_INTERRUPTED = 130
USAGE = 64
"""EX_USAGE of sysexits, where 1 and 2 mean something else."""

# The characters that make a terminal show others in another order.
_REORDERING = {"FSI", "LRE", "LRI", "LRO", "PDF", "PDI", "RLE", "RLI", "RLO"}

# The core's advice names Python parameters.
_AS_OPTIONS = re.compile(r"(stream_mode)='(\w+)'")


class CommandError(Exception):
    """A command cannot go on; `advice` says what the user can do about it."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message, advice)
        self.message = message
        self.advice = advice


def printable(text: str) -> str:
    """Drop what drives the terminal or reorders the line; replace half characters."""
    return "".join(
        char for char in sound(text) if char in "\n\t" or not _is_control(char)
    )


def sound(text: str) -> str:
    """Replace half surrogate pairs, which no encoding can carry."""
    return text.encode("utf-8", "replace").decode("utf-8")


def legible(name: str) -> str:
    """Escape what is not UTF-8 in the name of a file; other names stay other names."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def note(text: str, style: str = "yellow") -> None:
    """Print one line beside the answer."""
    _line(text, style)


def say_error(error: ConfidentialError | CommandError) -> None:
    """Print one red line, then what left the process and the next step."""
    if isinstance(error, ConfidentialError):
        _line(f"Error: {error.headline}", style="bold red")
        _line(f"Left this process: {error.exposure.value}.")
    else:
        _line(f"Error: {error.message}", style="bold red")
    advice = _NO_KEY if isinstance(error, MissingCredentialsError) else error.advice
    if advice:
        _line(f"Next: {_AS_OPTIONS.sub(_as_option, advice)}")


def _line(text: str, style: str = "") -> None:
    # One line, whatever the names in it are; not wrapped, for they are to be copied.
    line = " ".join(printable(text).splitlines())
    err.print(Text(line, style=style), soft_wrap=True)


def _is_control(char: str) -> bool:
    return (
        unicodedata.category(char) == "Cc"
        or unicodedata.bidirectional(char) in _REORDERING
    )


def _as_option(found: re.Match[str]) -> str:
    return f"--{found[1].replace('_', '-')} {found[2]}"


@contextlib.contextmanager
def failures(*, strict: bool = False) -> Iterator[None]:
    """Turn our errors into a red line and exit code 1, warnings into yellow lines.

    Args:
        strict: Whether what the user gave and cannot be used has a code of its own.
    """
    _tolerate_encodings()
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
            _exit(USAGE if strict and isinstance(error, InvalidInputError) else 1)
        except KeyboardInterrupt as interrupt:
            note(" ".join(["Interrupted.", *map(str, interrupt.args)]))
            _exit(_INTERRUPTED)


def _tolerate_encodings() -> None:
    # A terminal or a pipe that cannot carry a character gets "?", and no traceback.
    for stream in (sys.stdin, sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def _exit(code: int) -> NoReturn:
    raise typer.Exit(code) from None
