"""`atoma doctor`: look at all that a sealed call depends on, and say what is off.

Each look is a generator of findings; a look whose ground is missing is skipped, which
is not the same as well.
"""

from __future__ import annotations

import datetime as dt
import os
import platform
import socket
import ssl
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from importlib import metadata
from typing import TYPE_CHECKING

import httpx
from packaging.requirements import Requirement

from atoma_confidential import Client, ConfidentialError, Exposure
from atoma_confidential.credentials import (
    API_KEY_VARIABLES,
    BASE_URL_VARIABLES,
    resolve_base_url,
)

from ._findings import Finding, State
from ._sinks import plaintext_sinks

if TYPE_CHECKING:
    from collections.abc import Iterator

    from atoma_confidential import Verdict

__all__ = ["Patient", "examine"]

_DISTRIBUTION = "atoma-confidential"
_NAMED = ("cryptography", "httpx", "langchain-core", "llama-index-core")
_PATIENCE_SECONDS = 10
_MAX_SKEW_SECONDS = 120
_SOON_DAYS = 14
_HELLO = [{"role": "user", "content": "Say OK."}]


@dataclass(frozen=True, slots=True)
class Patient:
    """What is looked at.

    Attributes:
        model: The model that is asked.
        offline: Whether nothing may be sent.
        spend: Whether a lock may be taken, which reserves units and may cost money.
    """

    model: str
    offline: bool = False
    spend: bool = True


def examine(patient: Patient) -> Iterator[Finding]:
    """Yield what is found, in the order in which one thing depends on the other."""
    yield from _versions()
    yield from _tracing()
    base_url, found = _address()
    yield found
    yield (key := _key())
    if base_url is None or patient.offline:
        why = "--offline" if patient.offline else "there is no address"
        yield from _skipped(_NETWORK, why)
        return
    yield (name := _name(base_url))
    if name.state is not State.OK:
        yield from _skipped(_NETWORK[1:], "the host cannot be reached")
        return
    yield _tls(base_url)
    yield _clock(base_url)
    if key.state is not State.OK:
        yield from _skipped(_ACCOUNT, "there is no API key")
        return
    with Client(max_retries=1) as client:
        yield (account := _account(client))
        if account.state is not State.OK or not patient.spend:
            why = "the account is refused" if patient.spend else "--no-spend"
            yield from _skipped(_ACCOUNT[1:], why)
            return
        yield from _round_trip(client, patient.model)


_ACCOUNT = ("account", "lock", "round trip", "trust", "streams")
_NETWORK = ("name", "tls", "clock", *_ACCOUNT)


def _skipped(names: tuple[str, ...], why: str) -> Iterator[Finding]:
    for name in names:
        yield Finding(name, State.SKIPPED, why)


def _versions() -> Iterator[Finding]:
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


def _tracing() -> Iterator[Finding]:
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


def _address() -> tuple[str | None, Finding]:
    source = _variable(BASE_URL_VARIABLES) or "default"
    try:
        base_url = resolve_base_url()
    except ConfidentialError as error:
        return None, _wrong("address", error)
    return base_url, Finding("address", State.OK, f"{base_url} ({source})")


def _key() -> Finding:
    source = _variable(API_KEY_VARIABLES)
    if source is None:
        return Finding(
            "api key", State.WRONG, "there is none", f"Set {API_KEY_VARIABLES[0]}."
        )
    return Finding("api key", State.OK, f"from {source}")


def _variable(names: tuple[str, ...]) -> str | None:
    return next((name for name in names if os.environ.get(name)), None)


def _name(base_url: str) -> Finding:
    url = httpx.URL(base_url)
    try:
        found = socket.getaddrinfo(url.host, _port(url), type=socket.SOCK_STREAM)
    except OSError as error:
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


def _tls(base_url: str) -> Finding:
    url = httpx.URL(base_url)
    if url.scheme == "http":
        return Finding("tls", State.SKIPPED, "http, on this machine")
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
        return Finding(
            "tls",
            State.UNKNOWN,
            f"no connection ({type(error).__name__})",
            "Behind a proxy of the environment this cannot be looked at.",
        )


def _certificate(tls: ssl.SSLSocket) -> Finding:
    certificate = tls.getpeercert() or {}
    ends = ssl.cert_time_to_seconds(str(certificate["notAfter"]))
    left = dt.datetime.fromtimestamp(ends, dt.UTC) - dt.datetime.now(dt.UTC)
    detail = f"{tls.version()}, certificate good for {left.days} days"
    state = State.OK if left.days >= _SOON_DAYS else State.NOTE
    return Finding("tls", state, detail)


def _clock(base_url: str) -> Finding:
    if base_url.startswith("http:"):
        return Finding("clock", State.SKIPPED, "the server is this machine")
    try:
        answer = httpx.get(f"{base_url}/health", timeout=_PATIENCE_SECONDS)
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


def _account(client: Client) -> Finding:
    try:
        models = client.models()
    except ConfidentialError as error:
        return _wrong("account", error)
    return Finding("account", State.OK, f"accepted; {len(models)} models are listed")


def _round_trip(client: Client, model: str) -> Iterator[Finding]:
    try:
        reply = client.chat(_HELLO, model=model, max_tokens=4, temperature=0)
    except ConfidentialError as error:
        before_content = error.exposure in (Exposure.NOTHING, Exposure.LOCK)
        failed = "lock" if before_content else "round trip"
        if not before_content:
            yield Finding("lock", State.OK, "a node was reserved")
        yield _wrong(failed, error)
        rest = ("round trip", "trust", "streams") if before_content else _ACCOUNT[3:]
        yield from _skipped(rest, f"the {failed} failed")
        return
    yield Finding("lock", State.OK, f"node {reply.verdict.node} was reserved")
    yield Finding(
        "round trip",
        State.OK,
        f"sealed, opened, hash {reply.verdict.hash}, "
        f"signature {reply.verdict.signature}",
    )
    yield _trust(reply.verdict)
    yield _streams(client, model)


def _trust(verdict: Verdict) -> Finding:
    return Finding(
        "trust",
        State.NOTE,
        f"key {verdict.key} was accepted because the proxy says so; nothing was "
        "checked",
        "To check it: atoma verify. What that can show: docs/attestation.md.",
    )


def _streams(client: Client, model: str) -> Finding:
    try:
        shown = client.probe_nonces(model=model)
    except ConfidentialError as error:
        return _wrong("streams", error)
    match shown:
        case "fresh":
            detail = "the node uses a fresh nonce for each piece: streamed live"
            return Finding("streams", State.OK, detail)
        case "reused":
            return Finding(
                "streams",
                State.NOTE,
                "the node repeats a nonce: the proxy could read a live stream",
                "Nothing to do: answers are fetched whole by default.",
            )
    return Finding(
        "streams",
        State.UNKNOWN,
        "the probe gave too little to tell",
        "Until a probe succeeds, answers are fetched whole.",
    )


def _wrong(name: str, error: ConfidentialError) -> Finding:
    return Finding(name, State.WRONG, error.headline, error.advice)
