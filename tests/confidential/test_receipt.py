"""Signatures over a response digest, and receipts: what verifies and what must not."""

import hashlib
import json
from dataclasses import replace

import pytest
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from signing import CURVES, DIGEST, NAMES, ORDERS, receipt_of, sign

from atoma_confidential.errors import ConfidentialError, Exposure, ReceiptError
from atoma_confidential.receipt import Receipt, Signer, verify_signature


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


# --- receipts -------------------------------------------------------------------------


RECEIPT = receipt_of()
WRITTEN = json.loads(RECEIPT.to_json())


@pytest.mark.parametrize("flag", NAMES)
def test_a_receipt_is_written_and_read(flag):
    receipt = receipt_of(flag)
    text = receipt.to_json()
    assert "\n" not in text
    assert Receipt.from_json(text) == Receipt.from_json(text.encode()) == receipt
    assert Receipt.from_json(text).verify().address == receipt.address


def test_a_receipt_is_for_one_answer_and_by_one_address():
    signer = RECEIPT.verify(answer=b"an answer", address=RECEIPT.address.upper())
    assert signer.address == RECEIPT.address
    with pytest.raises(ReceiptError, match="another answer"):
        RECEIPT.verify(answer=b"an answer ")
    with pytest.raises(ReceiptError, match=RECEIPT.address):
        RECEIPT.verify(address="0x" + 64 * "0")


@pytest.mark.parametrize(
    "change",
    [
        {"address": "0x" + 64 * "0"},
        {"scheme": "secp256k1"},
        {"digest": bytes(32)},
        {"digest": b""},
        {"signature": b""},
        {"signature": sign(1)},
    ],
)
def test_a_receipt_that_was_changed_does_not_verify(change):
    with pytest.raises(ReceiptError):
        replace(RECEIPT, **change).verify()


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"version": True},
        {"version": "1"},
        {"version": None},
        {"comment": "unknown"},
        {"node": -1},
        {"node": 1 << 64},
        {"node": True},
        {"node": 3.0},
        {"issued_at": "now"},
        {"key": "0123"},
        {"key": "0123456789ABCDEF"},
        {"model": ""},
        {"model": None},
        {"digest": 5},
        {"digest": "not base64!"},
        {"digest": "AB=="},
        {"digest": "schlüssel"},
        {"signature": None},
        {"address": WRITTEN["address"] + "\n"},
        {"address": WRITTEN["address"].upper()},
        {"scheme": "multisig"},
    ],
    ids=repr,
)
def test_a_receipt_with_another_field_or_value_is_refused(change):
    with pytest.raises(ReceiptError) as caught:
        Receipt.from_json(json.dumps(WRITTEN | change))
    assert "schlüssel" not in str(caught.value)


@pytest.mark.parametrize("name", WRITTEN)
def test_a_receipt_without_a_field_is_refused(name):
    rest = {key: value for key, value in WRITTEN.items() if key != name}
    with pytest.raises(ReceiptError):
        Receipt.from_json(json.dumps(rest))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "null",
        "[]",
        "{}",
        "[[1, 2]]",
        json.dumps(list(WRITTEN.items())),
        "[" * 100_000,
        '"text"',
        b"\xff",
        RECEIPT.to_json()[:-1],
        RECEIPT.to_json()[:-1] + ',"node":4}',
        RECEIPT.to_json() + "{}",
    ],
    ids=lambda text: repr(text[:12]),
)
def test_what_is_no_receipt_is_refused(text):
    with pytest.raises(ReceiptError):
        Receipt.from_json(text)


@given(st.text() | st.binary())
def test_any_text_is_a_receipt_or_refused(text):
    with pytest.raises(ReceiptError):
        Receipt.from_json(text)


def test_no_beginning_of_a_receipt_is_one():
    text = RECEIPT.to_json()
    for end in range(len(text)):
        with pytest.raises(ReceiptError):
            Receipt.from_json(text[:end])


@given(st.data())
def test_a_receipt_with_one_other_character_is_refused_or_not_genuine(data):
    text = RECEIPT.to_json()
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(codec="ascii").filter(lambda c: c != text[at]))
    try:
        changed = Receipt.from_json(text[:at] + other + text[at + 1 :])
        changed.verify()
    except ReceiptError:
        return
    # Only what is signed, and by whom, is protected.
    unsigned = {"node": 0, "key": "", "model": "", "issued_at": 0}
    assert replace(changed, **unsigned) == replace(RECEIPT, **unsigned)


# Order 1, 2, 4 and 8, with and without the sign, and encodings that are not canonical.
SMALL = [
    (number | sign << 255).to_bytes(32, "little")
    for number in (
        *(0, 1, 2**255 - 20, 2**255 - 19, 2**255 - 18),
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
    )
    for sign in (0, 1)
]
BASE_POINT = bytes.fromhex("58" + "66" * 31)


def test_a_signature_that_is_valid_for_any_digest_is_refused():
    """The key is the identity, R the base point and s one: it verifies everything."""
    identity, one = SMALL[2], (1).to_bytes(32, "little")
    universal = b"\0" + BASE_POINT + one + identity
    for digest in (bytes(32), bytes(range(32))):
        key = Ed25519PublicKey.from_public_bytes(identity)
        key.verify(BASE_POINT + one, digest)  # the library does not mind
        with pytest.raises(ReceiptError):
            verify_signature(universal, digest)


@pytest.mark.parametrize("point", SMALL, ids=bytes.hex)
def test_no_point_of_small_order_signs(point):
    for signature in (
        b"\0" + BASE_POINT + bytes(32) + point,
        b"\0" + point + bytes(64),
    ):
        with pytest.raises(ReceiptError):
            verify_signature(signature, bytes(32))
