"""The policy that accepts keys, or the chips behind them, from a list."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce
from operator import and_

from .._base64 import decoded
from ..envelope import digest_of
from ..errors import InvalidInputError, PinMismatchError
from ._offline import nvidia_offline
from .policy import Appraisal, Candidate, TrustPolicy
from .result import Assurance, AttestationResult, Check, Outcome
from .sui import SuiContract

__all__ = ["pinned"]


def pinned(
    keys: Iterable[bytes | str] | None,
    gpus: Iterable[str] | None,
    nonce: int | SuiContract | None,
) -> TrustPolicy:
    """Return the policy for these; see `TrustPolicy.pinned`."""
    if keys is None and gpus is None:
        raise InvalidInputError("pinned() needs keys, gpus, or both.")
    if (gpus is None) != (nonce is None):
        # Without a nonce, evidence of these chips could be anybody's, and old.
        raise InvalidInputError("pinned() needs gpus and nonce together.")
    policies: list[TrustPolicy] = []
    if keys is not None:
        policies.append(_pinned_keys(keys))
    if nonce is not None:
        verified = nvidia_offline(nonce=nonce, gpus=gpus)
        policies.append(replace(verified, name=_Pinned.name))
    return reduce(and_, policies)


def _pinned_keys(keys: Iterable[bytes | str]) -> TrustPolicy:
    pins = frozenset(_key_bytes(key) for key in keys)
    if not pins:
        raise InvalidInputError("pinned() needs at least one key.")
    return _Pinned(pins)


@dataclass(frozen=True, slots=True)
class _Pinned(TrustPolicy):
    keys: frozenset[bytes]
    name = "pinned"

    @property
    def identity(self) -> str:
        return f"{self.name}:{digest_of(b''.join(sorted(self.keys))).hex()}"

    def appraise(self, candidate: Candidate, *, now: float) -> Appraisal:
        yield from ()
        key = candidate.recipient
        if key.public_key not in self.keys:
            raise PinMismatchError(
                f"The proxy handed out the node key {key.fingerprint}, which is not "
                "among the pinned ones."
            )
        return AttestationResult(
            key=key.fingerprint,
            node=candidate.node,
            policy=self.name,
            assurance=Assurance.KEY_PINNED,
            verified_at=now,
            checks=(Check("key", Outcome.PASSED, "among the pinned ones"),),
        )


def _key_bytes(key: bytes | str) -> bytes:
    data = key if isinstance(key, bytes) else decoded(key)
    if data is None or len(data) != 32:  # noqa: PLR2004 - an X25519 key
        raise InvalidInputError("A pinned key has 32 bytes, or is their base64 text.")
    return data
