import base64

import pytest

from atoma_confidential import (
    AttestationError,
    InvalidInputError,
    Recipient,
    TrustPolicy,
)
from atoma_confidential.attestation.policy import Candidate


def appraise(policy, key):
    """Return the result of a policy that wants nothing fetched."""
    with pytest.raises(StopIteration) as stop:
        next(policy.appraise(Candidate(Recipient(key), 7), now=1e9))
    return stop.value.value


KEY = bytes(range(32))
OTHER = bytes(range(1, 33))


def test_proxy_asserted_accepts_any_key_and_says_so():
    policy = TrustPolicy.proxy_asserted()
    result = appraise(policy, KEY)
    assert result.assurance == policy.name == "proxy_asserted"
    assert [check.outcome for check in result.checks] == ["skipped"]


@pytest.mark.parametrize("key", [KEY, base64.b64encode(KEY).decode()])
def test_pinned_accepts_what_was_pinned_and_nothing_else(key):
    policy = TrustPolicy.pinned(keys=[key])
    assert appraise(policy, KEY).assurance == "key_pinned"
    assert policy.name == "pinned"
    with pytest.raises(AttestationError, match=Recipient(OTHER).fingerprint):
        next(policy.appraise(Candidate(Recipient(OTHER), 7), now=1e9))


@pytest.mark.parametrize(
    "keys",
    [[], [b"short"], ["not base64!"], ["c2hvcnQ="], ["B" * 42 + "B="], ["schlüssel"]],
)
def test_a_pin_that_could_not_hold_is_refused(keys):
    with pytest.raises(InvalidInputError):
        TrustPolicy.pinned(keys=keys)


def test_policies_are_told_apart_by_the_keys_they_accept():
    one = TrustPolicy.pinned(keys=[KEY, OTHER])
    assert one.identity == TrustPolicy.pinned(keys=[OTHER, KEY]).identity
    assert one.identity != TrustPolicy.pinned(keys=[KEY]).identity
    assert one.identity != TrustPolicy.proxy_asserted().identity
