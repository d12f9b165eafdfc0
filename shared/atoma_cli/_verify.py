"""`atoma verify`: appraise a node's key under a policy, and show each check."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from rich.text import Text

from atoma_confidential import (
    AttestationError,
    Client,
    EvidenceUnavailableError,
    InvalidInputError,
    VerifierUnavailableError,
)
from atoma_confidential.attestation import Assurance, Outcome
from atoma_confidential.attestation.policy import Fetched

from ._console import out, printable
from ._endpoint import STANDS_IN_FOR_A_KEY
from ._findings import Finding, State, exit_code, print_json, show

if TYPE_CHECKING:
    from pathlib import Path

    from atoma_confidential import AttestationResult, TrustPolicy
    from atoma_confidential.attestation.policy import Candidate

__all__ = ["appraise", "appraise_record", "conclude"]

_COULD_NOT_CHECK = (EvidenceUnavailableError, VerifierUnavailableError)

_MAX_RECORD = 1 << 20
"""Bytes, as of the service's answer."""

_CONCLUSIONS = {
    Assurance.GPU_WITNESSED: "Genuine NVIDIA GPUs vouched for this key.",
    Assurance.GPU_WITNESSED_MEASURED: "Genuine NVIDIA GPUs vouched for this key, and "
    "their firmware measures as NVIDIA says it must.",
}
_NO_CPU = "Atoma publishes no CPU attestation, so no client can check more today."


def appraise(
    policy: TrustPolicy, candidate: Candidate, *, attestation_url: str | None
) -> AttestationResult:
    """Appraise a key; what the policy wants is fetched, and no lock is taken.

    Raises:
        AttestationError: It is not acceptable, or could not be checked.
    """
    with Client(
        api_key=STANDS_IN_FOR_A_KEY, trust=policy, attestation_url=attestation_url
    ) as client:
        return client.appraise(node=candidate.node, key=candidate.recipient.public_key)


def appraise_record(
    policy: TrustPolicy, candidate: Candidate, record: Path, *, now: float
) -> AttestationResult:
    """Appraise a key by evidence in a file; nothing is fetched.

    Raises:
        AttestationError: It is not acceptable.
        InvalidInputError: The policy wants more than the file, or it is unreadable.
    """
    appraisal = policy.appraise(candidate, now=now)
    try:
        fetch = next(appraisal)
        while fetch.url.startswith("/"):
            fetch = appraisal.send(Fetched(200, _as_answer(record, candidate.node)))
    except StopIteration as stop:
        return cast("AttestationResult", stop.value)
    raise InvalidInputError("This policy fetches more than the evidence in a file.")


def _as_answer(record: Path, node: int) -> bytes:
    """Return the file as the service would send it; it may be just that."""
    try:
        with record.open("rb") as file:
            data = file.read(_MAX_RECORD + 1)
    except OSError as error:
        raise InvalidInputError(f"{record} cannot be read: {error.strerror}.") from None
    if len(data) > _MAX_RECORD:
        raise InvalidInputError(f"{record} exceeds {_MAX_RECORD} bytes.")
    if data.startswith(b"{"):
        return data
    return json.dumps({"node_small_id": node, "compressed_evidence": [*data]}).encode()


def conclude(
    outcome: AttestationResult | AttestationError,
    candidate: Candidate,
    *,
    as_json: bool,
) -> int:
    """Print an outcome and return the exit code."""
    findings = [*_findings(outcome)]
    accepted = None if isinstance(outcome, AttestationError) else outcome
    if as_json:
        result = asdict(accepted) if accepted else None
        print_json(findings, result=result, error=_error(outcome))
    else:
        _title(candidate, accepted)
        for finding in findings:
            show(finding)
        _show_conclusion(outcome)
    return exit_code(findings)


def _findings(outcome: AttestationResult | AttestationError) -> list[Finding]:
    if isinstance(outcome, AttestationError):
        unknown = isinstance(outcome, _COULD_NOT_CHECK)
        state = State.UNKNOWN if unknown else State.WRONG
        name = "evidence" if unknown else "key"
        advice = outcome.advice.replace("attestation_url=", "--attestation-url")
        return [Finding(name, state, outcome.headline, advice)]
    states = {Outcome.PASSED: State.OK, Outcome.SKIPPED: State.SKIPPED}
    return [
        Finding(check.name, states[check.outcome], check.detail)
        for check in outcome.checks
    ]


def _error(outcome: AttestationResult | AttestationError) -> dict[str, Any] | None:
    if isinstance(outcome, AttestationError):
        return {"class": type(outcome).__name__, "message": outcome.headline}
    return None


def _title(candidate: Candidate, result: AttestationResult | None) -> None:
    title = f"Node {candidate.node}, key {candidate.recipient.fingerprint}"
    if result and result.nonce_source:
        title += f", nonce from {result.nonce_source}"
    out.print(Text(title, style="bold"))
    out.print()


def _show_conclusion(outcome: AttestationResult | AttestationError) -> None:
    out.print()
    if isinstance(outcome, AttestationError):
        unknown = isinstance(outcome, _COULD_NOT_CHECK)
        found = "COULD NOT CHECK" if unknown else "REJECTED"
        out.print(Text(f"Result: {found}. The key must not be used.", style="bold"))
        return
    title = outcome.assurance.upper().replace("_", "-")
    why = _CONCLUSIONS[outcome.assurance]
    out.print(Text(f"Result: {title}. {why}", style="bold"))
    if outcome.not_proven:
        out.print(Text(printable(f"Not proven: {'; '.join(outcome.not_proven)}.")))
        out.print(_NO_CPU)
