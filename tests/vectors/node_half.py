"""The node's side of the wire, on `cryptography` and the standard library alone.

Nothing of the package is used here, so that a mistake would have to be made twice to
go unseen.
"""

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

# RFC 7748 section 6.1: Alice is the client, Bob the node. RFC 8032 section 7.1 test 1
# signs for the node.
ALICE = bytes.fromhex(
    "77076d0a7318a57d3c16c17251b26645df4c2f87ebc0992ab177fba51db92c2a"
)
BOB = bytes.fromhex("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb")
SIGNER = bytes.fromhex(
    "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60"
)
NODE_KEY = X25519PrivateKey.from_private_bytes(BOB).public_key().public_bytes_raw()
NODE_ID, STACK_ID = 3, 4711

LLAMA = "meta-llama/Llama-3.3-70B-Instruct"
E5 = "intfloat/multilingual-e5-large-instruct"
FLUX = "black-forest-labs/FLUX.1-schnell"
CHAT_PATH = "/v1/confidential/chat/completions"


def run(start: int, length: int) -> bytes:
    """Return consecutive byte values, readable in a dump."""
    return bytes(range(start, start + length))


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def unb64(text: str) -> bytes:
    return base64.b64decode(text)


def compact(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def blake2b(data: bytes) -> bytes:
    return hashlib.blake2b(data, digest_size=32).digest()


@dataclass(frozen=True)
class Exchange:
    """One sealed request, as a case, and what its answers are sealed with."""

    case: dict
    key: bytes
    nonce: bytes


def key_schedule(client_key: bytes, salt: bytes) -> tuple[bytes, bytes, bytes]:
    """Derive what the node derives: shared secret, HKDF PRK and AES key (RFC 5869)."""
    node = X25519PrivateKey.from_private_bytes(BOB)
    shared = node.exchange(X25519PublicKey.from_public_bytes(client_key))
    prk = hmac.digest(salt, shared, "sha256")
    return shared, prk, hmac.digest(prk, b"\x01", "sha256")


def sign(digest: bytes) -> bytes:
    key = Ed25519PrivateKey.from_private_bytes(SIGNER)
    return b"\0" + key.sign(digest) + key.public_key().public_bytes_raw()


def sealed(exchange: Exchange, nonce: bytes, plaintext: str | bytes) -> dict:
    data = plaintext.encode() if isinstance(plaintext, str) else plaintext
    return {
        "nonce": b64(nonce),
        "ciphertext": b64(AESGCM(exchange.key).encrypt(nonce, data, None)),
        "response_hash": b64(blake2b(data)),
        "signature": b64(sign(blake2b(data))),
    }


def flipped(text: str, index: int) -> str:
    data = bytearray(unb64(text))
    data[index] ^= 1
    return b64(bytes(data))
