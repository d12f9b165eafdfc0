"""The options of `atoma ask`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from atoma_confidential.known_models import CHAT_MODEL, EMBEDDING_MODEL

from .._console import err, failures
from .._endpoint import Endpoint, Framework, StreamMode
from ._options import (
    ConfidentialOption,
    FrameworkOption,
    ModelOption,
    PinsOption,
    StreamModeOption,
    not_blank,
)

__all__ = ["ask"]


def ask(
    folder: Annotated[
        Path,
        typer.Argument(
            metavar="FOLDER",
            exists=True,
            file_okay=False,
            readable=True,
            show_default=False,
            help="A folder of .md, .txt and .pdf files.",
        ),
    ],
    question: Annotated[
        str,
        typer.Argument(
            metavar="QUESTION",
            callback=not_blank,
            show_default=False,
            help="What you want to know.",
        ),
    ],
    *,
    framework: FrameworkOption = Framework.LANGCHAIN,
    model: ModelOption = CHAT_MODEL,
    embedding_model: Annotated[
        str,
        typer.Option(callback=not_blank, help="The model that makes the vectors."),
    ] = EMBEDDING_MODEL,
    k: Annotated[
        int, typer.Option("-k", min=1, help="How many passages to answer from.")
    ] = 4,
    index_dir: Annotated[
        Path | None,
        typer.Option(
            file_okay=False,
            show_default="one for each folder and framework, in your own settings",
            help="Where the index is kept between runs, in clear. "
            "Only ever name one that you made yourself.",
        ),
    ] = None,
    stream_mode: StreamModeOption = StreamMode.AUTO,
    confidential: ConfidentialOption = True,
    pins: PinsOption = None,
) -> None:
    """Answer a question from a folder of documents, and list the sources."""
    endpoint = Endpoint(
        model,
        embedding_model,
        stream_mode=stream_mode,
        confidential=confidential,
        pins=pins,
    )
    with failures():
        with err.status("Loading …"):
            from .._ask import Question  # noqa: PLC0415  heavy
            from .._ask import ask as answer_from  # noqa: PLC0415  likewise
        answer_from(Question(folder, question, k, index_dir), endpoint, framework)
