"""Trust on first use: what is compared, what is reported, and what is accepted."""

import pickle
from dataclasses import replace
from itertools import permutations

import pytest
from witnessed import (
    ADDRESS,
    CHIP,
    OTHER_ADDRESS,
    OTHER_CHIP,
    Witnessed,
    candidate,
    result_of,
)

from atoma_confidential import (
    AttestationError,
    InvalidInputError,
    PinFile,
    PinMismatchError,
    TrustPolicy,
)
from atoma_confidential.attestation import NodePins, Pin, Pins, SeenKey, SeenSigner
from atoma_confidential.attestation.pins import Change, LoggedKey
from atoma_confidential.attestation.result import NEVER_PROVEN, OpenPoint
from atoma_confidential.errors import Exposure
from atoma_confidential.receipt import Signer

KEY = "00112233aabbccdd"
PROXY = TrustPolicy.proxy_asserted()


def signer(address=ADDRESS):
    return Signer("ed25519", bytes(32), address)


@pytest.fixture
def at(monkeypatch):
    """Set the time of day, in seconds since 1970."""

    def set_time(seconds):
        monkeypatch.setattr("time.time", lambda: float(seconds))

    return set_time


# --- the policy ---------------------------------------------------------------------


def checks(policy, **changes):
    result = result_of(policy, candidate(**changes))
    return [(check.outcome, check.detail) for check in result.checks]


def test_a_first_contact_is_never_reported_as_passed(pins, at):
    at(1_795_132_800)
    policy = TrustPolicy.on_first_use(pins, Witnessed((CHIP, OTHER_CHIP)))
    assert checks(policy) == [("skipped", "2 GPUs, first seen now")]
    at(1_800_000_000)
    assert checks(policy) == [("passed", "2 GPUs, as on 2026-11-20")]
    one = TrustPolicy.on_first_use(pins, Witnessed())
    assert checks(one, node=7) == [("skipped", "1 GPU, first seen now")]


def test_the_rest_of_the_result_is_the_other_policy_s(pins):
    policy = TrustPolicy.on_first_use(pins, Witnessed(expires_at=2e9))
    first = result_of(policy, candidate(), now=1e9)
    again = result_of(policy, candidate(), now=1e9)
    assert first.assurance == "gpu_witnessed"
    assert first.policy == policy.name == "on_first_use(witnessed)"
    assert [gpu.chip_id for gpu in first.gpus] == [CHIP]
    assert "that the first contact with the node was genuine" in first.not_proven
    # What was said of a first contact holds once.
    assert (first.expires_at, again.expires_at) == (1e9, 2e9)


@pytest.mark.parametrize("other", [PROXY, Witnessed()])
def test_what_never_runs_out_is_compared_with_the_pins_each_time(pins, other):
    policy = TrustPolicy.on_first_use(pins, other)
    found = [result_of(policy, candidate(), now=now) for now in (1e9, 2e9)]
    assert [result.expires_at for result in found] == [1e9, 2e9]


def test_what_the_other_policy_refuses_is_not_remembered(pins):
    policy = TrustPolicy.on_first_use(pins, TrustPolicy.pinned(keys=[bytes(32)]))
    with pytest.raises(PinMismatchError):
        result_of(policy, candidate())
    assert pins.read() == Pins()


@pytest.mark.parametrize(
    ("chips", "said"),
    [
        ((CHIP, "third"), f"GPU third is new, GPU {OTHER_CHIP} is missing"),
        ((CHIP, OTHER_CHIP, "third"), "GPU third is new"),
        ((CHIP,), f"GPU {OTHER_CHIP} is missing"),
        ((), f"GPU {OTHER_CHIP} is missing, GPU {CHIP} is missing"),
    ],
)
def test_other_more_or_fewer_gpus_are_a_mismatch(pins, chips, said):
    both = TrustPolicy.on_first_use(pins, Witnessed((CHIP, OTHER_CHIP)))
    result_of(both, candidate())
    changed = TrustPolicy.on_first_use(pins, Witnessed(chips))
    for _ in range(2):
        with pytest.raises(PinMismatchError) as no:
            result_of(changed, candidate())
        assert no.value.message == f"Node 42 is not as it was pinned: {said}."
        assert no.value.exposure is Exposure.NOTHING
    assert checks(both)[0][0] == "passed"


def test_a_mismatch_names_the_first_few_changes(pins):
    result_of(TrustPolicy.on_first_use(pins, Witnessed()), candidate())
    many = TrustPolicy.on_first_use(pins, Witnessed(tuple("abcdefgh")))
    with pytest.raises(PinMismatchError) as no:
        result_of(many, candidate())
    assert no.value.message == (
        "Node 42 is not as it was pinned: GPU a is new, GPU b is new, GPU c is new, "
        "GPU d is new, and 5 more."
    )


def test_another_node_with_the_gpus_of_one_is_its_own_first_contact(pins):
    policy = TrustPolicy.on_first_use(pins, Witnessed())
    result_of(policy, candidate(node=1))
    assert checks(policy, node=2)[0][0] == "skipped"


def test_without_gpus_it_says_what_is_left(pins):
    policy = TrustPolicy.on_first_use(pins, PROXY)
    for _ in range(2):
        said = checks(policy)[-1]
        assert said == (
            "skipped",
            "no GPU is named: the key is logged, and only the signer is pinned",
        )
    assert pins.read().nodes[42].chips is None
    # A policy that names them later has its own first use of them.
    later = TrustPolicy.on_first_use(pins, Witnessed())
    assert [checks(later)[-1][0] for _ in range(2)] == ["skipped", "passed"]


def test_every_accepted_key_is_logged_once_for_each_change(pins, at):
    policy = TrustPolicy.on_first_use(pins, PROXY)
    one, other = candidate(), candidate(key=bytes(range(2, 34)))
    for seconds, key in enumerate([one, one, other, other, one]):
        at(seconds)
        result_of(policy, key)
    first, second = one.recipient.fingerprint, other.recipient.fingerprint
    assert pins.accepted_keys() == (
        LoggedKey(0, 42, first),
        LoggedKey(2, 42, second),
        LoggedKey(4, 42, first),
    )
    assert pins.read().nodes[42].key == Pin(first, 4)


def test_the_first_signer_is_not_a_known_one_and_another_is_refused(pins):
    policy = TrustPolicy.on_first_use(pins, PROXY)
    result_of(policy, candidate())
    assert not policy.appraise_signer(42, signer())
    assert policy.appraise_signer(42, signer())
    with pytest.raises(PinMismatchError, match=r"42.*0x1a1a1a1a…1a1a is now") as no:
        policy.appraise_signer(42, signer(OTHER_ADDRESS))
    assert no.value.exposure is Exposure.SEALED
    assert not policy.appraise_signer(7, signer(OTHER_ADDRESS))
    assert policy.appraise_signer(42, signer())


def test_the_other_policy_is_asked_about_the_signer_too(pins):
    known = TrustPolicy.signed_by({42: ADDRESS})
    policy = TrustPolicy.on_first_use(pins, known)
    assert policy.appraise_signer(42, signer())
    with pytest.raises(PinMismatchError):
        policy.appraise_signer(7, signer())
    assert list(pins.read().nodes) == [42]


def test_joined_with_another_it_remembers_what_both_accept(pins):
    other = TrustPolicy.pinned(keys=[bytes(32)])
    first_use = TrustPolicy.on_first_use(pins, Witnessed())
    for policy in (first_use & other, other & first_use):
        with pytest.raises(AttestationError):
            result_of(policy, candidate())
    assert pins.read() == Pins()
    result = result_of(first_use & TrustPolicy.signed_by({42: ADDRESS}), candidate())
    assert result.policy == "on_first_use(witnessed+signed_by)"


def in_all_orders(*policies):
    """Return three policies joined, in each order and grouped in both ways."""
    for a, b, c in permutations(policies):
        yield from (a & b & c, a & (b & c))


@pytest.mark.parametrize("order", range(12))
def test_of_three_that_are_joined_none_has_another_remembered(pins, order):
    pinned = TrustPolicy.pinned(keys=[candidate().recipient.public_key])
    first_use = TrustPolicy.on_first_use(pins, Witnessed())
    refusing = TrustPolicy.signed_by({7: ADDRESS})
    policy = [*in_all_orders(pinned, first_use, refusing)][order]
    with pytest.raises(PinMismatchError, match="for node 42"):
        result_of(policy, candidate())
    with pytest.raises(PinMismatchError, match="for node 42"):
        policy.appraise_signer(42, signer())
    with pytest.raises(PinMismatchError):
        policy.appraise_signer(7, signer(OTHER_ADDRESS))
    assert pins.read() == Pins()
    assert pins.accepted_keys() == ()


@pytest.mark.parametrize("order", range(12))
def test_of_three_that_are_joined_each_is_heard(pins, order):
    pinned = TrustPolicy.pinned(keys=[candidate().recipient.public_key])
    first_use = TrustPolicy.on_first_use(pins, Witnessed())
    known = TrustPolicy.signed_by({42: ADDRESS})
    policy = [*in_all_orders(pinned, first_use, known)][order]
    result = result_of(policy, candidate())
    assert OpenPoint.FIRST_CONTACT in result.not_proven
    assert result.assurance == "gpu_witnessed"
    assert sorted(check.name for check in result.checks) == [
        "first-use",
        "key",
        "signer",
    ]
    assert policy.knows_signers
    assert policy.appraise_signer(42, signer())
    (node,) = pins.read().nodes.values()
    assert node.chips.value == {CHIP}
    assert node.signer.value == ADDRESS
    with pytest.raises(PinMismatchError):
        result_of(policy, candidate(key=bytes(range(2, 34))))
    assert len(pins.accepted_keys()) == 1


def test_what_a_policy_believes_stays_open_where_it_is_joined():
    """A first contact that a policy of one's own has believed, without a store."""

    class Believing(Witnessed):
        def appraise(self, candidate, *, now):
            result = yield from super().appraise(candidate, now=now)
            believed = (*NEVER_PROVEN, OpenPoint.FIRST_CONTACT)
            return replace(result, not_proven=believed)

    for policy in (Believing() & PROXY, PROXY & Believing()):
        found = result_of(policy, candidate()).not_proven
        assert set(found) == {*NEVER_PROVEN, OpenPoint.FIRST_CONTACT}
        assert len(found) == 5


def test_nodes_are_remembered_in_one_place(pins, tmp_path):
    here = TrustPolicy.on_first_use(pins, Witnessed())
    same = TrustPolicy.on_first_use(PinFile(pins.path), PROXY)
    for policy in (here & same, same & here):
        result = result_of(policy, candidate(node=1))
        assert [c.name for c in result.checks].count("first-use") == 1
        assert result.checks[-1].outcome == "skipped"
        assert pins.read().nodes[1].chips.value == {CHIP}
        pins.forget(1)
    elsewhere = TrustPolicy.on_first_use(PinFile(tmp_path / "other"), PROXY)
    with pytest.raises(InvalidInputError, match="in one place"):
        here & elsewhere
    with pytest.raises(InvalidInputError, match="already"):
        TrustPolicy.on_first_use(pins, here)


def test_policies_are_told_apart_by_their_pins_and_by_what_they_ask(tmp_path):
    one, other = PinFile(tmp_path / "one"), PinFile(tmp_path / "other")
    pinned = TrustPolicy.pinned(keys=[bytes(32)])
    policies = [(one, PROXY), (other, PROXY), (one, pinned)]
    identities = {TrustPolicy.on_first_use(*p).identity for p in policies}
    assert len(identities) == 3
    assert TrustPolicy.on_first_use(PinFile(one.path), PROXY).identity in identities
    assert str(tmp_path) not in "".join(identities)


def test_it_survives_a_pickle(pins):
    policy = TrustPolicy.on_first_use(pins, Witnessed())
    checks(policy)
    copy = pickle.loads(pickle.dumps(policy))
    assert copy.identity == policy.identity
    assert checks(copy)[0][0] == "passed"


# --- signers without a file ---------------------------------------------------------


def test_signed_by_knows_its_signers_and_no_other_node():
    policy = TrustPolicy.signed_by({42: ADDRESS.upper().replace("X", "x")})
    result = result_of(policy, candidate())
    assert result.assurance == "proxy_asserted"
    assert [check.outcome for check in result.checks] == ["skipped"]
    assert policy.appraise_signer(42, signer())
    with pytest.raises(PinMismatchError, match="node 7") as no:
        result_of(policy, candidate(node=7))
    assert no.value.exposure is Exposure.NOTHING
    for node, address in ((42, OTHER_ADDRESS), (7, ADDRESS)):
        with pytest.raises(PinMismatchError) as no:
            policy.appraise_signer(node, signer(address))
        assert no.value.exposure is Exposure.SEALED


@pytest.mark.parametrize(
    "signers",
    [{}, {42: "0x12"}, {42: 7}, {"42": ADDRESS}, {True: ADDRESS}, {-1: ADDRESS}],
)
def test_signers_that_could_not_hold_are_refused(signers):
    with pytest.raises(InvalidInputError):
        TrustPolicy.signed_by(signers)


def test_signed_by_is_told_apart_by_its_signers_and_joins_others():
    one = TrustPolicy.signed_by({1: ADDRESS, 2: OTHER_ADDRESS})
    assert (
        one.identity == TrustPolicy.signed_by({2: OTHER_ADDRESS, 1: ADDRESS}).identity
    )
    assert one.identity != TrustPolicy.signed_by({1: ADDRESS}).identity
    joined = one & Witnessed()
    assert joined.identity != (Witnessed() & one).identity
    assert result_of(joined, candidate(node=1)).assurance == "gpu_witnessed"
    assert joined.appraise_signer(1, signer())


# --- what is accepted and forgotten -------------------------------------------------


def test_what_is_accepted_takes_the_place_of_what_was_pinned():
    pins = NodePins(
        42, chips=Pin(frozenset({CHIP}), 1), signer=Pin(ADDRESS, 1), key=Pin(KEY, 1)
    )
    assert pins.accepting(at=9) == pins
    seen = SeenKey("f" * 16, frozenset({OTHER_CHIP}))
    refused = pins.refusing(seen, at=5)
    assert refused.refusing(seen, at=6) == refused
    accepted = refused.accepting(at=9)
    assert accepted.chips == Pin(seen.chips, 9)
    assert (accepted.key, accepted.refused) == (pins.key, None)
    accepted = pins.refusing(SeenSigner(OTHER_ADDRESS), at=5).accepting(at=9)
    assert (accepted.signer, accepted.chips) == (Pin(OTHER_ADDRESS, 9), pins.chips)
    assert pins.refusing(SeenKey(KEY), at=5).accepting(at=9).chips is None


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (Change("GPU", "", CHIP), f"GPU {CHIP} is new"),
        (Change("GPU", CHIP, ""), f"GPU {CHIP} is missing"),
        (
            Change("signer", ADDRESS, OTHER_ADDRESS),
            "signer 0x1a1a1a1a…1a1a is now 0x2b2b2b2b…2b2b",
        ),
    ],
)
def test_a_change_says_what_it_is(change, text):
    assert str(change) == text
