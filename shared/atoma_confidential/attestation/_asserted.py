"""The policy that checks nothing, and says so."""

from __future__ import annotations

from dataclasses import dataclass

from .policy import Appraisal, Candidate, TrustPolicy
from .result import Assurance, AttestationResult, Check, Outcome

__all__ = ["ProxyAsserted"]

_NOTHING = "accepted because the proxy says so"


@dataclass(frozen=True, slots=True)
class ProxyAsserted(TrustPolicy):
    """Accepts what the proxy hands out."""

    name = "proxy_asserted"

    @property
    def identity(self) -> str:
        """Its name: there is nothing to tell two of them apart."""
        return self.name

    def appraise(self, candidate: Candidate, *, now: float) -> Appraisal:
        """Accept: that nothing is checked here is what the name says."""
        yield from ()
        return AttestationResult(
            key=candidate.recipient.fingerprint,
            node=candidate.node,
            policy=self.name,
            assurance=Assurance.PROXY_ASSERTED,
            verified_at=now,
            checks=(Check("key", Outcome.SKIPPED, _NOTHING),),
        )
