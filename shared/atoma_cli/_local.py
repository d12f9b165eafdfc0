"""`atoma local`: a local Atoma in the foreground."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from atoma_local import (
    FAULTS,
    Backend,
    BuiltInBackend,
    EngineError,
    Faults,
    LocalAtoma,
    UpstreamBackend,
    serve,
)

from ._console import CommandError, err, note
from ._endpoint import is_loopback

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ._endpoint import Nonces

__all__ = ["port_unusable", "serve_local"]

_ENGINE_KEY = "ATOMA_UPSTREAM_API_KEY"
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
        CommandError: The port is taken, there is no such fault, or the engine's key
            can be none.
    """
    backend: Backend = _engine(upstream) if upstream else BuiltInBackend()
    atoma = LocalAtoma(
        nonces=nonces.value,
        backend=backend,
        tokens=(),
        api_key=api_key,
        faults=_faults(faults),
    )
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


def _engine(url: str) -> UpstreamBackend:
    key = os.environ.get(_ENGINE_KEY, "").strip()
    if not (key.isascii() and key.isprintable()):
        raise CommandError(
            f"{_ENGINE_KEY} holds characters that no key has.", "Set it anew."
        )
    engine = UpstreamBackend(url, key)
    if not is_loopback(urlsplit(url).hostname or ""):
        note(f"What is asked leaves this machine for {url}, opened.")
    note(asyncio.run(_look_for(engine, url)))
    return engine


async def _look_for(engine: UpstreamBackend, url: str) -> str:
    """Say what the engine serves; it may as well be started after us."""
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            models = await engine.models()
    except EngineError as error:
        if error.status in {401, 403}:
            return f"The engine at {url} refuses the key: set {_ENGINE_KEY}."
        if error.status not in {502, 504}:
            return f"The engine at {url} does not say what it serves."
        return f"Nothing answers at {url} yet."
    except TimeoutError:
        return f"Nothing answers at {url} yet."
    finally:
        await engine.aclose()
    if not models:
        return f"The engine at {url} lists no models; every name is passed on."
    return f"The engine at {url} serves {', '.join(models)}."
