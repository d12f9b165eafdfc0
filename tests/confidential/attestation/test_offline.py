"""Policies over evidence: where it comes from, who may vouch, what the result says."""

import pickle
from dataclasses import FrozenInstanceError, fields, replace

import pytest
from appraisal import KEY, NODE, Chain, appraise, record
from silicon import NOW, OPAQUE, pack, utc

from atoma_confidential import Recipient, SuiContract, TrustPolicy
from atoma_confidential.attestation.evidence import report_nonce
from atoma_confidential.attestation.policy import Fetched
from atoma_confidential.attestation.result import NEVER_PROVEN, OpenPoint
from atoma_confidential.errors import (
    AttestationError,
    ChainRejectedError,
    DeviceNotAllowedError,
    EvidenceFormatError,
    EvidenceUnavailableError,
    InvalidInputError,
    KeyNotBoundError,
    PinMismatchError,
    VerifierUnavailableError,
)

NONCE = 7
SUI = SuiContract(rpc_url=Chain.url, atoma_db=Chain.database)
COMMITTED = SuiContract(
    rpc_url=Chain.url, atoma_db=Chain.database, package=Chain.package
)
FINGERPRINT = Recipient(KEY).fingerprint


@pytest.fixture
def evidence(authority):
    """Return the compressed evidence of chips for a key and a contract nonce."""

    def evidence(*numbers, nonce=NONCE, key=KEY, **changes):
        signed = report_nonce(nonce, key)
        chips = [authority.chip(number=number) for number in numbers or (1,)]
        return pack([chip.entry(signed, **changes) for chip in chips])

    return evidence


@pytest.fixture
def offline(authority):
    """Return a policy that trusts the test authority instead of NVIDIA."""

    def offline(*, nonce=NONCE, **options):
        policy = TrustPolicy.nvidia_offline(nonce=nonce, **options)
        return replace(policy, root=authority.fingerprint)

    return offline


def outcomes(result):
    return {check.name: str(check.outcome) for check in result.checks}


# --- a nonce given by hand ----------------------------------------------------------


def test_a_result_says_what_was_checked_and_what_was_not(offline, evidence):
    asked = []
    data = evidence(1, 2)

    def serve(fetch):
        asked.append((fetch.url, fetch.body, fetch.headers))
        return record(data)

    result = appraise(offline(), serve)
    assert asked == [(f"/v1/get_node_attestation/{NODE}", None, {})]
    assert result.policy == "nvidia_offline"
    assert result.assurance == "gpu_witnessed"
    assert (result.key, result.node) == (FINGERPRINT, NODE)
    assert (result.nonce_source, result.contract_nonce) == ("user", NONCE)
    assert result.rotation is None
    assert len(result.evidence_digest) == 64
    assert [gpu.chip_id[-2:] for gpu in result.gpus] == ["01", "02"]
    assert (result.verified_at, result.expires_at) == (NOW, NOW + 3600)
    assert result.not_proven == (
        *NEVER_PROVEN,
        OpenPoint.NODE_KEY,
        OpenPoint.FIRMWARE,
        OpenPoint.GPU_MODE,
    )
    (devices,) = [check.detail for check in result.checks if check.name == "devices"]
    assert devices == "2 distinct GH100, driver 570.124.06, VBIOS 96.00.BC.00.02"
    assert outcomes(result) == {
        "evidence": "passed",
        "certificates": "passed",
        "firmware ids": "passed",
        "signatures": "passed",
        "key binding": "passed",
        "node": "skipped",
        "devices": "passed",
        "measurements": "skipped",
        "revocation": "skipped",
    }


def test_what_a_report_leaves_out_is_not_said_to_be_checked(offline, evidence):
    data = evidence(1, opaque={20: None})
    result = appraise(offline(), lambda _: record(data))
    assert outcomes(result)["firmware ids"] == "skipped"


def test_links_between_gpus_are_covered_only_with_the_switches(
    offline, authority, evidence
):
    protected = {21: b"\xaa"}
    alone = appraise(offline(), lambda _: record(evidence(1, 2, opaque=protected)))
    assert outcomes(alone)["links"] == "skipped"
    signed = report_nonce(NONCE, KEY)
    chips = [authority.chip(), authority.chip("LS_10", number=2)]
    whole = pack([chips[0].entry(signed, opaque=protected), chips[1].entry(signed)])
    assert "links" not in outcomes(appraise(offline(), lambda _: record(whole)))


def test_a_result_ends_with_its_certificates(offline, authority):
    chip = authority.chip(years=(2020, 2027))
    data = pack([chip.entry(report_nonce(NONCE, KEY))])
    ends = utc(2027).timestamp()
    result = appraise(offline(), lambda _: record(data), now=ends - 60)
    assert result.expires_at == ends


@pytest.mark.parametrize(
    ("signed", "used"),
    [
        ({"nonce": 8}, {}),
        ({"key": KEY[::-1]}, {}),
        ({}, {"key": KEY[::-1]}),
    ],
)
def test_another_key_or_nonce_is_refused(offline, evidence, signed, used):
    asked = []
    data = evidence(**signed)

    def serve(fetch):
        asked.append(fetch)
        return record(data)

    with pytest.raises(KeyNotBoundError):
        appraise(offline(), serve, **used)
    assert len(asked) == 1  # the exchange looks again, with a new lock


def test_an_error_names_the_node_and_the_key(offline, evidence):
    data = evidence(nonce=8)
    with pytest.raises(KeyNotBoundError) as caught:
        appraise(offline(), lambda _: record(data))
    text = str(caught.value)
    assert text.startswith(f"Node {NODE}, key {FINGERPRINT}: Device 1 of 1: ")
    assert str(pickle.loads(pickle.dumps(caught.value))) == text


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Fetched(404, b""), EvidenceUnavailableError),
        (Fetched(502, b"bad gateway"), EvidenceUnavailableError),
        (Fetched(200, b"not json"), EvidenceFormatError),
        (record(b"not zlib"), EvidenceFormatError),
        (record(b"x", node=NODE + 1), EvidenceFormatError),
    ],
)
def test_no_evidence_is_no_success(offline, answer, error):
    with pytest.raises(error, match=f"Node {NODE}, key {FINGERPRINT}: "):
        appraise(offline(), lambda _: answer)


def test_a_service_out_of_reach_is_an_error_about_the_node(offline):
    def unreachable(_):
        raise VerifierUnavailableError("No connection.")

    with pytest.raises(VerifierUnavailableError, match=f"Node {NODE}, key "):
        appraise(offline(), unreachable)


def test_nvidias_root_is_the_one_that_counts(evidence):
    data = evidence()
    with pytest.raises(ChainRejectedError, match="another root"):
        appraise(TrustPolicy.nvidia_offline(nonce=NONCE), lambda _: record(data))


# --- which chips --------------------------------------------------------------------


def test_only_allowed_chips_may_vouch(offline, evidence):
    data = evidence(1, 2)
    ids = ["48B02D0000000001", "48b02d0000000002"]
    result = appraise(offline(gpus=ids), lambda _: record(data))
    assert "all among the chips allowed" in str(result.checks)
    with pytest.raises(DeviceNotAllowedError, match="not among the chips"):
        appraise(offline(gpus=ids[0]), lambda _: record(data))


@pytest.mark.parametrize("oldest", ["570.124.06", "570.124.6", "570", "535.999"])
def test_a_driver_is_new_enough(offline, evidence, oldest):
    data = evidence()
    appraise(offline(min_driver=oldest), lambda _: record(data))


@pytest.mark.parametrize("oldest", ["570.124.07", "570.200", "571", "580.95.05"])
def test_or_too_old(offline, evidence, oldest):
    assert OPAQUE[3] == b"570.124.06\0"
    data = evidence()
    with pytest.raises(DeviceNotAllowedError, match=r"driver 570\.124\.06"):
        appraise(offline(min_driver=oldest), lambda _: record(data))


# --- the nonce from the contract ----------------------------------------------------


def test_the_nonce_may_come_from_the_contract(offline, evidence):
    chain = Chain(nonce=99, counter=4, evidence=evidence(nonce=99))
    result = appraise(offline(nonce=SUI), chain)
    assert result.nonce_source == "sui"
    assert (result.contract_nonce, result.rotation) == (99, 4)
    assert OpenPoint.NODE_KEY in result.not_proven
    assert [fetch.url for fetch in chain.asked] == [
        Chain.url,
        f"/v1/get_node_attestation/{NODE}",
    ]


def test_key_and_evidence_may_come_from_the_nodes_commitment(offline, evidence):
    chain = Chain(nonce=99, counter=4)
    chain.commit(evidence(nonce=99), counter=4)
    result = appraise(offline(nonce=COMMITTED), chain)
    assert (result.contract_nonce, result.rotation) == (99, 4)
    assert {fetch.url for fetch in chain.asked} == {Chain.url}
    assert result.nonce_source == "sui"
    assert OpenPoint.NODE_KEY not in result.not_proven
    assert outcomes(result)["node"] == "passed"


def test_a_key_that_the_node_did_not_commit_to_is_refused(offline, evidence):
    """Its evidence may be good: then it is another node's (threat G)."""
    chain = Chain(nonce=99)
    chain.commit(evidence(nonce=99, key=KEY[::-1]), key=KEY[::-1])
    chain.commit(evidence(nonce=99), node=NODE + 1)
    with pytest.raises(KeyNotBoundError, match="committed to another key"):
        appraise(offline(nonce=COMMITTED), chain)


def test_a_commitment_of_an_earlier_rotation_is_refused(offline, evidence):
    chain = Chain(nonce=99, counter=4)
    chain.commit(evidence(nonce=98), counter=3)
    with pytest.raises(KeyNotBoundError, match="earlier rotation"):
        appraise(offline(nonce=COMMITTED), chain)


def test_a_commitment_without_evidence_is_refused(offline):
    chain = Chain()
    chain.commit(b"")
    with pytest.raises(EvidenceFormatError):
        appraise(offline(nonce=COMMITTED), chain)


# --- the policies themselves --------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {"nonce": None},
        {"nonce": -1},
        {"nonce": 2**64},
        {"nonce": "7"},
        {"nonce": 7.0},
        {"nonce": True},
        {"nonce": 7, "gpus": []},
        {"nonce": 7, "gpus": ""},
        {"nonce": 7, "gpus": ["48B02D"]},
        {"nonce": 7, "gpus": ["48B02D000000000G"]},
        {"nonce": 7, "gpus": [1]},
        {"nonce": 7, "min_driver": "new"},
        {"nonce": 7, "min_driver": "570."},
        {"nonce": 7, "min_driver": ""},
        {"nonce": 7, "min_driver": 570},
    ],
)
def test_a_policy_that_could_not_mean_anything_is_refused(options):
    with pytest.raises(InvalidInputError):
        TrustPolicy.nvidia_offline(**options)


GPUS = ["48B02D0000000001", "48B02D0000000002"]
DISTINCT = [
    TrustPolicy.nvidia_offline(nonce=7),
    TrustPolicy.nvidia_offline(nonce=8),
    TrustPolicy.nvidia_offline(nonce=SUI),
    TrustPolicy.nvidia_offline(nonce=COMMITTED),
    TrustPolicy.nvidia_offline(nonce=7, gpus=GPUS),
    TrustPolicy.nvidia_offline(nonce=7, gpus=GPUS[:1]),
    TrustPolicy.nvidia_offline(nonce=7, min_driver="570"),
    TrustPolicy.pinned(gpus=GPUS, nonce=7),
    TrustPolicy.pinned(keys=[KEY], gpus=GPUS, nonce=7),
    TrustPolicy.pinned(keys=[KEY]),
]


def test_policies_are_told_apart_by_what_they_accept():
    assert len({policy.identity for policy in DISTINCT}) == len(DISTINCT)
    assert len(set(DISTINCT)) == len(DISTINCT)
    one = TrustPolicy.nvidia_offline(nonce=7, gpus=GPUS[::-1])
    assert one == DISTINCT[4]
    assert one.identity == DISTINCT[4].identity


@pytest.mark.parametrize("policy", DISTINCT)
def test_policies_are_values(policy):
    copied = pickle.loads(pickle.dumps(policy))
    assert copied == policy
    assert copied.identity == policy.identity
    for field in fields(policy):
        with pytest.raises(FrozenInstanceError):
            setattr(policy, field.name, None)
    assert "rpc.example" not in f"{policy!r} {policy.identity}"


def test_pinned_chips_are_verified_ones(authority, evidence):
    policy = TrustPolicy.pinned(gpus=GPUS, nonce=NONCE)
    policy = replace(policy, root=authority.fingerprint)
    result = appraise(policy, lambda _: record(evidence(1, 2)))
    assert (result.policy, result.assurance) == ("pinned", "gpu_witnessed")
    with pytest.raises(DeviceNotAllowedError, match="not among the chips"):
        appraise(policy, lambda _: record(evidence(3)))


def test_pinned_keys_and_chips_both_have_to_fit(offline, evidence):
    policy = TrustPolicy.pinned(keys=[KEY], gpus=GPUS, nonce=NONCE)
    assert policy.name == "pinned"
    with pytest.raises(PinMismatchError):
        appraise(policy, lambda _: record(evidence(1)), key=KEY[::-1])
    with pytest.raises(ChainRejectedError):
        appraise(policy, lambda _: record(evidence(1)))
    known, witnessed = TrustPolicy.pinned(keys=[KEY]), offline(gpus=GPUS)
    for both in (known & witnessed, witnessed & known):
        result = appraise(both, lambda _: record(evidence(1)))
        assert (result.nonce_source, result.contract_nonce) == ("user", NONCE)
        assert result.evidence_digest
    assert result.assurance == "gpu_witnessed"
    assert result.not_proven == (
        *NEVER_PROVEN,
        OpenPoint.NODE_KEY,
        OpenPoint.FIRMWARE,
        OpenPoint.GPU_MODE,
    )
    assert result.expires_at == NOW + 3600


@pytest.mark.parametrize(
    "options",
    [{}, {"gpus": GPUS}, {"nonce": 7}, {"keys": [KEY], "nonce": 7}, {"keys": []}],
)
def test_pins_without_what_they_need_are_refused(options):
    with pytest.raises(InvalidInputError):
        TrustPolicy.pinned(**options)


def test_no_policy_falls_back_to_a_weaker_one(offline):
    for status in (200, 301, 404, 500):
        with pytest.raises(AttestationError):
            appraise(offline(), lambda _, s=status: Fetched(s, b"{}"))
