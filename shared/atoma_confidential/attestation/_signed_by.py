"""The policy that knows which addresses nodes sign with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ..envelope import digest_of
from ..errors import Exposure, InvalidInputError, PinMismatchError
from ..receipt import Signer
from ._pin_json import is_address
from .pins import Change, mismatch
from .policy import Appraisal, Candidate, TrustPolicy
from .result import Assurance, AttestationResult, Check, Outcome

__all__ = ["signed_by"]

_LATER = "compared with the pinned address once there is an answer"


def signed_by(signers: Mapping[int, str]) -> TrustPolicy:
    """Return the policy for these signers; see `TrustPolicy.signed_by`."""
    if not isinstance(signers, Mapping):
        raise InvalidInputError("signed_by() needs nodes with their Sui addresses.")
    pins = {node: str(address).lower() for node, address in signers.items()}
    if not pins or not all(map(is_address, pins.values())):
        raise InvalidInputError(
            "signed_by() needs nodes with their Sui addresses: 0x and 64 hex digits."
        )
    if not all(type(node) is int and node >= 0 for node in pins):
        raise InvalidInputError("A node is a whole number, 0 or more.")
    return _SignedBy(tuple(sorted(pins.items())))


@dataclass(frozen=True, slots=True)
class _SignedBy(TrustPolicy):
    signers: tuple[tuple[int, str], ...]
    name = "signed_by"

    @property
    def identity(self) -> str:
        return f"{self.name}:{digest_of(repr(self.signers).encode()).hex()}"

    def appraise(self, candidate: Candidate, *, now: float) -> Appraisal:
        yield from ()
        self._address(candidate.node, Exposure.NOTHING)
        return AttestationResult(
            key=candidate.recipient.fingerprint,
            node=candidate.node,
            policy=self.name,
            assurance=Assurance.PROXY_ASSERTED,
            verified_at=now,
            checks=(Check("signer", Outcome.SKIPPED, _LATER),),
        )

    def appraise_signer(self, node: int, signer: Signer) -> bool:
        pinned = self._address(node, Exposure.SEALED)
        if pinned != signer.address:
            change = Change("signer", pinned, signer.address)
            raise mismatch(node, (change,), Exposure.SEALED)
        return True

    def _address(self, node: int, exposure: Exposure) -> str:
        for known, address in self.signers:
            if known == node:
                return address
        raise PinMismatchError(f"No signer is pinned for node {node}.", exposure)
