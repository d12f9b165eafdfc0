import base64

import pytest

from atoma_confidential import (
    AttestationError,
    InvalidInputError,
    Recipient,
    TrustPolicy,
)

KEY = bytes(range(32))
OTHER = bytes(range(1, 33))


def test_proxy_asserted_accepts_any_key_and_says_so():
    policy = TrustPolicy.proxy_asserted()
    policy.appraise(Recipient(KEY))
    assert policy.name == "proxy_asserted"


@pytest.mark.parametrize("key", [KEY, base64.b64encode(KEY).decode()])
def test_pinned_accepts_what_was_pinned_and_nothing_else(key):
    policy = TrustPolicy.pinned(keys=[key])
    policy.appraise(Recipient(KEY))
    assert policy.name == "pinned"
    with pytest.raises(AttestationError, match=Recipient(OTHER).fingerprint):
        policy.appraise(Recipient(OTHER))


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
