"""The options of `atoma proxy`."""

from __future__ import annotations

import enum
from pathlib import Path
from typing import Annotated

import typer

from .._console import failures
from .._endpoint import StreamMode
from ._options import PinsOption, StreamModeOption

__all__ = ["proxy"]


class Loopback(enum.StrEnum):
    """Where only this machine can connect to."""

    V4 = "127.0.0.1"
    V6 = "::1"


def proxy(
    *,
    host: Annotated[
        Loopback, typer.Option(help="The loopback address to listen on.")
    ] = Loopback.V4,
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="0 takes any free port.")
    ] = 8747,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            dir_okay=False,
            show_default="a new token each time, which is printed",
            help="Keep the token that callers must have in this file, for you alone.",
        ),
    ] = None,
    stream_mode: StreamModeOption = StreamMode.AUTO,
    timeout: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            show_default="as in docs/reliability.md",
            help="How long an answer may take, and a stream be silent.",
        ),
    ] = None,
    pins: PinsOption = None,
) -> None:
    """Serve OpenAI's API to programs on this machine, and seal what they send."""
    with failures():
        from .._proxy import serve_proxy  # noqa: PLC0415  starlette, uvicorn

        serve_proxy(
            host,
            port,
            token_file=token_file,
            stream_mode=stream_mode,
            timeout=timeout,
            pins=pins,
        )
