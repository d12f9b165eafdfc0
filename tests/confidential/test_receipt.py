"""Signatures over a response digest: what verifies, and everything that must not."""

import hashlib

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from atoma_confidential.errors import ConfidentialError, Exposure, ReceiptError
from atoma_confidential.receipt import Signer, verify_signature

DIGEST = hashlib.blake2b(b"an answer", digest_size=32).digest()
CURVES = {1: ec.SECP256K1(), 2: ec.SECP256R1()}
NAMES = {0: "ed25519", 1: "secp256k1", 2: "secp256r1"}
ORDERS = {
    1: 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141,
    2: 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
}


def sign(flag, digest=DIGEST, *, high_s=False):
    if flag == 0:
        key = ed25519.Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
        return bytes([0]) + key.sign(digest) + key.public_key().public_bytes_raw()
    key = ec.derive_private_key(0x0707, CURVES[flag])
    signature = key.sign(digest, ec.ECDSA(SHA256(), deterministic_signing=True))
    r, s = utils.decode_dss_signature(signature)
    if high_s != (s > ORDERS[flag] // 2):
        s = ORDERS[flag] - s
    point = key.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    return bytes([flag]) + r.to_bytes(32, "big") + s.to_bytes(32, "big") + point


@pytest.mark.parametrize("flag", NAMES)
def test_a_genuine_signature_names_its_signer(flag):
    signature = sign(flag)
    public_key = signature[65:]
    address = hashlib.blake2b(bytes([flag]) + public_key, digest_size=32).hexdigest()
    signer = verify_signature(signature, DIGEST)
    assert signer == Signer(NAMES[flag], public_key, "0x" + address)


@pytest.mark.parametrize("flag", NAMES)
@given(data=st.data())
def test_any_flipped_bit_is_refused(flag, data):
    signature = bytearray(sign(flag))
    bit = data.draw(st.integers(0, 8 * len(signature) - 1))
    signature[bit // 8] ^= 1 << bit % 8
    with pytest.raises(ReceiptError):
        verify_signature(bytes(signature), DIGEST)


@pytest.mark.parametrize("flag", NAMES)
def test_every_other_length_is_refused(flag):
    signature = sign(flag)
    for length in range(len(signature)):
        with pytest.raises(ReceiptError):
            verify_signature(signature[:length], DIGEST)
    with pytest.raises(ReceiptError, match="this one 9"):
        verify_signature(signature + b"\0", DIGEST)


@pytest.mark.parametrize("flag", NAMES)
def test_a_signature_over_another_digest_is_refused(flag):
    with pytest.raises(ReceiptError, match="does not verify"):
        verify_signature(sign(flag, bytes(32)), DIGEST)


@pytest.mark.parametrize("flag", CURVES)
def test_the_higher_of_two_valid_s_is_refused(flag):
    assert verify_signature(sign(flag), DIGEST)
    with pytest.raises(ReceiptError, match="does not verify"):
        verify_signature(sign(flag, high_s=True), DIGEST)


@pytest.mark.parametrize("flag", CURVES)
@pytest.mark.parametrize("r", [0, 1, "order"])
@pytest.mark.parametrize("s", [0, 1])
def test_degenerate_scalars_are_refused(flag, r, s):
    r = ORDERS[flag] if r == "order" else r
    scalars = r.to_bytes(32, "big") + s.to_bytes(32, "big")
    with pytest.raises(ReceiptError, match="does not verify"):
        verify_signature(bytes([flag]) + scalars + sign(flag)[65:], DIGEST)


@pytest.mark.parametrize("flag", CURVES)
@pytest.mark.parametrize("prefix", [0, 4, 5])
def test_a_key_that_is_no_compressed_point_is_refused(flag, prefix):
    signature = sign(flag)
    broken = signature[:65] + bytes([prefix]) + signature[66:]
    with pytest.raises(ReceiptError, match="does not verify"):
        verify_signature(broken, DIGEST)


@pytest.mark.parametrize("flag", [3, 4, 5, 255])
def test_other_schemes_are_refused(flag):
    with pytest.raises(ReceiptError, match="unknown scheme"):
        verify_signature(bytes([flag]) + sign(0)[1:], DIGEST)


def test_an_empty_signature_is_refused():
    with pytest.raises(ReceiptError, match="unknown scheme"):
        verify_signature(b"", DIGEST)


@pytest.mark.parametrize("flag", CURVES)
def test_a_signature_is_bound_to_its_curve(flag):
    with pytest.raises(ReceiptError, match="does not verify"):
        verify_signature(bytes([3 - flag]) + sign(flag)[1:], DIGEST)


@pytest.mark.parametrize("digest", [b"", DIGEST[:-1], DIGEST + b"\0"])
def test_a_digest_of_another_length_is_refused(digest):
    with pytest.raises(ReceiptError, match="A digest has 32 bytes"):
        verify_signature(sign(0, digest), digest)


def test_a_curve_that_this_build_lacks_is_a_refusal(monkeypatch):
    def missing(*_arguments):
        raise UnsupportedAlgorithm("no such curve here")

    signature = sign(1)
    monkeypatch.setattr(ec.EllipticCurvePublicKey, "from_encoded_point", missing)
    with pytest.raises(ReceiptError, match="does not verify"):
        verify_signature(signature, DIGEST)


def test_the_error_is_ours_and_says_what_had_left():
    with pytest.raises(ConfidentialError) as caught:
        verify_signature(b"", DIGEST)
    assert caught.value.exposure is Exposure.SEALED
