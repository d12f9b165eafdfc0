"""The options of `atoma chat`."""

from __future__ import annotations

from typing import Annotated

import typer

from .._console import failures, out
from .._endpoint import CHAT_MODEL, Endpoint, Framework, StreamMode
from ._options import ConfidentialOption, ModelOption, StreamModeOption

__all__ = ["chat"]


def chat(
    *,
    model: ModelOption = CHAT_MODEL,
    system: Annotated[
        str, typer.Option(show_default=False, help="Instructions for the model.")
    ] = "",
    stream_mode: StreamModeOption = StreamMode.AUTO,
    confidential: ConfidentialOption = True,
) -> None:
    """Talk to a model; /new starts over, Ctrl-D ends."""
    endpoint = Endpoint(model, stream_mode=stream_mode, confidential=confidential)
    with failures():
        from .._backend import connect  # noqa: PLC0415  heavy
        from .._chat import converse, read_line  # noqa: PLC0415  likewise

        backend = connect(Framework.LANGCHAIN, endpoint)
        converse(backend, read_line, system=system, forgiving=out.is_terminal)
