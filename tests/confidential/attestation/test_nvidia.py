"""Which chips vouch for a key: each step refuses what it is there for, by class."""

import base64
import hashlib
import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st
from silicon import (
    FIRMWARE_ID,
    NOW,
    OPAQUE,
    Authority,
    Issued,
    composite_id,
    device_name,
    entry,
    name_of,
    pack,
    report_body,
    tcb_info,
    utc,
)

from atoma_confidential.attestation.chain import load_chain, load_pem_chain
from atoma_confidential.attestation.evidence import (
    EvidenceItem,
    parse_evidence,
    report_nonce,
)
from atoma_confidential.attestation.nvidia import NVIDIA_ROOT, gpus_of, verify_evidence
from atoma_confidential.errors import (
    ChainRejectedError,
    DeviceNotAllowedError,
    EvidenceFormatError,
    EvidenceSignatureError,
    FirmwareIdMismatchError,
    KeyNotBoundError,
)

KEY = bytes(range(32))
NONCE = report_nonce(7, KEY)
SAMPLES = Path(__file__).parents[4] / "shared" / "evidence"
SAMPLE_NONCE = bytes.fromhex(
    "931d8dd0add203ac3d8b4fbde75e115278eefcdceac5b87671a748f32364dfcb"
)
ID = "48B02D0000000001"

needs_samples = pytest.mark.skipif(
    not SAMPLES.exists(), reason="no genuine evidence beside the repository"
)


def verify(*entries, nonce=NONCE, now=NOW, root):
    items = parse_evidence(pack(list(entries)))
    return verify_evidence(items, nonce=nonce, now=now, root=root)


@pytest.fixture
def check(authority):
    """Verify entries, of one GPU with these changes where none is given."""

    def check(*entries, chip=None, nonce=NONCE, now=NOW, root=None, **changes):
        if not entries:
            entries = [(chip or authority.chip()).entry(NONCE, **changes)]
        root = root or authority.fingerprint
        return verify(*entries, nonce=nonce, now=now, root=root)

    return check


# --- what is accepted ---------------------------------------------------------------


def test_a_gpu_vouches_for_the_key_in_its_report(authority, gpu, check):
    (device,) = check(gpu.entry(NONCE))
    assert gpus_of([device]) == (device.chip,)
    assert device.kind == "device"
    assert device.chip.model == "GH100"
    assert device.chip.chip_id == gpu.chip_id == ID
    assert device.chip.leaf_serial == str(gpu.leaf.certificate.serial_number)
    assert device.chip.driver == "570.124.06"
    assert device.chip.vbios == "96.00.BC.00.02"
    assert device.chip.firmware_id == FIRMWARE_ID.hex()
    assert device.expires_at == utc(9999).timestamp()


def test_a_node_of_gpus_and_switches(authority, check):
    gpus = [authority.chip(number=n) for n in range(1, 9)]
    switches = [authority.chip("LS_10", number=n) for n in range(9, 13)]
    devices = check(*(chip.entry(NONCE) for chip in gpus + switches))
    assert [d.kind for d in devices] == ["device"] * 8 + ["nvswitch"] * 4
    assert [g.chip_id for g in gpus_of(devices)] == [g.chip_id for g in gpus]


def test_a_gpu_of_the_next_generation(authority, check):
    extensions = [(device_name("GB100", ID), False), (tcb_info(), False)]
    chip = authority.chip("GB100", extensions=extensions)
    (device,) = check(chip=chip)
    assert device.chip.model == "GB100"


def test_a_report_without_firmware_id_has_nothing_to_compare(check):
    (device,) = check(opaque={20: None})
    assert device.chip.firmware_id == ""


def test_the_last_line_end_of_a_chain_may_be_there(gpu, check):
    check(entry("device", gpu.chain + b"\n", gpu.report(NONCE)))


def test_an_unknown_extension_that_is_not_critical_is_ignored(authority, check):
    other = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\0")
    extensions = [(other, False), (device_name("GH100", ID), False)]
    extensions.append((composite_id(), False))
    check(chip=authority.chip(extensions=extensions))


# --- certificates -------------------------------------------------------------------


def test_the_root_is_pinned(authority, gpu, check):
    with pytest.raises(ChainRejectedError, match="another root"):
        check(gpu.entry(NONCE), root=NVIDIA_ROOT)
    with pytest.raises(ChainRejectedError, match="another root"):
        check(Authority().chip().entry(NONCE))


def test_nvidias_root_is_what_is_pinned_unless_a_test_says_otherwise(gpu):
    items = parse_evidence(pack([gpu.entry(NONCE)]))
    with pytest.raises(ChainRejectedError, match="another root"):
        verify_evidence(items, nonce=NONCE, now=NOW)


def chain_of(*issued):
    return b"".join(each.pem for each in issued)


@pytest.mark.parametrize(
    ("rearranged", "why"),
    [
        (lambda c: c[:4], "4 certificates where 5"),
        (lambda c: [*c[:4], c[3], c[4]], "6 certificates where 5"),
        (lambda c: c[::-1], "another root"),
        (lambda c: [c[0], c[2], c[1], c[3], c[4]], "name the next as its issuer"),
        (lambda c: [c[1], c[1], c[2], c[3], c[4]], "name the next as its issuer"),
        (lambda c: [c[0], c[0], c[2], c[3], c[4]], "name the next as its issuer"),
    ],
)
def test_the_chain_has_its_five_levels_in_their_order(gpu, check, rearranged, why):
    chain = chain_of(*rearranged(gpu.issued))
    with pytest.raises(ChainRejectedError, match=why):
        check(entry("device", chain, gpu.report(NONCE)))


def test_another_authoritys_chain_under_the_pinned_root_is_refused(gpu, check):
    foreign = Authority().chip()
    chain = chain_of(*foreign.issued[:4], gpu.issued[4])
    with pytest.raises(ChainRejectedError, match="not signed by the next"):
        check(entry("device", chain, foreign.report(NONCE)))


@pytest.mark.parametrize("level", [1, 2, 3])
@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"ca": False}, "may not issue certificates"),
        ({"ca": None}, "an extension is missing"),
        ({"usage": None}, "an extension is missing"),
        ({"usage": "crl_sign"}, "may not issue certificates"),
        ({"curve": ec.SECP256R1()}, "not on P-384"),
        ({"digest": SHA256()}, "not signed over SHA-384"),
        ({"issuer_name": name_of("Somebody else")}, "name the next as its issuer"),
        ({"extensions": [(x509.OCSPNoCheck(), True)]}, "critical extension"),
        ({"years": (2020, 2025)}, "not valid at this time"),
        ({"years": (2030, 2040)}, "not valid at this time"),
    ],
)
def test_each_issuer_has_to_be_one(authority, check, level, options, why):
    replaced = Authority.__new__(Authority)
    vars(replaced).update(vars(authority))
    if level == 3:
        replaced.identity = Issued("Test GH100 Identity", replaced.root, **options)
        options = {}
    if level >= 2:
        replaced.provisioner = Issued("Test ICA", replaced.identity, **options)
    replaced.issuers = [replaced.provisioner, replaced.identity, replaced.root]
    chip = replaced.chip()
    if level == 1:
        chip.brom = Issued("Test BROM", replaced.provisioner, **options)
        chip.leaf = Issued(
            "GH100 A01 GSP FMC LF",
            chip.brom,
            ca=None,
            usage="digital_signature",
            extensions=[(device_name("GH100", ID), False)],
        )
        chip.issued[:2] = [chip.leaf, chip.brom]
    with pytest.raises(ChainRejectedError, match=why):
        check(chip=chip, opaque={20: None})


@pytest.mark.parametrize("length", [0, 1, 2, 3])
def test_a_limit_on_issuers_below_is_kept(length):
    authority = Authority(path_length=length)
    items = parse_evidence(pack([authority.chip().entry(NONCE)]))
    options = {"nonce": NONCE, "now": NOW, "root": authority.fingerprint}
    if length == 3:
        verify_evidence(items, **options)
    else:
        with pytest.raises(ChainRejectedError, match="certificates of issuers"):
            verify_evidence(items, **options)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"ca": True}, "not for signing reports"),
        ({"usage": "key_cert_sign"}, "not for signing reports"),
        ({"usage": None}, "an extension is missing"),
        ({"curve": ec.SECP256R1()}, "not on P-384"),
        ({"years": (2020, 2026)}, "not valid at this time"),
        ({"years": (2028, 2030)}, "not valid at this time"),
    ],
)
def test_the_leaf_has_to_be_one(authority, check, options, why):
    with pytest.raises(ChainRejectedError, match=why):
        check(chip=authority.chip(**options))


def test_a_leaf_that_says_it_is_no_issuer_is_one(authority, check):
    check(chip=authority.chip(ca=False))


def test_certificates_are_valid_from_their_first_to_their_last_second(authority, check):
    chip = authority.chip(years=(2026, 2028))
    for now in (utc(2026).timestamp(), utc(2028).timestamp()):
        check(chip=chip, now=now)
    for now in (utc(2026).timestamp() - 1, utc(2028).timestamp() + 1):
        with pytest.raises(ChainRejectedError, match="not valid at this time"):
            check(chip=chip, now=now)


@pytest.mark.parametrize(
    "change",
    [
        lambda pem: b"\n" + pem,
        lambda pem: pem + b"\n\n",
        lambda pem: pem + b"\0",
        lambda pem: b"subject=x\n" + pem,
        lambda pem: pem.replace(b"\n", b"\r\n"),
        lambda pem: pem.replace(b"\n", b" \n", 1),
        lambda pem: pem.replace(b"CERTIFICATE", b"X509 CERTIFICATE"),
        lambda _: b"no certificate",
        lambda pem: pem[:28] + b"A" + pem[-26:],
        lambda pem: pem[:80] + pem[81:],
    ],
)
def test_a_chain_is_plain_pem_and_nothing_else(gpu, check, change):
    with pytest.raises(EvidenceFormatError, match="not plain PEM"):
        check(entry("device", change(gpu.chain), gpu.report(NONCE)))


def test_every_proper_prefix_of_a_chain_is_refused(authority, gpu):
    for length in range(len(gpu.chain)):
        with pytest.raises((EvidenceFormatError, ChainRejectedError)):
            load_pem_chain(gpu.chain[:length], levels=5, root=authority.fingerprint)


@given(st.binary(max_size=200))
def test_noise_is_no_certificate(noise):
    ders, root = [noise] * 5, hashlib.sha256(noise).digest()
    with pytest.raises(EvidenceFormatError):
        load_chain(ders, levels=5, root=root)
    with pytest.raises((EvidenceFormatError, ChainRejectedError)):
        load_pem_chain(noise, levels=5, root=root)


def test_a_certificate_that_is_none_is_refused(gpu, check):
    text = base64.b64encode(b"no certificate")
    pem = b"-----BEGIN CERTIFICATE-----\n%b\n-----END CERTIFICATE-----\n" % text
    chain = pem + chain_of(*gpu.issued[1:])
    with pytest.raises(EvidenceFormatError, match="certificate cannot be read"):
        check(entry("device", chain, gpu.report(NONCE)))


# --- what a device is ---------------------------------------------------------------


def test_a_switch_is_no_gpu_and_a_gpu_no_switch(authority, gpu, check):
    switch = authority.chip("LS_10", number=2)
    with pytest.raises(DeviceNotAllowedError, match="not certified as a GPU"):
        check(switch.entry(NONCE) | {"evidence_type": "device"})
    with pytest.raises(DeviceNotAllowedError, match="not certified as a switch"):
        check(gpu.entry(NONCE) | {"evidence_type": "nvswitch"})


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
def test_a_leaf_names_a_known_model_twice(authority, check, common, extensions):
    chip = authority.chip(
        common=common,
        extensions=[(extension, False) for extension in extensions],
    )
    with pytest.raises(DeviceNotAllowedError, match="known model"):
        check(chip=chip, opaque={20: None})


def test_a_leaf_names_one_chip(authority, check):
    one, other = device_name("GH100", ID), device_name("GH100", ID[:-1] + "2")
    both = x509.SubjectAlternativeName([*one, *other])
    with pytest.raises(DeviceNotAllowedError, match="known model"):
        check(chip=authority.chip(extensions=[(both, False)]), opaque={20: None})


def test_a_chip_that_is_listed_twice_is_refused(gpu, check):
    with pytest.raises(DeviceNotAllowedError, match="listed twice"):
        check(gpu.entry(NONCE), gpu.entry(NONCE))


def test_switches_alone_vouch_for_nothing(authority, check):
    with pytest.raises(DeviceNotAllowedError, match="no GPU"):
        check(authority.chip("LS_10").entry(NONCE))


def test_no_device_at_all_vouches_for_nothing(authority):
    with pytest.raises(DeviceNotAllowedError, match="no GPU"):
        verify_evidence((), nonce=NONCE, now=NOW, root=authority.fingerprint)


def test_gpus_are_in_one_mode(authority, check):
    one, other = authority.chip(number=1), authority.chip(number=2)
    protected = {21: b"\xaa"}
    with pytest.raises(DeviceNotAllowedError, match="one mode"):
        check(one.entry(NONCE), other.entry(NONCE, opaque=protected))
    switch = authority.chip("LS_10", number=3)  # which has no mode
    check(one.entry(NONCE, opaque=protected), switch.entry(NONCE))


@pytest.mark.parametrize("missing", [3, 6])
def test_a_gpu_names_its_driver_and_its_vbios(check, missing):
    with pytest.raises(EvidenceFormatError, match="no driver or no VBIOS"):
        check(opaque={missing: None})


# --- firmware, signature, nonce -----------------------------------------------------


def test_report_and_certificate_name_the_same_firmware(check):
    with pytest.raises(FirmwareIdMismatchError):
        check(opaque={20: bytes(48)})


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
def test_a_firmware_that_the_certificate_does_not_name(authority, check, certified):
    extensions = [(e, False) for e in [device_name("GH100", ID), *certified]]
    with pytest.raises(FirmwareIdMismatchError):
        check(chip=authority.chip(extensions=extensions))


@pytest.mark.parametrize(
    "value", ["", "30", "3003a6", "30028005", "308401", "3000" * 2]
)
def test_a_firmware_extension_that_cannot_be_read(authority, check, value):
    broken = x509.UnrecognizedExtension(tcb_info().oid, bytes.fromhex(value))
    extensions = [(device_name("GH100", ID), False), (broken, False)]
    with pytest.raises(EvidenceFormatError, match="certificate cannot be read"):
        check(chip=authority.chip(extensions=extensions))


def test_a_report_of_another_chip_is_refused(authority, gpu, check):
    other = authority.chip(number=2)
    with pytest.raises(EvidenceSignatureError, match=f"GH100 {ID} did not sign"):
        check(entry("device", gpu.chain, other.report(NONCE)))


@pytest.mark.parametrize("signature", [bytes(96), b"\xff" * 96])
def test_a_signature_that_is_none_is_refused(gpu, check, signature):
    report = report_body(NONCE, opaque=OPAQUE) + signature
    with pytest.raises(EvidenceSignatureError):
        check(entry("device", gpu.chain, report))


@pytest.mark.parametrize(
    "nonce",
    [
        report_nonce(8, KEY),
        report_nonce(7, KEY[::-1]),
        report_nonce(7, KEY, device_type=301),
        b"",
    ],
)
def test_another_nonce_key_or_slot_is_refused(check, nonce):
    with pytest.raises(KeyNotBoundError, match="did not vouch for this key"):
        check(nonce=nonce)


def test_one_bad_device_refuses_all_and_is_numbered(authority, check):
    good, bad = authority.chip(number=1), authority.chip(number=2)
    with pytest.raises(KeyNotBoundError, match="Device 2 of 2: "):
        check(good.entry(NONCE), bad.entry(bytes(32)))


# --- genuine evidence ---------------------------------------------------------------


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
