"""The policy that also asks NVIDIA's service about the evidence it has verified."""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field

from atoma_confidential.envelope import digest_of
from atoma_confidential.errors import DeviceNotAllowedError, InvalidInputError

from ._about import about
from ._document import check_address, host_of
from ._offline import (
    EvidencePolicy,
    Vouched,
    nvidia_offline,
    with_measurements,
)
from .nras import Appraised, attest_request, check_token, keys_request
from .policy import Appraisal, Candidate, Fetch, Fetched, TrustPolicy
from .result import Check, Outcome
from .sui import SuiContract

__all__ = ["nras"]

LIFETIME = 900.0
"""Seconds that a result holds: a revocation should be noticed."""


def nras(
    *,
    nonce: int | SuiContract,
    url: str,
    api_key: str | None,
    gpus: Iterable[str] | None,
    min_driver: str | None,
) -> TrustPolicy:
    """Return the policy for these; see `TrustPolicy.nras`."""
    if api_key is not None and not (
        isinstance(api_key, str) and re.fullmatch(r"[!-~]+", api_key)
    ):
        raise InvalidInputError("The API key holds a character that no API key has.")
    return NrasPolicy(
        nvidia_offline(nonce=nonce, gpus=gpus, min_driver=min_driver),
        check_address(url, "url").rstrip("/"),
        api_key,
    )


@dataclass(frozen=True, slots=True)
class NrasPolicy(TrustPolicy):
    """Accepts a key for which GPUs vouch that NVIDIA's service finds in order.

    A pickle does not hold the API key.
    """

    offline: EvidencePolicy
    url: str
    api_key: str | None = field(default=None, repr=False)
    name = "nras"

    @property
    def identity(self) -> str:
        """Its name and a digest of all that it accepts."""
        accepted = f"{self.url} {self.offline.identity}"
        return f"{self.name}:{digest_of(accepted.encode()).hex()}"

    def __reduce__(self) -> tuple[type[NrasPolicy], tuple[EvidencePolicy, str]]:
        return NrasPolicy, (self.offline, self.url)

    def __copy__(self) -> NrasPolicy:
        return self

    def __deepcopy__(self, _memo: object) -> NrasPolicy:
        return self

    @property
    def asks(self) -> tuple[str, ...]:
        """Whom the offline checks ask, and NVIDIA."""
        return *self.offline.asks, f"the service {host_of(self.url)}: which GPUs"

    def appraise(self, candidate: Candidate, *, now: float) -> Appraisal:
        """Verify the evidence, and only then ask about it."""
        with about(f"Node {candidate.node}, key {candidate.recipient.fingerprint}"):
            vouched = yield from self.offline.vouch(candidate, now=now)
            appraised = yield from self._ask(vouched, now)
        result = self.offline.result(candidate, vouched, policy=self.name, now=now)
        said = f"NVIDIA's service finds {len(vouched.gpus)} GPUs as they should be"
        checks = [Check("measurements", Outcome.PASSED, said)]
        if appraised.not_revoked:
            said = "NVIDIA's service finds no certificate revoked"
            checks.append(Check("revocation", Outcome.PASSED, said))
        ends = min(now + LIFETIME, appraised.expires_at)
        return with_measurements(result, checks, expires_at=ends)

    def _ask(
        self, vouched: Vouched, now: float
    ) -> Generator[Fetch, Fetched, Appraised]:
        gpus = vouched.gpus
        if len({gpu.model for gpu in gpus}) > 1:
            raise DeviceNotAllowedError("The GPUs are not all of one model.")
        answer = yield attest_request(
            self.url,
            [item for item in vouched.items if item.kind == "device"],
            model=gpus[0].model,
            nonce=vouched.nonce,
            api_key=self.api_key,
        )
        keys = yield keys_request(self.url)
        return check_token(
            answer,
            keys,
            issuer=self.url,
            nonce=vouched.nonce,
            gpus=gpus,
            now=now,
        )
