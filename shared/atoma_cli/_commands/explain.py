"""The options of `atoma explain`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from atoma_confidential.known_models import CHAT_MODEL, EMBEDDING_MODEL

from .._console import failures
from .._endpoint import Endpoint, Framework, StreamMode
from ._options import (
    ConfidentialOption,
    FrameworkOption,
    JsonOption,
    ModelOption,
    StreamModeOption,
    not_blank,
)

__all__ = ["explain"]


def explain(
    question: Annotated[
        str,
        typer.Argument(
            metavar="QUESTION", callback=not_blank, help="What would be asked."
        ),
    ] = "Hello",
    *,
    folder: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            file_okay=False,
            show_default=False,
            help="The folder it would be asked of, with `atoma ask`.",
        ),
    ] = None,
    framework: FrameworkOption = Framework.LANGCHAIN,
    model: ModelOption = CHAT_MODEL,
    embedding_model: Annotated[
        str,
        typer.Option(callback=not_blank, help="The model that makes the vectors."),
    ] = EMBEDDING_MODEL,
    stream_mode: StreamModeOption = StreamMode.AUTO,
    confidential: ConfidentialOption = True,
    as_json: JsonOption = False,
) -> None:
    """Show who would see what of a question; nothing is sent."""
    endpoint = Endpoint(
        model, embedding_model, stream_mode=stream_mode, confidential=confidential
    )
    with failures():
        from .._explain import account_for, show_account  # noqa: PLC0415  heavy

        account = account_for(question, endpoint, folder, framework)
        if as_json:
            typer.echo(json.dumps(account.as_dict(), indent=2, ensure_ascii=False))
        else:
            show_account(account)
