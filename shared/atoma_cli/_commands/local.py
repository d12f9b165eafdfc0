"""The options of `atoma local`."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlsplit

import typer

from .._console import failures
from .._endpoint import Nonces, is_loopback

__all__ = ["local"]


def local(
    *,
    host: Annotated[
        str, typer.Option(help="A loopback address to listen on.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, help="0 takes any free port.")
    ] = 8746,
    nonces: Annotated[
        Nonces,
        typer.Option(help="reused: seal streams as the published node software does."),
    ] = Nonces.FRESH,
    upstream: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            show_default="two small built-in models",
            help="An OpenAI-compatible engine to answer; "
            "ATOMA_UPSTREAM_API_KEY is its key, if it wants one.",
        ),
    ] = None,
    api_key: Annotated[
        str | None,
        typer.Option(show_default="random", help="The token clients must have."),
    ] = None,
    fault: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME[:N]",
            help="Misbehave in this way at every request; may be given again.",
        ),
    ] = None,
) -> None:
    """Serve a local Atoma for development and tests; it is not a TEE."""
    if not is_loopback(host):
        raise typer.BadParameter("not a loopback address", param_hint="--host")
    if upstream and not _is_http(upstream):
        raise typer.BadParameter("not an http address", param_hint="--upstream")
    with failures():
        from .._local import serve_local  # noqa: PLC0415  starlette, uvicorn

        serve_local(
            host,
            port,
            nonces=nonces,
            upstream=upstream,
            api_key=api_key,
            faults=fault or (),
        )


def _is_http(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return (
            parts.scheme in {"http", "https"}
            and parts.port != 0
            and bool(parts.hostname)
        )
    except ValueError:  # an open bracket, a port that is no number
        return False
