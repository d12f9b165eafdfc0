"""The policy that wants two others to agree."""

from __future__ import annotations

from dataclasses import dataclass

from ..receipt import Signer
from .policy import Appraisal, Candidate, TrustPolicy
from .result import Assurance, AttestationResult

__all__ = ["both"]

_STRENGTH = list(Assurance)


def both(one: TrustPolicy, other: TrustPolicy) -> TrustPolicy:
    """Return the policy that accepts what both accept."""
    return _Both(one, other)


@dataclass(frozen=True, slots=True)
class _Both(TrustPolicy):
    one: TrustPolicy
    other: TrustPolicy

    @property
    def name(self) -> str:  # type: ignore[override]  # made of two names
        return "+".join(dict.fromkeys([self.one.name, self.other.name]))

    @property
    def identity(self) -> str:
        return f"({self.one.identity})&({self.other.identity})"

    @property
    def asks(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self.one.asks + self.other.asks))

    @property
    def knows_signers(self) -> bool:
        return self.one.knows_signers or self.other.knows_signers

    def appraise(self, candidate: Candidate, *, now: float) -> Appraisal:
        one = yield from self.one.appraise(candidate, now=now)
        other = yield from self.other.appraise(candidate, now=now)
        return _joined(one, other, self.name)

    def appraise_signer(self, node: int, signer: Signer) -> bool:
        # Both are asked, for each may refuse.
        known = [p.appraise_signer(node, signer) for p in (self.one, self.other)]
        return any(known)


def _joined(
    one: AttestationResult, other: AttestationResult, policy: str
) -> AttestationResult:
    ends = [r.expires_at for r in (one, other) if r.expires_at is not None]
    return AttestationResult(
        key=one.key,
        node=one.node,
        policy=policy,
        assurance=max(one.assurance, other.assurance, key=_STRENGTH.index),
        verified_at=one.verified_at,
        checks=one.checks + other.checks,
        gpus=tuple(dict.fromkeys(one.gpus + other.gpus)),
        not_proven=tuple(
            open_ for open_ in one.not_proven if open_ in other.not_proven
        ),
        nonce_source=one.nonce_source or other.nonce_source,
        evidence_digest=one.evidence_digest or other.evidence_digest,
        expires_at=min(ends, default=None),
    )
