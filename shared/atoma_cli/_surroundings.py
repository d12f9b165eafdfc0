"""What stands around a call, for `atoma doctor`: versions, settings, the way there.

Nothing here needs an account; what asks the network asks for no more than the time.
"""

from __future__ import annotations

import datetime as dt
import os
import platform
import socket
import ssl
from email.utils import parsedate_to_datetime
from importlib import metadata
from typing import TYPE_CHECKING

import httpx
from packaging.requirements import Requirement

from atoma_confidential import ConfidentialError
from atoma_confidential._http import proxy_of
from atoma_confidential.credentials import (
    API_KEY_VARIABLES,
    BASE_URL_VARIABLES,
    resolve_base_url,
)

from ._findings import Finding, State, wrong
from ._sinks import plaintext_sinks

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["address", "clock", "key", "name", "tls", "tracing", "versions"]

_DISTRIBUTION = "atoma-confidential"
_NAMED = ("cryptography", "httpx", "langchain-core", "llama-index-core")
_PATIENCE_SECONDS = 10
_MAX_SKEW_SECONDS = 120
_SOON_DAYS = 14


def versions() -> Iterator[Finding]:
    """Look at this package, and whether what it needs is of the right version."""
    python = platform.python_version()
    ours = metadata.version(_DISTRIBUTION)
    bad = [wrong for wrong in map(_misfit, _requirements()) if wrong]
    if bad:
        yield Finding(
            "versions",
            State.WRONG,
            "; ".join(bad),
            f"Reinstall: pip install --upgrade '{_DISTRIBUTION}[all]'.",
        )
        return
    others = [f"{name} {_installed(name)}" for name in _NAMED if _installed(name)]
    detail = ", ".join([f"{_DISTRIBUTION} {ours}", f"Python {python}", *others])
    yield Finding("versions", State.OK, detail)


def _requirements() -> list[Requirement]:
    return [Requirement(text) for text in metadata.requires(_DISTRIBUTION) or ()]


def _misfit(wanted: Requirement) -> str:
    """Return what is wrong with an installed package; one that is missing is none."""
    installed = _installed(wanted.name)
    if not installed or wanted.specifier.contains(installed, prereleases=True):
        return ""
    return f"{wanted.name} {installed} is not {wanted.specifier}"


def _installed(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ""  # of an extra that is not used; the command itself would not start


def tracing() -> Iterator[Finding]:
    """Look for sinks of plaintext, in each framework that is installed."""
    for framework, sinks in plaintext_sinks().items():
        if sinks:
            yield Finding(
                "tracing",
                State.NOTE,
                f"{framework}: {sinks}",
                "Applications of yours that use it write plaintext there.",
            )
        else:
            yield Finding("tracing", State.OK, f"{framework}: no known sink is on")


def address() -> tuple[str | None, Finding]:
    """Look at where requests would go; None where that cannot be used."""
    source = _variable(BASE_URL_VARIABLES) or "default"
    try:
        base_url = resolve_base_url()
    except ConfidentialError as error:
        return None, wrong("address", error)
    return base_url, Finding("address", State.OK, f"{base_url} ({source})")


def key() -> Finding:
    """Look whether there is an API key; not at the key."""
    source = _variable(API_KEY_VARIABLES)
    if source is None:
        return Finding(
            "api key", State.WRONG, "there is none", f"Set {API_KEY_VARIABLES[0]}."
        )
    return Finding("api key", State.OK, f"from {source}")


def _variable(names: tuple[str, ...]) -> str | None:
    return next((name for name in names if os.environ.get(name)), None)


def name(base_url: str) -> Finding:
    """Look whether the host has an address."""
    url = httpx.URL(base_url)
    try:
        found = socket.getaddrinfo(url.host, _port(url), type=socket.SOCK_STREAM)
    except OSError as error:
        if proxy_of(base_url) is not None:
            return Finding(
                "name", State.SKIPPED, "a proxy of the environment looks it up"
            )
        return Finding(
            "name",
            State.WRONG,
            f"{url.host} has no address ({type(error).__name__})",
            "Check the network, and the spelling of ATOMA_BASE_URL.",
        )
    addresses = {str(entry[4][0]) for entry in found}
    return Finding("name", State.OK, f"{url.host} has {_count(addresses, 'address')}")


def _count(things: set[str], noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 'es'}"


def _port(url: httpx.URL) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def tls(base_url: str) -> Finding:
    """Look at the host's certificate."""
    url = httpx.URL(base_url)
    if url.scheme == "http":
        return Finding("tls", State.SKIPPED, "http, on this machine")
    if proxy_of(base_url) is not None:
        return Finding("tls", State.SKIPPED, "a proxy of the environment is between")
    context = httpx.create_ssl_context()
    try:
        with (
            socket.create_connection(
                (url.host, _port(url)), timeout=_PATIENCE_SECONDS
            ) as plain,
            context.wrap_socket(plain, server_hostname=url.host) as tls,
        ):
            return _certificate(tls)
    except ssl.SSLCertVerificationError as error:
        return Finding(
            "tls",
            State.WRONG,
            f"the certificate is not accepted: {error.verify_message}",
            "Something on the way may be intercepting TLS; check the clock as well.",
        )
    except OSError as error:
        return Finding("tls", State.UNKNOWN, f"no connection ({type(error).__name__})")


def _certificate(tls: ssl.SSLSocket) -> Finding:
    certificate = tls.getpeercert() or {}
    ends = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    left = dt.datetime.fromtimestamp(ends, dt.UTC) - dt.datetime.now(dt.UTC)
    detail = f"{tls.version()}, certificate good for {left.days} days"
    state = State.OK if left.days >= _SOON_DAYS else State.NOTE
    return Finding("tls", state, detail)


def clock(base_url: str) -> Finding:
    """Compare this machine's clock with the server's."""
    if base_url.startswith("http:"):
        return Finding("clock", State.SKIPPED, "the server is this machine")
    try:
        # The head is all that is read.
        with httpx.stream(
            "GET", f"{base_url}/health", timeout=_PATIENCE_SECONDS
        ) as answer:
            there = parsedate_to_datetime(answer.headers["date"])
    except (httpx.HTTPError, KeyError, ValueError) as error:
        return Finding(
            "clock", State.UNKNOWN, f"no time from the server ({type(error).__name__})"
        )
    skew = (dt.datetime.now(dt.UTC) - there).total_seconds()
    if abs(skew) <= _MAX_SKEW_SECONDS:
        return Finding("clock", State.OK, "as the server's, within two minutes")
    return Finding(
        "clock",
        State.WRONG,
        f"{abs(skew):.0f} s {'ahead of' if skew > 0 else 'behind'} the server's",
        "Set this machine's clock: certificates and evidence are judged by it.",
    )
