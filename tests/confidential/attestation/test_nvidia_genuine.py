"""Genuine evidence of NVIDIA's chips, where it lies beside the repository."""

import base64
import json
from pathlib import Path

import pytest
from appraisal import NONCE
from silicon import NOW

from atoma_confidential.attestation.evidence import EvidenceItem
from atoma_confidential.attestation.nvidia import gpus_of, verify_evidence
from atoma_confidential.errors import (
    DeviceNotAllowedError,
    EvidenceSignatureError,
    FirmwareIdMismatchError,
    KeyNotBoundError,
)

SAMPLES = Path(__file__).parents[4] / "shared" / "evidence"
SAMPLE_NONCE = bytes.fromhex(
    "931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb"
)

needs_samples = pytest.mark.skipif(
    not SAMPLES.exists(), reason="no genuine evidence beside the repository"
)


def genuine(name):
    document = json.loads((SAMPLES / name).read_text())
    return [
        EvidenceItem(
            "device" if kind != "LS10" else "nvswitch",
            base64.b64decode(item["certificate"]),
            base64.b64decode(item["evidence"]),
        )
        for item in document
        for kind in [item.get("arch")]
    ]


def hopper(name="hopper_report.hex.txt"):
    report = bytes.fromhex((SAMPLES / name).read_text())
    return EvidenceItem("device", (SAMPLES / "hopper_chain.pem").read_bytes(), report)


@needs_samples
def test_eight_genuine_gpus_verify_to_nvidias_root():
    items = genuine("atoma_8x_gh100.json")
    gpus = gpus_of(verify_evidence(items, nonce=SAMPLE_NONCE, now=NOW))
    assert len({gpu.chip_id for gpu in gpus}) == 8
    assert {gpu.driver for gpu in gpus} == {"570.124.06"}
    with pytest.raises(KeyNotBoundError):
        verify_evidence(items, nonce=NONCE, now=NOW)


@needs_samples
def test_the_genuine_hopper_sample_verifies():
    (device,) = verify_evidence([hopper()], nonce=SAMPLE_NONCE, now=NOW)
    assert (device.chip.model, device.chip.driver) == ("GH100", "550.90.07")


@needs_samples
def test_the_genuine_report_of_another_firmware_is_refused_for_that():
    item = hopper("hopper_report_invalid_signature.hex.txt")
    with pytest.raises(FirmwareIdMismatchError):
        verify_evidence([item], nonce=SAMPLE_NONCE, now=NOW)


@needs_samples
def test_a_genuine_report_with_one_bit_changed_is_refused_for_its_signature():
    item = hopper()
    changed = bytearray(item.report)
    changed[-100] ^= 1  # in the last opaque field that means nothing here
    item = EvidenceItem("device", item.certificate_chain, bytes(changed))
    with pytest.raises(EvidenceSignatureError):
        verify_evidence([item], nonce=SAMPLE_NONCE, now=NOW)


@needs_samples
def test_one_genuine_switch_four_times_is_one_switch():
    items = genuine("one_switch_four_times.json")
    with pytest.raises(DeviceNotAllowedError, match="listed twice"):
        verify_evidence(items, nonce=SAMPLE_NONCE, now=NOW)
    as_gpus = [EvidenceItem("device", i.certificate_chain, i.report) for i in items]
    with pytest.raises(DeviceNotAllowedError, match="not certified as a GPU"):
        verify_evidence(as_gpus, nonce=SAMPLE_NONCE, now=NOW)
