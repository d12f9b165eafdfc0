"""`atoma local`: a local Atoma in the foreground."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import httpx

from atoma_local import (
    FAULTS,
    Backend,
    BuiltInBackend,
    Faults,
    LocalAtoma,
    UpstreamBackend,
    serve,
)

from ._console import CommandError, err, note

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._endpoint import Nonces

__all__ = ["port_unusable", "serve_local"]

_PATIENCE_SECONDS = 5


def serve_local(
    host: str,
    port: int,
    *,
    nonces: Nonces,
    upstream: str | None,
    api_key: str | None,
    faults: Sequence[str] = (),
) -> None:
    """Print how to reach it, and serve until Ctrl-C.

    Raises:
        CommandError: The port is taken, or there is no such fault.
    """
    backend: Backend = UpstreamBackend(upstream) if upstream else BuiltInBackend()
    atoma = LocalAtoma(
        nonces=nonces.value,
        backend=backend,
        tokens=(),
        api_key=api_key,
        faults=_faults(faults),
    )
    if upstream:
        _look_for(upstream)
    err.print("Export these two lines in another terminal. Ctrl-C ends.", style="dim")
    try:
        serve(host, port, atoma=atoma)
    except OSError as error:
        raise port_unusable(host, port, error) from None


def port_unusable(host: str, port: int, error: OSError) -> CommandError:
    """Say why nobody can listen there."""
    return CommandError(
        f"Port {port} of {host} cannot be used: {os.strerror(error.errno or 0)}.",
        "Choose another with --port; 0 takes any free one.",
    )


def _faults(names: Sequence[str]) -> Faults:
    try:
        return Faults(*names)
    except (KeyError, ValueError):
        raise CommandError(
            "There is no such fault.", f"These there are: {', '.join(FAULTS)}."
        ) from None


def _look_for(engine: str) -> None:
    try:
        httpx.get(engine, timeout=_PATIENCE_SECONDS)
    except httpx.HTTPError:
        # Not an error: it may be started after us.
        note(f"Nothing answers at {engine} yet.")
