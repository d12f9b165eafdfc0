"""The policy that wants two others to agree."""

from __future__ import annotations

from dataclasses import dataclass

from ..errors import InvalidInputError
from ..receipt import Signer
from ._first_use import OnFirstUse
from .policy import Appraisal, Candidate, TrustPolicy
from .result import OPEN_POINTS, Assurance, AttestationResult, OpenPoint

__all__ = ["both"]

_STRENGTH = list(Assurance)


def both(one: TrustPolicy, other: TrustPolicy) -> TrustPolicy:
    """Return the policy that accepts what both accept.

    One that remembers comes to stand around all others, so that nothing is remembered
    which another refuses.

    Raises:
        InvalidInputError: Both remember, in two places.
    """
    stores = [p.pins for p in (one, other) if isinstance(p, OnFirstUse)]
    if not stores:
        return _Both(one, other)
    if len({pins.identity for pins in stores}) > 1:
        raise InvalidInputError("Joined policies have to keep their pins in one place.")
    return OnFirstUse(stores[0], _Both(_deciding(one), _deciding(other)))


def _deciding(policy: TrustPolicy) -> TrustPolicy:
    return policy.policy if isinstance(policy, OnFirstUse) else policy


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
    witnessed = one if one.nonce_source else other
    ends = [r.expires_at for r in (one, other) if r.expires_at is not None]
    return AttestationResult(
        key=one.key,
        node=one.node,
        policy=policy,
        assurance=max(one.assurance, other.assurance, key=_STRENGTH.index),
        verified_at=one.verified_at,
        checks=one.checks + other.checks,
        gpus=tuple(dict.fromkeys(one.gpus + other.gpus)),
        not_proven=_not_proven(one.not_proven, other.not_proven),
        nonce_source=witnessed.nonce_source,
        contract_nonce=witnessed.contract_nonce,
        rotation=witnessed.rotation,
        evidence_digest=witnessed.evidence_digest,
        expires_at=min(ends, default=None),
    )


def _not_proven(
    one: tuple[OpenPoint, ...], other: tuple[OpenPoint, ...]
) -> tuple[OpenPoint, ...]:
    """Return what neither has proven, and what either has opened itself."""
    shared = {*one} & {*other}
    return tuple(
        point
        for point in dict.fromkeys(one + other)
        if point in shared or point not in OPEN_POINTS
    )
