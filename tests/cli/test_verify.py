"""`atoma verify`: evidence of a test authority, in place of NVIDIA's."""

import base64
import sys
from dataclasses import replace

import pytest
from pydantic import ConfigDict
from schemas import Findings, Strict
from silicon import Authority, pack

from atoma_confidential.attestation import Assurance, Outcome
from atoma_confidential.attestation.evidence import report_nonce

NONCE = 7
AUTHORITY = Authority()
OTHER_KEY = base64.b64encode(bytes(range(32))).decode()


class Check(Strict):
    name: str
    outcome: Outcome
    detail: str


class Gpu(Strict):
    model: str
    chip_id: str
    leaf_serial: str
    driver: str
    vbios: str
    mode: str
    firmware_id: str


class Result(Strict):
    key: str
    node: int
    policy: str
    assurance: Assurance
    verified_at: float
    checks: list[Check]
    gpus: list[Gpu]
    not_proven: list[str]
    nonce_source: str
    contract_nonce: int | None
    rotation: int | None
    evidence_digest: str
    expires_at: float | None


class Error(Strict):
    class_: str
    message: str

    model_config = ConfigDict(
        extra="forbid", alias_generator=lambda name: name.rstrip("_")
    )


class Schema(Findings):
    result: Result | None
    error: Error | None


@pytest.fixture
def network(network, monkeypatch):
    """A node for whose key two chips of the test authority vouch."""
    signed = report_nonce(NONCE, network.node_public_key)
    chips = [AUTHORITY.chip(number=number) for number in (1, 2)]
    network.evidence = pack([chip.entry(signed) for chip in chips])
    monkeypatch.setenv("ATOMA_ATTESTATION_URL", network.base_url)
    monkeypatch.delenv("ATOMA_API_KEY")
    options = sys.modules["atoma_cli._commands.verify"]
    ours = options._policy
    monkeypatch.setattr(
        options,
        "_policy",
        lambda *a, **k: replace(ours(*a, **k), root=AUTHORITY.fingerprint),
    )
    return network


@pytest.fixture
def verify(atoma_command, network):
    def run(*more, key=None, node=None, nonce=NONCE):
        own = base64.b64encode(network.node_public_key).decode()
        number = network.node.small_id if node is None else node
        return atoma_command(
            *("verify", "--node", number, "--key", key or own, "--nonce", nonce), *more
        )

    return run


def test_each_check_is_shown_and_what_is_not_proven(verify, network):
    done = verify()
    assert done.exit_code == 0, done.output
    assert "OK      key binding" in done.stdout
    assert "SKIPPED revocation" in done.stdout
    assert "Result: GPU-WITNESSED." in done.stdout
    assert "Not proven: that the key is held inside a confidential VM" in done.stdout
    assert "publishes no CPU attestation" in done.stdout
    for word in ("secure", "verified node", "safe"):
        assert word not in done.stdout.lower()


def test_no_lock_is_taken_and_no_key_is_sent(verify, network):
    verify()
    (exchange,) = network.exchanges
    assert exchange.path.startswith("/v1/get_node_attestation/")
    assert "authorization" not in {name.lower() for name in exchange.headers}


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"key": OTHER_KEY}, "KeyNotBoundError"),
        ({"nonce": 8}, "KeyNotBoundError"),
    ],
)
def test_what_does_not_fit_is_rejected(verify, changes, error):
    done = verify("--json", **changes)
    told = Schema.model_validate_json(done.stdout)
    assert done.exit_code == told.exit_code == 1
    assert told.error.class_ == error
    assert told.result is None
    assert "REJECTED" in verify(**changes).stdout


def test_a_chip_that_is_not_allowed_is_rejected(verify):
    done = verify("--gpu", "0123456789abcdef", "--json")
    told = Schema.model_validate_json(done.stdout)
    assert told.error.class_ == "DeviceNotAllowedError"
    assert done.exit_code == 1


def test_where_there_is_no_evidence_it_could_not_check(verify, network):
    network.evidence = None
    done = verify()
    assert done.exit_code == 2
    assert "COULD NOT CHECK" in done.stdout
    told = Schema.model_validate_json(verify("--json").stdout)
    assert told.error.class_ == "EvidenceUnavailableError"
    assert told.exit_code == 2


def test_json_has_its_schema(verify):
    told = Schema.model_validate_json(verify("--json").stdout)
    assert told.exit_code == 0
    assert told.result.assurance is Assurance.GPU_WITNESSED
    assert len(told.result.gpus) == 2
    assert told.result.nonce_source == "user"
    assert told.result.contract_nonce == NONCE
    assert told.result.rotation is None
    assert told.result.not_proven
    assert told.error is None


@pytest.mark.parametrize("as_answer", [False, True])
def test_evidence_may_be_a_file(verify, network, tmp_path, as_answer):
    record, saved = network.evidence, tmp_path / "record"
    saved.write_bytes(record)
    if as_answer:
        fields = {"node_small_id": network.node.small_id}
        listed = ",".join(map(str, record))
        saved.write_text(
            f'{{"node_small_id":{fields["node_small_id"]},'
            f'"compressed_evidence":[{listed}]}}'
        )
    network.evidence = None
    done = verify("--evidence", saved)
    assert done.exit_code == 0, done.output
    assert network.exchanges == []


def test_a_file_that_is_no_evidence_is_rejected(verify, tmp_path):
    saved = tmp_path / "record"
    saved.write_bytes(b"nothing of the kind")
    done = verify("--evidence", saved, "--json")
    assert done.exit_code == 1
    told = Schema.model_validate_json(done.stdout)
    assert told.error.class_ == "EvidenceFormatError"


@pytest.mark.parametrize(
    "arguments",
    [
        ("verify",),
        ("verify", "--node", "1"),
        ("verify", "--node", "-1", "--key", OTHER_KEY, "--nonce", "1"),
        ("verify", "--node", "1", "--key", "short", "--nonce", "1"),
        ("verify", "--node", "1", "--key", OTHER_KEY),
        ("verify", "--node", "1", "--key", OTHER_KEY, "--policy", "cpu"),
        ("verify", "--node", "1", "--key", OTHER_KEY, "--sui-rpc", "https://x.example"),
        *[
            ("verify", "--node", "1", "--key", OTHER_KEY, "--nonce", "1", *more)
            for more in (("--sui-rpc", "https://x.example"), ("--min-driver", "new"))
        ],
    ],
)
def test_usage_has_an_exit_code_of_its_own(atoma_command, network, arguments):
    done = atoma_command(*arguments)
    assert done.exit_code == 64, done.output
    assert network.exchanges == []


def test_a_policy_that_fetches_more_does_not_go_with_a_file(
    atoma_command, network, tmp_path
):
    saved = tmp_path / "record"
    saved.write_bytes(network.evidence)
    done = atoma_command(
        *("verify", "--node", 1, "--key", OTHER_KEY, "--evidence", saved),
        *("--sui-rpc", "https://sui.example", "--atoma-db", "0x1"),
    )
    assert done.exit_code == 64
    assert "fetches more than the evidence in a file" in done.stderr
    assert network.exchanges == []


def test_reference_documents_that_cannot_be_read_judge_no_key(verify, tmp_path):
    (tmp_path / "values.xml").write_text("<!DOCTYPE x [<!ENTITY y 'z'>]><x>&y;</x>")
    done = verify("--rims", tmp_path)
    assert done.exit_code == 64
    assert "--rims" in done.stderr


def test_without_a_place_for_records_the_option_is_named(verify, monkeypatch):
    monkeypatch.delenv("ATOMA_ATTESTATION_URL")
    done = verify()
    assert done.exit_code == 2
    assert "--attestation-url" in done.stdout
    assert "attestation_url=" not in done.stdout
