"""The node's cryptography against the vectors, and against wrong envelopes."""

import base64

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from atoma_local.node import Node, NodeError, SealedRequest, blake2b_256

# RFC 7748 section 6.1 (Bob) and RFC 8032 test 1.
NODE_KEY = bytes.fromhex(
    "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb"
)
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
ADDRESS = "0x304af458e90e97c841685b8cbbc59b909f3e2cf150df590ada4c81452c29737d"
# Protocol section 15, the worked example.
PLAINTEXT = (
    '{"messages":[{"content":"Hello, Atoma! Grüße 👋","role":"user"}],'
    '"model":"meta-llama/Llama-3.3-70B-Instruct","max_tokens":64,"stream":false}'
).encode()
ENVELOPE = {
    "ciphertext": (
        "GhcwlVpat0OTPx8ARSJw3TGTe5dig2a8x/9FILpPDEw34IS98ulkDqDNF6ZUGXev1qARkvWE"
        "QHHHPceqjaEUxBxmI1UIjvJvwn2zXeCicUWSxzFpStD//U3dY3OOnezHwcgKcnj0D39uHFZk"
        "0uL+GXUsnmN0fpeKiyXnSDJk/fs5jwVbDNTP/eOh/Qhn5Tolv5NL2CewGGsJu2oxXYr34w=="
    ),
    "nonce": "oKGio6Slpqeoqaqr",
    "salt": "AAECAwQFBgcICQoLDA0ODw==",
    "client_dh_public_key": "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo=",
    "node_dh_public_key": "3p7bfXt9wbTTW2HC7OQ1Nz+DQ8hbeGdNrfx+FG+IK08=",
    "plaintext_body_hash": "upeGYU4MzJrKU7Jk5ceV6MqYe6A0QSYGro9cIf+drQE=",
}
ANSWER_NONCE = bytes.fromhex("b0b1b2b3b4b5b6b7b8b9babb")


@pytest.fixture
def bob():
    return Node(key=NODE_KEY, signing_key=SEED)


def request(**changes):
    return SealedRequest.from_envelope(ENVELOPE | changes)


def test_opens_the_worked_example(bob):
    assert bob.open(request()) == PLAINTEXT


def test_has_the_address_of_its_wallet(bob):
    assert bob.address == ADDRESS


def test_signs_in_suis_form(bob):
    reply = bob.seal(request(), b"{}", nonce=ANSWER_NONCE)

    raw = base64.b64decode(reply["signature"])
    digest = blake2b_256(b"{}")
    assert (raw[:1], len(raw)) == (b"\x00", 97)
    Ed25519PublicKey.from_public_bytes(raw[65:]).verify(raw[1:65], digest)
    assert base64.b64decode(reply["response_hash"]) == digest
    assert reply["nonce"] == "sLGys7S1tre4ubq7"


def test_seals_with_the_key_of_the_request(bob):
    sealed = bob.seal(request(), b"an answer")
    back = request(
        ciphertext=sealed["ciphertext"],
        nonce=sealed["nonce"],
        plaintext_body_hash=sealed["response_hash"],
    )

    assert bob.open(back) == b"an answer"


def test_draws_a_nonce_for_each_reply(bob):
    nonces = {bob.seal(request(), b"{}")["nonce"] for _ in range(20)}
    assert len(nonces) == 20


def test_another_key_opens_nothing(bob):
    bob.rotate()

    with pytest.raises(NodeError) as caught:
        bob.open(request())
    assert caught.value.status == 500
    assert (
        base64.b64encode(bob.former_public_key).decode()
        == (ENVELOPE["node_dh_public_key"])
    )


def flipped(name):
    data = bytearray(base64.b64decode(ENVELOPE[name]))
    data[-1] ^= 1
    return base64.b64encode(bytes(data)).decode()


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"ciphertext": flipped("ciphertext")}, 500),
        ({"nonce": flipped("nonce")}, 500),
        ({"salt": flipped("salt")}, 500),
        ({"plaintext_body_hash": flipped("plaintext_body_hash")}, 400),
        ({"nonce": "oKGio6Slpqeoqao="}, 500),
        ({"nonce": "not base64"}, 500),
        ({"ciphertext": ENVELOPE["ciphertext"].replace("/", "_")}, 500),
        ({"salt": "AAECAwQFBgcICQoLDA0ODx=="}, 500),
        ({"salt": None}, 400),
        ({"client_dh_public_key": base64.b64encode(bytes(32)).decode()}, 500),
    ],
)
def test_refuses_what_is_wrong_as_upstream_does(bob, changes, status):
    with pytest.raises(NodeError) as caught:
        bob.open(request(**changes))
    assert caught.value.status == status


def test_shows_no_private_key(bob):
    assert NODE_KEY.hex() not in repr(bob)
    assert bob.public_key.hex() in repr(bob)
