import base64

import pytest

from atoma_confidential import (
    AsyncClient,
    AttestationError,
    Client,
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


class Nobody(TrustPolicy):
    """An allow-list that is empty for now, and false."""

    name = identity = "nobody"

    def __len__(self):
        return 0

    def appraise(self, candidate, *, now):
        yield from ()
        raise AttestationError("Nobody is accepted.")


def test_a_policy_that_is_false_is_still_the_policy(make_atoma):
    atoma = make_atoma()
    for kind in (Client, AsyncClient):
        client = kind(base_url=atoma.base_url, api_key=atoma.api_key, trust=Nobody())
        assert client._connection.session.trust.name == "nobody"


@pytest.mark.parametrize("trust", ["", 0, False, [], {}, "pinned", object()])
def test_what_is_no_policy_is_refused(trust):
    with pytest.raises(InvalidInputError, match="TrustPolicy"):
        Client(api_key="k", trust=trust)


@pytest.mark.parametrize(
    "make",
    [
        lambda: TrustPolicy.pinned(keys=KEY),
        lambda: TrustPolicy.pinned(keys=[None]),
        lambda: TrustPolicy.signed_by("x"),
        lambda: Candidate.of(node=1, key=None),
    ],
)
def test_arguments_of_another_type_are_refused_as_ours(make):
    with pytest.raises(InvalidInputError):
        make()
