"""The `atoma` command: a local Atoma, a model list, questions to a folder, a chat.

Everything heavy is imported inside the command that needs it, so that `atoma --help`
answers at once and a missing extra is one sentence instead of a traceback.
"""

from __future__ import annotations

import sys

__all__ = ["app"]

_EXTRA = "atoma-confidential[cli]"


def app() -> None:
    """Run the command line, or say which extra is missing."""
    try:
        from ._app import cli  # noqa: PLC0415  typer and rich come with the extra

        cli()  # and so does what each command imports
    except ModuleNotFoundError as error:
        missing = (error.name or "").partition(".")[0]
        if not missing or "atoma" in missing:
            raise  # ours, and a bug
        sys.exit(f"atoma: {missing} is not installed. Run: pip install '{_EXTRA}'")
