"""Which chips vouch for a key: each step refuses what it is there for, by class."""

import pytest
from appraisal import KEY, NONCE
from cryptography import x509
from silicon import (
    FIRMWARE_ID,
    NOW,
    OPAQUE,
    composite_id,
    device_name,
    entry,
    report_body,
    tcb_info,
    utc,
)

from atoma_confidential.attestation.evidence import report_nonce
from atoma_confidential.attestation.nvidia import gpus_of, verify_evidence
from atoma_confidential.errors import (
    DeviceNotAllowedError,
    EvidenceFormatError,
    EvidenceSignatureError,
    FirmwareIdMismatchError,
    KeyNotBoundError,
)

ID = "48B02D0000000001"


# --- what is accepted ---------------------------------------------------------------


def test_a_gpu_vouches_for_the_key_in_its_report(authority, gpu, check_devices):
    (device,) = check_devices(gpu.entry(NONCE))
    assert gpus_of([device]) == (device.chip,)
    assert device.kind == "device"
    assert device.chip.model == "GH100"
    assert device.chip.chip_id == gpu.chip_id == ID
    assert device.chip.leaf_serial == str(gpu.leaf.certificate.serial_number)
    assert device.chip.driver == "570.124.06"
    assert device.chip.vbios == "96.00.BC.00.02"
    assert device.chip.firmware_id == FIRMWARE_ID.hex()
    assert device.expires_at == utc(9999).timestamp()


def test_a_node_of_gpus_and_switches(authority, check_devices):
    gpus = [authority.chip(number=n) for n in range(1, 9)]
    switches = [authority.chip("LS_10", number=n) for n in range(9, 13)]
    devices = check_devices(*(chip.entry(NONCE) for chip in gpus + switches))
    assert [d.kind for d in devices] == ["device"] * 8 + ["nvswitch"] * 4
    assert [g.chip_id for g in gpus_of(devices)] == [g.chip_id for g in gpus]


def test_a_gpu_of_the_next_generation(authority, check_devices):
    extensions = [(device_name("GB100", ID), False), (tcb_info(), False)]
    chip = authority.chip("GB100", extensions=extensions)
    (device,) = check_devices(chip=chip)
    assert device.chip.model == "GB100"


def test_a_report_without_firmware_id_has_nothing_to_compare(check_devices):
    (device,) = check_devices(opaque={20: None})
    assert device.chip.firmware_id == ""


def test_the_last_line_end_of_a_chain_may_be_there(gpu, check_devices):
    check_devices(entry("device", gpu.chain + b"\n", gpu.report(NONCE)))


def test_an_unknown_extension_that_is_not_critical_is_ignored(authority, check_devices):
    other = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\0")
    extensions = [(other, False), (device_name("GH100", ID), False)]
    extensions.append((composite_id(), False))
    check_devices(chip=authority.chip(extensions=extensions))


# --- what a device is ---------------------------------------------------------------


def test_a_switch_is_no_gpu_and_a_gpu_no_switch(authority, gpu, check_devices):
    switch = authority.chip("LS_10", number=2)
    with pytest.raises(DeviceNotAllowedError, match="not certified as a GPU"):
        check_devices(switch.entry(NONCE) | {"evidence_type": "device"})
    with pytest.raises(DeviceNotAllowedError, match="not certified as a switch"):
        check_devices(gpu.entry(NONCE) | {"evidence_type": "nvswitch"})


@pytest.mark.parametrize(
    ("common", "extensions"),
    [
        ("BlueField A01 GSP FMC LF", [device_name("GH100", ID)]),
        ("GH100 A01 GSP FMC LF and more", [device_name("GH100", ID)]),
        ("GH100 A01 FSP FMC LF", [device_name("GH100", ID)]),
        ("GH100 A01 GSP FMC LF", [device_name("GB100", ID)]),
        ("GH100 A01 GSP FMC LF", [device_name("GH100", ID, prefix="OTHER")]),
        ("GH100 A01 GSP FMC LF", [device_name("GH100", ID, tag=0x13)]),
        ("GH100 A01 GSP FMC LF", [device_name("GH100", ID.lower())]),
        ("GH100 A01 GSP FMC LF", [device_name("GH100", ID + "0")]),
        ("GH100 A01 GSP FMC LF", []),
        (
            "GH100 A01 GSP FMC LF",
            [x509.SubjectAlternativeName([x509.DNSName("GH100")])],
        ),
    ],
)
def test_a_leaf_names_a_known_model_twice(authority, check_devices, common, extensions):
    chip = authority.chip(
        common=common,
        extensions=[(extension, False) for extension in extensions],
    )
    with pytest.raises(DeviceNotAllowedError, match="known model"):
        check_devices(chip=chip, opaque={20: None})


def test_a_leaf_names_one_chip(authority, check_devices):
    one, other = device_name("GH100", ID), device_name("GH100", ID[:-1] + "2")
    both = x509.SubjectAlternativeName([*one, *other])
    with pytest.raises(DeviceNotAllowedError, match="known model"):
        check_devices(
            chip=authority.chip(extensions=[(both, False)]), opaque={20: None}
        )


def test_a_chip_that_is_listed_twice_is_refused(gpu, check_devices):
    with pytest.raises(DeviceNotAllowedError, match="listed twice"):
        check_devices(gpu.entry(NONCE), gpu.entry(NONCE))


def test_switches_alone_vouch_for_nothing(authority, check_devices):
    with pytest.raises(DeviceNotAllowedError, match="no GPU"):
        check_devices(authority.chip("LS_10").entry(NONCE))


def test_no_device_at_all_vouches_for_nothing(authority):
    with pytest.raises(DeviceNotAllowedError, match="no GPU"):
        verify_evidence((), nonce=NONCE, now=NOW, root=authority.fingerprint)


def test_gpus_are_in_one_mode(authority, check_devices):
    one, other = authority.chip(number=1), authority.chip(number=2)
    protected = {21: b"\xaa"}
    with pytest.raises(DeviceNotAllowedError, match="one mode"):
        check_devices(one.entry(NONCE), other.entry(NONCE, opaque=protected))
    switch = authority.chip("LS_10", number=3)  # which has no mode
    check_devices(one.entry(NONCE, opaque=protected), switch.entry(NONCE))


@pytest.mark.parametrize("missing", [3, 6])
def test_a_gpu_names_its_driver_and_its_vbios(check_devices, missing):
    with pytest.raises(EvidenceFormatError, match="no driver or no VBIOS"):
        check_devices(opaque={missing: None})


# --- firmware, signature, nonce -----------------------------------------------------


def test_report_and_certificate_name_the_same_firmware(check_devices):
    with pytest.raises(FirmwareIdMismatchError):
        check_devices(opaque={20: bytes(48)})


@pytest.mark.parametrize(
    "certified",
    [
        [],
        [composite_id(bytes(48))],
        [composite_id(FIRMWARE_ID[1:])],
        [composite_id(FIRMWARE_ID + b"\0")],
        [x509.UnrecognizedExtension(composite_id().oid, FIRMWARE_ID + bytes(15))],
        [tcb_info(bytes(48))],
        [tcb_info(FIRMWARE_ID[1:])],
        [x509.UnrecognizedExtension(tcb_info().oid, bytes.fromhex("3003800178"))],
    ],
)
def test_a_firmware_that_the_certificate_does_not_name(
    authority, check_devices, certified
):
    extensions = [(e, False) for e in [device_name("GH100", ID), *certified]]
    with pytest.raises(FirmwareIdMismatchError):
        check_devices(chip=authority.chip(extensions=extensions))


@pytest.mark.parametrize(
    "value", ["", "30", "3003a6", "30028005", "308401", "3000" * 2]
)
def test_a_firmware_extension_that_cannot_be_read(authority, check_devices, value):
    broken = x509.UnrecognizedExtension(tcb_info().oid, bytes.fromhex(value))
    extensions = [(device_name("GH100", ID), False), (broken, False)]
    with pytest.raises(EvidenceFormatError, match="certificate cannot be read"):
        check_devices(chip=authority.chip(extensions=extensions))


def test_a_report_of_another_chip_is_refused(authority, gpu, check_devices):
    other = authority.chip(number=2)
    with pytest.raises(EvidenceSignatureError, match=f"GH100 {ID} did not sign"):
        check_devices(entry("device", gpu.chain, other.report(NONCE)))


@pytest.mark.parametrize("signature", [bytes(96), b"\xff" * 96])
def test_a_signature_that_is_none_is_refused(gpu, check_devices, signature):
    report = report_body(NONCE, opaque=OPAQUE) + signature
    with pytest.raises(EvidenceSignatureError):
        check_devices(entry("device", gpu.chain, report))


@pytest.mark.parametrize(
    "nonce",
    [
        report_nonce(8, KEY),
        report_nonce(7, KEY[::-1]),
        report_nonce(7, KEY, device_type=301),
        b"",
    ],
)
def test_another_nonce_key_or_slot_is_refused(check_devices, nonce):
    with pytest.raises(KeyNotBoundError, match="did not vouch for this key"):
        check_devices(nonce=nonce)


def test_one_bad_device_refuses_all_and_is_numbered(authority, check_devices):
    good, bad = authority.chip(number=1), authority.chip(number=2)
    with pytest.raises(KeyNotBoundError, match="Device 2 of 2: "):
        check_devices(good.entry(NONCE), bad.entry(bytes(32)))
