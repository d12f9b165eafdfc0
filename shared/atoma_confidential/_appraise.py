"""The appraisal of a node's key: the fetches it asks for, and one appraisal at a time.

A policy does no I/O and knows no cache; a shell knows no policy. What a policy wants
fetched is public: nothing of the request, and no API key, is sent for it.
"""

from __future__ import annotations

import re
from typing import cast

from ._session import AGENT, Alone, Flow, Reply, Send, Session
from .attestation import AttestationResult
from .attestation.policy import Appraisal, Candidate, Fetch, Fetched
from .errors import (
    AttestationError,
    ConnectionFailedError,
    ConnectionLostError,
    EvidenceFormatError,
    EvidenceRejectedError,
    Exposure,
    KeyNotBoundError,
    MissingEvidenceSourceError,
    RemoteProtocolError,
    ReplyTimeoutError,
    VerifierUnavailableError,
)

__all__ = ["appraise", "appraise_anew"]

_NO_ANSWER = (
    ConnectionFailedError,
    ConnectionLostError,
    RemoteProtocolError,  # too large
    ReplyTimeoutError,
)

_REJECTIONS = (EvidenceRejectedError, EvidenceFormatError)
"""Remembered. What could not be checked is not, nor is a pin that differs: to compare
it costs nothing, and a person who accepts it should not have to wait."""


def appraise(
    session: Session, candidate: Candidate, *, last: bool
) -> Flow[AttestationResult]:
    """Return why a key is acceptable, from what is known or by asking the policy.

    Callers that come at the same time make one set of fetches.

    Args:
        session: Whose policy is asked, and what it has found out.
        candidate: The key, and the node it is said to be of.
        last: Whether nobody will look again with a new lock. Evidence of another key
            is remembered only then, for a rotation may have fallen between the lock
            and the fetch.

    Raises:
        AttestationError: It is not acceptable, or could not be checked.
    """
    found = session.findings.look_up(candidate, session.trust)
    if found is None:
        name = f"key {candidate.recipient.public_key.hex()}"
        steps = _appraise_unknown(session, candidate, last=last)
        found = cast("AttestationResult", (yield Alone(name, steps)))
    return found


def _appraise_unknown(
    session: Session, candidate: Candidate, *, last: bool
) -> Flow[AttestationResult]:
    # Whoever had the turn before may have found it out.
    found = session.findings.look_up(candidate, session.trust)
    if found is None:
        found = yield from appraise_anew(session, candidate, last=last)
    return found


def appraise_anew(
    session: Session, candidate: Candidate, *, last: bool = True
) -> Flow[AttestationResult]:
    """Ask the policy, whatever is known, and remember what it finds."""
    findings, policy = session.findings, session.trust
    try:
        result = yield from _fetched(
            session, policy.appraise(candidate, now=findings.now())
        )
    except _REJECTIONS as error:
        if last or not isinstance(error, KeyNotBoundError):
            findings.reject(candidate, policy, error)
        raise
    if result.key != candidate.recipient.fingerprint:
        raise TypeError(f"The policy {policy.name} returned a result of another key.")
    findings.keep(candidate, policy, result)
    return result


def _fetched(session: Session, appraisal: Appraisal) -> Flow[AttestationResult]:
    """Run an appraisal, and make the fetches that it asks for."""
    try:
        fetch = next(appraisal)
        while True:
            try:
                fetched = yield from _fetch(session, fetch)
            except AttestationError as failure:
                fetch = appraisal.throw(failure)
            else:
                fetch = appraisal.send(fetched)
    except StopIteration as stop:
        return cast("AttestationResult", stop.value)
    finally:
        appraisal.close()


def _fetch(session: Session, fetch: Fetch) -> Flow[Fetched]:
    """Make one fetch; what it tells is which node or key somebody asks about."""
    origin, path = _split(fetch.url, session.attestation_url)
    kind = {} if fetch.body is None else {"Content-Type": "application/json"}
    send = Send(
        "GET" if fetch.body is None else "POST",
        path,
        {
            "Accept": "application/json",
            "Accept-Encoding": "identity",
            "User-Agent": AGENT,
            **kind,
            **fetch.headers,
        },
        fetch.body,
        before=Exposure.NOTHING,
        exposure=Exposure.NOTHING,
        wait="evidence",
        origin=origin,
    )
    try:
        reply = cast("Reply", (yield send))
    except _NO_ANSWER as error:
        raise VerifierUnavailableError(f"{origin}: {error.message}") from None
    if reply.headers.get("content-encoding", "identity") != "identity":
        raise VerifierUnavailableError(f"{origin}: The answer is compressed.")
    return Fetched(reply.status, reply.body)


def _split(url: str, attestation_url: str) -> tuple[str, str]:
    """Return what the shell connects to, and the rest; a path is a record's."""
    if not url.startswith("/"):
        origin = re.match(r"[^:]*://[^/?#]*", url)
        end = origin.end() if origin else 0
        return url[:end], url[end:]
    if not attestation_url:
        raise MissingEvidenceSourceError(
            "The policy needs the nodes' attestation records, and nobody said where "
            "they are."
        )
    return attestation_url, url
