"""A policy that names GPUs, as one that verifies evidence does."""

from dataclasses import dataclass

from atoma_confidential import TrustPolicy
from atoma_confidential.attestation import Assurance, AttestationResult, Gpu
from atoma_confidential.attestation.policy import Candidate
from atoma_confidential.envelope import Recipient

CHIP = "48B02DEEA0DEA4EA"
OTHER_CHIP = "48B02D2A569EBAC1"
ADDRESS = "0x" + "1a" * 32
OTHER_ADDRESS = "0x" + "2b" * 32


@dataclass(frozen=True)
class Witnessed(TrustPolicy):
    chips: tuple[str, ...] = (CHIP,)
    expires_at: float | None = None
    name = "witnessed"

    @property
    def identity(self):
        return self.name

    def appraise(self, candidate, *, now):
        yield from ()
        return AttestationResult(
            key=candidate.recipient.fingerprint,
            node=candidate.node,
            policy=self.name,
            assurance=Assurance.GPU_WITNESSED,
            verified_at=now,
            gpus=tuple(Gpu("GH100", chip, "1", "", "", "", "") for chip in self.chips),
            expires_at=self.expires_at,
        )


def candidate(node=42, key=bytes(range(1, 33))):
    return Candidate(Recipient(key), node)


def result_of(policy, candidate, *, now=1e9):
    """Return the result of a policy that wants nothing fetched."""
    try:
        next(policy.appraise(candidate, now=now))
    except StopIteration as stop:
        return stop.value
    raise AssertionError("it wants something fetched")
