"""The certificates of a chip: five levels to the pinned root, each what it must be."""

import base64
import hashlib

import pytest
from appraisal import NONCE
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from hypothesis import given
from hypothesis import strategies as st
from silicon import NOW, Authority, Issued, device_name, entry, name_of, pack, utc

from atoma_confidential.attestation.chain import load_chain, load_pem_chain
from atoma_confidential.attestation.evidence import parse_evidence
from atoma_confidential.attestation.nvidia import NVIDIA_ROOT, verify_evidence
from atoma_confidential.errors import ChainRejectedError, EvidenceFormatError

ID = "48B02D0000000001"


def test_the_root_is_pinned(authority, gpu, check_devices):
    with pytest.raises(ChainRejectedError, match="another root"):
        check_devices(gpu.entry(NONCE), root=NVIDIA_ROOT)
    with pytest.raises(ChainRejectedError, match="another root"):
        check_devices(Authority().chip().entry(NONCE))


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
def test_the_chain_has_its_five_levels_in_their_order(
    gpu, check_devices, rearranged, why
):
    chain = chain_of(*rearranged(gpu.issued))
    with pytest.raises(ChainRejectedError, match=why):
        check_devices(entry("device", chain, gpu.report(NONCE)))


def test_another_authoritys_chain_under_the_pinned_root_is_refused(gpu, check_devices):
    foreign = Authority().chip()
    chain = chain_of(*foreign.issued[:4], gpu.issued[4])
    with pytest.raises(ChainRejectedError, match="not signed by the next"):
        check_devices(entry("device", chain, foreign.report(NONCE)))


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
def test_each_issuer_has_to_be_one(authority, check_devices, level, options, why):
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
        check_devices(chip=chip, opaque={20: None})


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
def test_the_leaf_has_to_be_one(authority, check_devices, options, why):
    with pytest.raises(ChainRejectedError, match=why):
        check_devices(chip=authority.chip(**options))


def test_a_leaf_that_says_it_is_no_issuer_is_one(authority, check_devices):
    check_devices(chip=authority.chip(ca=False))


def test_certificates_are_valid_from_their_first_to_their_last_second(
    authority, check_devices
):
    chip = authority.chip(years=(2026, 2028))
    for now in (utc(2026).timestamp(), utc(2028).timestamp()):
        check_devices(chip=chip, now=now)
    for now in (utc(2026).timestamp() - 1, utc(2028).timestamp() + 1):
        with pytest.raises(ChainRejectedError, match="not valid at this time"):
            check_devices(chip=chip, now=now)


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
def test_a_chain_is_plain_pem_and_nothing_else(gpu, check_devices, change):
    with pytest.raises(EvidenceFormatError, match="not plain PEM"):
        check_devices(entry("device", change(gpu.chain), gpu.report(NONCE)))


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


def test_a_certificate_that_is_none_is_refused(gpu, check_devices):
    text = base64.b64encode(b"no certificate")
    pem = b"-----BEGIN CERTIFICATE-----\n%b\n-----END CERTIFICATE-----\n" % text
    chain = pem + chain_of(*gpu.issued[1:])
    with pytest.raises(EvidenceFormatError, match="certificate cannot be read"):
        check_devices(entry("device", chain, gpu.report(NONCE)))
