"""`atoma doctor`: look at all that a sealed call depends on, and say what is off.

Each look is a generator of findings; a look whose ground is missing is skipped, which
is not the same as well.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from atoma_confidential import Client, ConfidentialError, Exposure

from . import _surroundings
from ._findings import Finding, State, wrong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from atoma_confidential import Verdict

__all__ = ["Patient", "examine"]

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
    yield from _surroundings.versions()
    yield from _surroundings.tracing()
    base_url, found = _surroundings.address()
    yield found
    yield (key := _surroundings.key())
    if base_url is None or patient.offline:
        why = "--offline" if patient.offline else "there is no address"
        yield from _skipped(_NETWORK, why)
        return
    yield (name := _surroundings.name(base_url))
    if name.state is State.WRONG:
        yield from _skipped(_NETWORK[1:], "the host cannot be reached")
        return
    yield _surroundings.tls(base_url)
    yield _surroundings.clock(base_url)
    if key.state is not State.OK:
        yield from _skipped(_ACCOUNT, "there is no API key")
        return
    yield from _account(patient)


def _account(patient: Patient) -> Iterator[Finding]:
    with Client(max_retries=1) as client:
        yield (listing := _listing(client))
        if listing.state is not State.OK or not patient.spend:
            why = "the account is refused" if patient.spend else "--no-spend"
            yield from _skipped(_ACCOUNT[1:], why)
            return
        yield from _round_trip(client, patient.model)


_ACCOUNT = ("account", "lock", "round trip", "trust", "streams")
_NETWORK = ("name", "tls", "clock", *_ACCOUNT)


def _skipped(names: tuple[str, ...], why: str) -> Iterator[Finding]:
    for name in names:
        yield Finding(name, State.SKIPPED, why)


def _listing(client: Client) -> Finding:
    try:
        models = client.models()
    except ConfidentialError as error:
        return wrong("account", error)
    return Finding("account", State.OK, f"accepted; {len(models)} models are listed")


def _round_trip(client: Client, model: str) -> Iterator[Finding]:
    try:
        reply = client.chat(_HELLO, model=model, max_tokens=4, temperature=0)
    except ConfidentialError as error:
        before_content = error.exposure in (Exposure.NOTHING, Exposure.LOCK)
        failed = "lock" if before_content else "round trip"
        if not before_content:
            yield Finding("lock", State.OK, "a node was reserved")
        yield wrong(failed, error)
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
        return wrong("streams", error)
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
