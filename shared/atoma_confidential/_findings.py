"""What a policy has found out about keys, for as long as that holds; in memory only."""

from __future__ import annotations

import copy
from collections.abc import Callable

from .attestation import AttestationResult, TrustPolicy
from .attestation.policy import Candidate
from .errors import AttestationError

__all__ = ["Findings"]

REJECTED_SECONDS = 60
"""How long a key that was rejected is not looked at again."""

MAX_FINDINGS = 1000
"""A proxy may hand out a new key with each lock."""

_BACKWARDS_SECONDS = 1
"""Threads that read a clock side by side may report it in another order."""


class Findings:
    """Results and rejections, by what was appraised and by the policy's identity.

    What was appraised is a key, with the node it is said to be of. A key is never
    looked up by its node or model alone: it is the key that is sealed to.

    Args:
        clock: Tells Unix time, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._latest = clock()
        self._found: dict[
            tuple[Candidate, str], tuple[AttestationResult | AttestationError, float]
        ] = {}

    def now(self) -> float:
        """Return the time; all that is known is dropped when it goes backwards."""
        now = self._clock()
        if now < self._latest - _BACKWARDS_SECONDS:
            self._found.clear()
            self._latest = now
        self._latest = max(self._latest, now)
        return now

    def look_up(
        self, candidate: Candidate, policy: TrustPolicy
    ) -> AttestationResult | None:
        """Return the result that still holds, if there is one.

        Raises:
            AttestationError: The key was rejected a moment ago.
        """
        now = self.now()
        found, until = self._found.get((candidate, policy.identity), (None, 0.0))
        if found is None or now >= until:
            return None
        if isinstance(found, AttestationError):
            raise copy.copy(found)
        return found

    def keep(
        self, candidate: Candidate, policy: TrustPolicy, result: AttestationResult
    ) -> None:
        """Remember a result until it expires."""
        until = float("inf") if result.expires_at is None else result.expires_at
        self._note(candidate, policy, result, until)

    def reject(
        self, candidate: Candidate, policy: TrustPolicy, error: AttestationError
    ) -> None:
        """Remember a rejection, so that nothing is fetched for it again and again."""
        # A copy has no traceback, whose frames would hold the request.
        until = self.now() + REJECTED_SECONDS
        self._note(candidate, policy, copy.copy(error), until)

    def _note(
        self,
        candidate: Candidate,
        policy: TrustPolicy,
        found: AttestationResult | AttestationError,
        until: float,
    ) -> None:
        if len(self._found) >= MAX_FINDINGS:
            self._found.clear()  # at once, for threads that do the same
        self._found[candidate, policy.identity] = found, until
