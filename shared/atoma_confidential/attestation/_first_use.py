"""The policy that remembers nodes, and refuses one that has changed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from ..errors import InvalidInputError
from ..receipt import Signer
from .pins import NodePins, PinStore, SeenKey, SeenSigner
from .policy import Appraisal, Candidate, TrustPolicy
from .result import Check, OpenPoint, Outcome

__all__ = ["OnFirstUse"]

_NO_CHIPS = "no GPU is named: the key is logged, and only the signer is pinned"


@dataclass(frozen=True, slots=True)
class OnFirstUse(TrustPolicy):
    """Accepts what another policy accepts, of nodes that stay as they were met."""

    pins: PinStore
    policy: TrustPolicy

    def __post_init__(self) -> None:
        # What the inner one has just met, the outer one would take for known.
        if isinstance(self.policy, OnFirstUse):
            raise InvalidInputError("This policy remembers nodes already.")

    @property
    def name(self) -> str:  # type: ignore[override]  # made of another's name
        """The other policy's name with its own around it."""
        return f"on_first_use({self.policy.name})"

    @property
    def identity(self) -> str:
        """The other policy's, and that of where the pins are kept."""
        return f"on_first_use:{self.pins.identity}({self.policy.identity})"

    @property
    def asks(self) -> tuple[str, ...]:
        """Whom the policy asks that appraises the key."""
        return self.policy.asks

    def appraise(self, candidate: Candidate, *, now: float) -> Appraisal:
        """Ask the other policy, then compare with the pins or add to them."""
        result = yield from self.policy.appraise(candidate, now=now)
        chips = frozenset(gpu.chip_id for gpu in result.gpus)
        seen = SeenKey(candidate.recipient.fingerprint, chips)
        before = self.pins.remember(candidate.node, seen)
        check = _check(before, len(chips))
        # Said once: at the next request, a node is no longer one first seen. And where
        # nothing else runs out, it costs nothing to look at the pins each time.
        once = check.outcome is Outcome.SKIPPED or result.expires_at is None
        return replace(
            result,
            policy=self.name,
            checks=(*result.checks, check),
            not_proven=tuple(
                dict.fromkeys((*result.not_proven, OpenPoint.FIRST_CONTACT))
            ),
            expires_at=now if once else result.expires_at,
        )

    def appraise_signer(self, node: int, signer: Signer) -> bool:
        """Ask the other policy, then compare with the pins or add to them.

        The first signer is not a known one: whoever relayed that answer could have
        signed it instead of the node (protocol 3.4).
        """
        known = self.policy.appraise_signer(node, signer)
        before = self.pins.remember(node, SeenSigner(signer.address))
        return known or (before is not None and before.signer is not None)


def _check(before: NodePins | None, chips: int) -> Check:
    if not chips:
        return Check("first-use", Outcome.SKIPPED, _NO_CHIPS)
    gpus = "1 GPU" if chips == 1 else f"{chips} GPUs"
    if before is None or before.chips is None:
        return Check("first-use", Outcome.SKIPPED, f"{gpus}, first seen now")
    day = datetime.fromtimestamp(before.chips.since, tz=UTC).date()
    return Check("first-use", Outcome.PASSED, f"{gpus}, as on {day.isoformat()}")
