"""The options of `atoma chat`."""

from __future__ import annotations

import contextlib
import functools
from pathlib import Path
from typing import Annotated

import typer

from atoma_confidential.known_models import CHAT_MODEL

from .._console import failures, out
from .._endpoint import Endpoint, Framework, StreamMode
from ._options import ConfidentialOption, ModelOption, PinsOption, StreamModeOption

__all__ = ["chat"]


def chat(
    *,
    model: ModelOption = CHAT_MODEL,
    system: Annotated[
        str, typer.Option(show_default=False, help="Instructions for the model.")
    ] = "",
    receipt: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            show_default=False,
            help="Add each answer to this file, with the node's signature. "
            "Answers then come whole.",
        ),
    ] = None,
    stream_mode: StreamModeOption = StreamMode.AUTO,
    confidential: ConfidentialOption = True,
    pins: PinsOption = None,
) -> None:
    """Talk to a model; /new starts over, Ctrl-D ends."""
    if receipt is not None and not confidential:
        raise typer.BadParameter("plain answers are not signed", param_hint="--receipt")
    endpoint = Endpoint(
        model, stream_mode=stream_mode, confidential=confidential, pins=pins
    )
    with failures():
        from .._backend import connect  # noqa: PLC0415  heavy
        from .._chat import converse, read_line  # noqa: PLC0415  likewise
        from .._signed import Signed  # noqa: PLC0415  likewise

        say = functools.partial(
            converse, read=read_line, system=system, forgiving=out.is_terminal
        )
        if receipt is None:
            say(connect(Framework.LANGCHAIN, endpoint))
        else:
            with contextlib.closing(Signed(endpoint, receipt)) as answerer:
                say(answerer)
