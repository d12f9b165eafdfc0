"""`atoma proxy`: OpenAI's API on loopback, in the foreground, and sealed from there."""

from __future__ import annotations

import contextlib
import re
import secrets
import sys
from typing import TYPE_CHECKING
from urllib.request import getproxies, proxy_bypass

from atoma_confidential._private_files import kept
from atoma_confidential.errors import PinFileError
from atoma_confidential.httpx import AsyncConfidentialTransport
from atoma_local._threaded import Server, listen, url_of

from ._console import CommandError, legible, note
from ._endpoint import Endpoint
from ._local import port_unusable
from ._proxy_app import build_app

if TYPE_CHECKING:
    from pathlib import Path

    from ._endpoint import StreamMode

__all__ = ["serve_proxy"]

_TOKEN = re.compile(rb"([!-~]{32,256})\r?\n?")
_LONGEST_FILE = 1024


def serve_proxy(
    host: str,
    port: int,
    *,
    token_file: Path | None,
    stream_mode: StreamMode,
    timeout: float | None,
    pins: Path | None,
) -> None:
    """Print how to reach it, and serve until Ctrl-C.

    Raises:
        MissingCredentialsError: There is no API key.
        CommandError: The port is taken, or the token's file cannot be used.
    """
    transport = AsyncConfidentialTransport(
        stream_mode=stream_mode.value, timeout=timeout, trust=Endpoint(pins=pins).trust
    )
    token = secrets.token_urlsafe(32) if token_file is None else _token_in(token_file)
    try:
        listener = listen((host, port))
    except OSError as error:
        raise port_unusable(host, port, error) from None
    with listener:
        app = build_app(
            transport,
            token=token,
            port=listener.getsockname()[1],
            say=lambda line: note(line, style="dim"),
        )
        note(f"All is sealed, and sent to {transport.base_url}. Ctrl-C ends.", "dim")
        _warn_of_proxies(host)
        _introduce(url_of(listener), token, token_file)
        with contextlib.suppress(KeyboardInterrupt):
            Server(app).run(sockets=[listener])


def _warn_of_proxies(host: str) -> None:
    """Say so if callers are likely to send what is meant for here somewhere else."""
    if getproxies().keys() & {"http", "all"} and not proxy_bypass(host):
        note(
            "HTTP_PROXY is set: programs that follow it send there, in clear, what is "
            f"meant for here. Set NO_PROXY={host} for them."
        )


def _introduce(url: str, token: str, token_file: Path | None) -> None:
    sys.stdout.write(f"OPENAI_BASE_URL={url}/v1\n")
    if token_file is None:
        sys.stdout.write(f"OPENAI_API_KEY={token}\n")
    else:
        note(f"The API key for it is in {legible(str(token_file))}.", "dim")
    sys.stdout.flush()


def _token_in(path: Path) -> str:
    """Return the token in a file, which is made where there is none."""
    try:
        data = kept(path, _LONGEST_FILE, _new_token)
    except PinFileError as error:
        raise _file_unusable(error.message) from None
    if (found := _TOKEN.fullmatch(data)) is None:
        raise _file_unusable(f"{path} holds no token of 32 to 256 characters.")
    return found[1].decode()


def _new_token() -> bytes:
    return secrets.token_urlsafe(32).encode() + b"\n"


def _file_unusable(why: str) -> CommandError:
    return CommandError(
        why, "Put it right, or name a file that does not exist: it is then made."
    )
