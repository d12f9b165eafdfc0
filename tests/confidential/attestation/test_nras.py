"""NVIDIA's service: asked after the offline check, and believed about what it signs."""

import base64
import copy
import json
import pickle
from dataclasses import replace

import pytest
from appraisal import KEY, NODE, NONCE, appraise, json_answer, record
from silicon import NOW, pack
from silicon_nras import CHAIN, URL

from atoma_confidential import TrustPolicy
from atoma_confidential.attestation.policy import Fetched
from atoma_confidential.attestation.result import NEVER_PROVEN, OpenPoint
from atoma_confidential.errors import (
    DeviceNotAllowedError,
    InvalidInputError,
    KeyNotBoundError,
    VerifierUnavailableError,
)

SECRET = "nvapi-canary"


@pytest.fixture
def nras(authority):
    def nras(**options):
        policy = TrustPolicy.nras(nonce=7, **options)
        return replace(
            policy, offline=replace(policy.offline, root=authority.fingerprint)
        )

    return nras


@pytest.fixture
def network(authority, service):
    """Serve the evidence of chips, then what the service says of them, and its keys."""

    class Network:
        def __init__(self, *chips, **changes):
            self.chips = chips or (authority.chip(), authority.chip(number=2))
            self.changes = changes
            self.asked = []

        def __call__(self, fetch):
            self.asked.append(fetch)
            if fetch.url.startswith("/"):
                return record(pack([chip.entry(NONCE) for chip in self.chips]))
            if fetch.body is None:
                return json_answer(service.jwks())
            serials = [
                str(chip.leaf.certificate.serial_number)
                for chip in self.chips
                if chip.model != "LS_10"
            ]
            return json_answer(service.answer(NONCE, serials, **self.changes))

    return Network


def outcomes(result):
    return {check.name: str(check.outcome) for check in result.checks}


def test_evidence_is_verified_then_asked_about(nras, network):
    serve = network()
    result = appraise(nras(), serve)
    assert [fetch.url for fetch in serve.asked] == [
        f"/v1/get_node_attestation/{NODE}",
        f"{URL}/v4/attest/gpu",
        f"{URL}/.well-known/jwks.json",
    ]
    assert (result.policy, result.assurance) == ("nras", "gpu_witnessed_measured")
    assert outcomes(result)["measurements"] == "passed"
    assert outcomes(result)["revocation"] == "passed"
    assert [check.name for check in result.checks].count("measurements") == 1
    # It says that debugging is disabled, perhaps only because measurements match, and
    # nothing of protected memory.
    assert result.not_proven == (
        *NEVER_PROVEN,
        OpenPoint.NODE_KEY,
        OpenPoint.GPU_MODE,
    )
    assert result.expires_at == NOW + 900


def test_what_is_asked_is_the_evidence_and_nothing_else(authority, nras, network):
    switch = authority.chip("LS_10", number=9)
    serve = network(authority.chip(), switch)
    appraise(nras(), serve)
    body = json.loads(serve.asked[1].body)
    assert body.keys() == {"nonce", "arch", "claims_version", "evidence_list"}
    assert (body["nonce"], body["arch"]) == (NONCE.hex(), "HOPPER")
    (item,) = body["evidence_list"]
    assert item.keys() == {"evidence", "certificate"}
    assert base64.b64decode(item["evidence"])[4:36] == NONCE
    assert [fetch.headers for fetch in serve.asked] == [{}, {}, {}]


def test_the_api_key_goes_to_the_service_alone_and_is_never_shown(nras, network):
    policy = nras(api_key=SECRET)
    serve = network()
    appraise(policy, serve)
    assert [SECRET in str(fetch.headers) for fetch in serve.asked] == [
        False,
        True,
        False,
    ]
    pickled = pickle.dumps(policy)
    assert SECRET not in f"{policy!r} {policy.identity}"
    assert SECRET.encode() not in pickled
    loaded = pickle.loads(pickled)
    assert loaded.identity == policy.identity
    # Another key makes another client: models compare their policies.
    assert loaded == replace(policy, api_key=None) != policy
    assert copy.copy(policy) is copy.deepcopy(policy) is policy


def test_a_result_ends_with_its_tokens(nras, network):
    result = appraise(nras(), network(gpu={"exp": int(NOW) + 60}))
    assert result.expires_at == NOW + 60


def test_revocation_of_which_nothing_was_said_was_not_checked(nras, network):
    result = appraise(nras(), network(gpu={CHAIN: None}))
    assert outcomes(result)["revocation"] == "skipped"


def test_the_service_replaces_no_check_of_ours(nras, network, authority):
    with pytest.raises(KeyNotBoundError, match="did not vouch"):
        appraise(nras(), network(), key=KEY[::-1])
    with pytest.raises(DeviceNotAllowedError, match="not among the chips"):
        appraise(nras(gpus=["48B02D0000000001"]), network())
    with pytest.raises(DeviceNotAllowedError, match="older"):
        appraise(nras(min_driver="999"), network())


def test_a_refusal_of_the_service_refuses(nras, network):
    def refusing(fetch):
        return network()(fetch) if fetch.url.startswith("/") else Fetched(403, b"")

    with pytest.raises(VerifierUnavailableError, match=f"Node {NODE}, key .*403"):
        appraise(nras(), refusing)


def test_models_are_not_mixed(authority, nras, network):
    serve = network(authority.chip(), authority.chip("GB100", number=2))
    with pytest.raises(DeviceNotAllowedError, match="one model"):
        appraise(nras(), serve)
    assert len(serve.asked) == 1


def test_another_service_has_another_address_and_issuer(nras, network):
    policy = nras(url="https://nras.example/")
    assert policy.url == "https://nras.example"
    assert policy.identity != nras().identity
    with pytest.raises(VerifierUnavailableError, match="somebody else"):
        appraise(policy, network())


@pytest.mark.parametrize(
    "options",
    [
        {"url": "http://nras.example"},
        {"url": ""},
        {"api_key": ""},
        {"api_key": "a\nb"},
        {"api_key": b"key"},
        {"gpus": []},
        {"min_driver": "new"},
    ],
)
def test_a_policy_that_could_not_mean_anything_is_refused(options):
    with pytest.raises(InvalidInputError) as caught:
        TrustPolicy.nras(nonce=7, **options)
    assert "a\nb" not in str(caught.value)
