"""What a trust policy adds to the key of LangChain's cache of answers."""

from __future__ import annotations

import functools
import hashlib
import uuid

from atoma_confidential.attestation import TrustPolicy
from atoma_confidential.attestation.policy import _Pinned, _ProxyAsserted

__all__ = ["cache_key_of"]


def cache_key_of(policy: TrustPolicy | None) -> str:
    """Return a text that two policies share only if they accept the same keys.

    The core's own are told by their keys, in every process. What another one accepts
    cannot be seen from here: it shares with what equals it, in this process.
    """
    if policy is None:
        return TrustPolicy.proxy_asserted().name
    if type(policy) is _ProxyAsserted:
        return policy.name
    if type(policy) is _Pinned:
        digest = hashlib.sha256(b"".join(sorted(policy.keys))).hexdigest()
        return f"{policy.name}:{digest}"
    try:
        return _token(policy)
    except TypeError:  # it has no hash because it may change
        return uuid.uuid4().hex


@functools.cache
def _token(_: TrustPolicy) -> str:
    # Not its id(), which another gets once it is gone.
    return uuid.uuid4().hex
