"""Sealing a request, opening its replies, and refusing everything else."""

import hashlib
import pickle

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from atoma_confidential.envelope import Envelope, Opener, Recipient, digest_of, seal
from atoma_confidential.errors import (
    AttestationError,
    DigestMismatchError,
    Exposure,
    OpenError,
    ReflectionError,
    UnusableKeyError,
)

NONCE = bytes(range(12))
ANSWER = b'{"choices": []}'

# Every encoding of a point of order 1, 2, 4 or 8 (RFC 7748 section 6.1).
LOW_ORDER = [
    bytes(32),
    bytes([1]) + bytes(31),
    bytes.fromhex("e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800"),
    bytes.fromhex("5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157"),
    bytes.fromhex("ec" + "ff" * 30 + "7f"),
    bytes.fromhex("ed" + "ff" * 30 + "7f"),
    bytes.fromhex("ee" + "ff" * 30 + "7f"),
]


def sealed_answer(node, envelope, plaintext=ANSWER, nonce=NONCE):
    return node.cipher(envelope).encrypt(nonce, plaintext, None)


# --- sealing ------------------------------------------------------------------------


@given(st.binary(max_size=2000))
def test_the_node_opens_what_was_sealed(node, plaintext):
    envelope, _ = seal(node.recipient, plaintext)
    assert node.open(envelope) == plaintext
    expected = hashlib.blake2b(plaintext, digest_size=32).digest()
    assert envelope.plaintext_digest == expected


def test_an_envelope_has_the_sizes_of_the_wire(node):
    envelope, _ = seal(node.recipient, b"{}")
    assert len(envelope.encapsulated_key) == 32
    assert len(envelope.salt) == 16
    assert len(envelope.nonce) == 12
    assert len(envelope.ciphertext) == 2 + 16
    assert len(envelope.plaintext_digest) == 32


def test_no_two_envelopes_share_a_key_salt_or_nonce(node):
    envelopes = [seal(node.recipient, b"{}")[0] for _ in range(20)]
    for name in ("encapsulated_key", "salt", "nonce", "ciphertext"):
        assert len({getattr(envelope, name) for envelope in envelopes}) == 20


@pytest.mark.parametrize("key", LOW_ORDER, ids=lambda key: key.hex()[:8])
def test_nothing_is_sealed_to_a_key_of_low_order(key):
    with pytest.raises(UnusableKeyError, match="low order"):
        seal(Recipient(key), b"{}")


@pytest.mark.parametrize("length", [0, 31, 33, 64])
def test_a_key_of_another_length_is_no_recipient(length):
    with pytest.raises(UnusableKeyError, match=f"this one has {length}") as caught:
        Recipient(bytes(length))
    assert isinstance(caught.value, AttestationError)


def test_a_fingerprint_is_the_start_of_the_keys_digest():
    key = bytes(range(32))
    expected = hashlib.blake2b(key, digest_size=32).hexdigest()[:16]
    assert Recipient(key).fingerprint == expected


def test_the_digest_is_not_a_cut_of_a_longer_one():
    assert digest_of(b"") != hashlib.blake2b(b"").digest()[:32]
    assert digest_of(b"").hex().startswith("0e5751c026e543b2")


# --- opening ------------------------------------------------------------------------


@given(st.binary(max_size=2000))
def test_a_reply_opens(node, plaintext):
    envelope, opener = seal(node.recipient, b"{}")
    sealed = sealed_answer(node, envelope, plaintext)
    opened = opener.open(sealed, nonce=NONCE, digest=digest_of(plaintext))
    assert opened == plaintext


@given(st.data())
def test_any_flipped_bit_of_a_reply_is_refused(node, data):
    envelope, opener = seal(node.recipient, b"{}")
    sealed = bytearray(sealed_answer(node, envelope))
    bit = data.draw(st.integers(0, 8 * len(sealed) - 1))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(OpenError, match="does not authenticate") as caught:
        opener.open(bytes(sealed), nonce=NONCE, digest=digest_of(ANSWER))
    assert caught.value.exposure is Exposure.SEALED
    assert type(caught.value) is OpenError


def test_every_proper_prefix_of_a_reply_is_refused(node):
    envelope, opener = seal(node.recipient, b"{}")
    sealed = sealed_answer(node, envelope)
    for length in range(len(sealed)):
        with pytest.raises(OpenError, match="does not authenticate"):
            opener.open(sealed[:length], nonce=NONCE, digest=digest_of(ANSWER))


@pytest.mark.parametrize("nonce", [b"", bytes(7), bytes(12), bytes(16), bytes(200)])
def test_a_reply_under_another_nonce_is_refused(node, nonce):
    envelope, opener = seal(node.recipient, b"{}")
    with pytest.raises(OpenError, match="does not authenticate"):
        opener.open(
            sealed_answer(node, envelope), nonce=nonce, digest=digest_of(ANSWER)
        )


def test_the_reply_to_another_request_is_refused(node):
    other, _ = seal(node.recipient, b"{}")
    _, opener = seal(node.recipient, b"{}")
    with pytest.raises(OpenError, match="does not authenticate"):
        opener.open(sealed_answer(node, other), nonce=NONCE, digest=digest_of(ANSWER))


@pytest.mark.parametrize("digest", [b"", digest_of(b"else"), digest_of(ANSWER)[:31]])
def test_a_reply_with_another_digest_is_refused(node, digest):
    envelope, opener = seal(node.recipient, b"{}")
    with pytest.raises(DigestMismatchError):
        opener.open(sealed_answer(node, envelope), nonce=NONCE, digest=digest)


def test_the_request_itself_is_refused_as_a_reply(node):
    envelope, opener = seal(node.recipient, b"{}")
    with pytest.raises(ReflectionError):
        opener.open(
            envelope.ciphertext, nonce=envelope.nonce, digest=envelope.plaintext_digest
        )


def test_a_reply_under_the_nodes_next_key_opens_once_rekeyed(node):
    following = type(node)()
    envelope, opener = seal(node.recipient, b"{}")
    sealed = sealed_answer(following, envelope)
    with pytest.raises(OpenError, match="does not authenticate"):
        opener.open(sealed, nonce=NONCE, digest=digest_of(ANSWER))
    rekeyed = opener.rekeyed(following.recipient)
    assert rekeyed.open(sealed, nonce=NONCE, digest=digest_of(ANSWER)) == ANSWER


def test_a_rekeyed_opener_still_knows_its_own_request(node):
    envelope, opener = seal(node.recipient, b"{}")
    rekeyed = opener.rekeyed(type(node)().recipient)
    with pytest.raises(ReflectionError):
        rekeyed.open(b"", nonce=envelope.nonce, digest=bytes(32))


def test_an_opener_is_not_rekeyed_to_a_key_of_low_order(node):
    _, opener = seal(node.recipient, b"{}")
    with pytest.raises(UnusableKeyError):
        opener.rekeyed(Recipient(bytes(32)))


# --- secrets ------------------------------------------------------------------------


def test_an_opener_shows_and_gives_away_no_key(node):
    private_key = X25519PrivateKey.generate()
    opener = Opener(
        node.recipient, private_key=private_key, salt=bytes(16), request_nonce=NONCE
    )
    assert private_key.private_bytes_raw().hex() not in repr(opener)
    assert not hasattr(opener, "__dict__")
    with pytest.raises(TypeError):
        pickle.dumps(opener)


def test_an_error_does_not_carry_what_failed_to_open(node):
    envelope, opener = seal(node.recipient, b"{}")
    sealed = sealed_answer(node, envelope, b"canary in the answer")
    with pytest.raises(DigestMismatchError) as caught:
        opener.open(sealed, nonce=NONCE, digest=bytes(32))
    assert "canary" not in f"{caught.value}{caught.value.args}"


def test_values_are_frozen(node):
    envelope, _ = seal(node.recipient, b"{}")
    with pytest.raises(AttributeError):
        envelope.nonce = NONCE
    with pytest.raises(AttributeError):
        node.recipient.public_key = bytes(32)
    assert isinstance(envelope, Envelope)
