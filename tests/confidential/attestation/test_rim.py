"""Reference values: where they come from, and what a GPU has to measure."""

from dataclasses import replace

import pytest
from appraisal import NONCE, appraise, record
from silicon import NOW, measurement, pack, utc
from silicon_rim import DRIVER, OTHER, VBIOS, golden

from atoma_confidential import TrustPolicy
from atoma_confidential.attestation.result import NEVER_PROVEN, OpenPoint
from atoma_confidential.attestation.rim import load_rims, parse_rim
from atoma_confidential.errors import (
    ChainRejectedError,
    EvidenceFormatError,
    EvidenceUnavailableError,
    InvalidInputError,
    MeasurementMismatchError,
)

# --- where they come from -----------------------------------------------------------


@pytest.fixture
def trusted(signer, monkeypatch):
    """Let the test authority be NVIDIA's for whole policies."""
    monkeypatch.setattr(
        "atoma_confidential.attestation.rim.parse_rim",
        lambda document: parse_rim(document, root=signer.fingerprint),
    )


def test_a_folder_is_read_at_once(trusted, signer, tmp_path):
    (tmp_path / "driver.xml").write_bytes(signer.document(DRIVER, golden(1)))
    (tmp_path / "vbios.swidtag").write_bytes(signer.document(VBIOS, golden(2)))
    (tmp_path / "notes.txt").write_text("not one of them")
    for folder in (tmp_path, str(tmp_path)):
        assert {rim.version for rim in load_rims(folder)} == {DRIVER, VBIOS}


def test_or_documents_are_given(trusted, document):
    (rim,) = load_rims(document)
    assert load_rims([document, document]) == (rim, rim)


def test_no_values_are_no_values(tmp_path):
    for source in (tmp_path, tmp_path / "absent", []):
        with pytest.raises(InvalidInputError):
            TrustPolicy.nvidia_offline(nonce=7, rims=source)


def test_what_is_not_nvidias_is_named(document, tmp_path):
    (tmp_path / "driver.xml").write_bytes(document)
    with pytest.raises(ChainRejectedError, match=r"Reference values driver\.xml: "):
        TrustPolicy.nvidia_offline(nonce=7, rims=tmp_path)
    with pytest.raises(EvidenceFormatError, match="Reference values 1: "):
        load_rims([b"<html>", document])


# --- comparing ----------------------------------------------------------------------


@pytest.fixture
def measured(trusted, authority, signer):
    """Appraise one GPU, or two, under reference values."""

    def measured(driver=None, vbios=None, *, opaque=None, chips=1, now=NOW, **options):
        documents = [
            signer.document(version, values)
            for version, values in (
                (DRIVER, golden(0, 1) if driver is None else driver),
                (VBIOS, golden(2, 3) if vbios is None else vbios),
            )
            if values
        ]
        policy = TrustPolicy.nvidia_offline(nonce=7, rims=documents, **options)
        policy = replace(policy, root=authority.fingerprint)
        data = pack(
            [
                authority.chip(number=number).entry(NONCE, opaque=opaque)
                for number in range(1, chips + 1)
            ]
        )
        return appraise(policy, lambda _: record(data), now=now)

    return measured


def outcomes(result):
    return {check.name: str(check.outcome) for check in result.checks}


def test_gpus_that_match_are_measured(measured):
    result = measured(chips=2)
    assert result.assurance == "gpu_witnessed_measured"
    # Of developer mode, sources say both that it would show and that it would not.
    assert result.not_proven == (
        *NEVER_PROVEN,
        OpenPoint.NODE_KEY,
        OpenPoint.GPU_MODE,
    )
    assert OpenPoint.FIRMWARE not in result.not_proven
    assert outcomes(result)["measurements"] == "passed"
    assert outcomes(result)["revocation"] == "skipped"
    assert "reference signers" not in outcomes(result)
    assert result.expires_at == NOW + 3600


def test_any_alternative_may_match(measured):
    measured({1: (OTHER, measurement(2))})


@pytest.mark.parametrize("source", ["driver", "vbios"])
def test_one_that_differs_does_not(measured, source):
    with pytest.raises(MeasurementMismatchError, match="at index 5"):
        measured(**{source: golden(7) | {5: (OTHER,)}})


def test_one_that_is_missing_does_not(measured, authority, signer, trusted):
    policy = TrustPolicy.nvidia_offline(
        nonce=7,
        rims=[signer.document(DRIVER, golden(63)), signer.document(VBIOS, golden(0))],
    )
    policy = replace(policy, root=authority.fingerprint)
    values = {index: measurement(index) for index in range(1, 64)}
    entry = authority.chip().entry(NONCE, measurements=values)
    with pytest.raises(MeasurementMismatchError, match="at index 63"):
        appraise(policy, lambda _: record(pack([entry])))


def test_two_sources_for_one_index_are_a_conflict(measured):
    with pytest.raises(MeasurementMismatchError, match=r"two sources .* index 1"):
        measured(golden(0, 1), golden(1, 2))


def test_an_engine_that_is_off_is_not_compared(measured):
    off, on = {11: b"\x55"}, {11: b"\xaa"}
    measured(golden(1) | {35: (OTHER,)}, opaque=off)
    measured(golden(1, 35), opaque=on)
    for opaque in (on, {11: None}):
        with pytest.raises(MeasurementMismatchError, match="at index 35"):
            measured(golden(1) | {35: (OTHER,)}, opaque=opaque)


@pytest.mark.parametrize(
    ("missing", "named"), [("driver", DRIVER), ("vbios", VBIOS.replace(".", r"\."))]
)
def test_without_values_for_this_version_nothing_can_be_checked(
    measured, missing, named
):
    with pytest.raises(
        EvidenceUnavailableError, match=f"no reference values .*{named}"
    ):
        measured(**{missing: {}})


def test_values_of_another_product_do_not_count(trusted, authority, signer, measured):
    documents = [
        signer.document(DRIVER, golden(0), product="GB100"),
        signer.document(VBIOS, golden(1)),
    ]
    policy = TrustPolicy.nvidia_offline(nonce=7, rims=documents)
    policy = replace(policy, root=authority.fingerprint)
    data = pack([authority.chip().entry(NONCE)])
    with pytest.raises(EvidenceUnavailableError, match="of GH100"):
        appraise(policy, lambda _: record(data))


def test_several_documents_of_one_version_are_alternatives(trusted, authority, signer):
    documents = [
        signer.document(DRIVER, golden(0)),
        signer.document(VBIOS, {1: (OTHER,)}),
        signer.document(VBIOS, golden(1)),
    ]
    policy = TrustPolicy.nvidia_offline(nonce=7, rims=documents)
    policy = replace(policy, root=authority.fingerprint)
    data = pack([authority.chip().entry(NONCE)])
    result = appraise(policy, lambda _: record(data))
    assert result.assurance == "gpu_witnessed_measured"


def test_a_result_ends_with_the_signers_of_its_values(measured):
    ends = utc(2028).timestamp()
    assert measured(now=ends - 60).expires_at == ends


@pytest.mark.parametrize("now", [utc(2028).timestamp() + 1, utc(2026).timestamp() - 1])
def test_values_of_an_expired_signer_are_refused_unless_allowed(measured, now):
    with pytest.raises(ChainRejectedError, match="was until 2028-01-01"):
        measured(now=now)
    result = measured(now=now, allow_expired_rims=True)
    assert result.assurance == "gpu_witnessed_measured"
    assert outcomes(result)["reference signers"] == "skipped"
    assert result.expires_at == now + 3600


def test_policies_with_other_values_are_others(trusted, signer, document):
    one = TrustPolicy.nvidia_offline(nonce=7, rims=document)
    other = TrustPolicy.nvidia_offline(nonce=7, rims=signer.document(VBIOS, golden(1)))
    lenient = TrustPolicy.nvidia_offline(
        nonce=7, rims=document, allow_expired_rims=True
    )
    assert len({p.identity for p in (one, other, lenient)}) == 3
    assert len({one, other, lenient}) == 3
