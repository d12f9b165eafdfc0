"""The node's side of the seal, for tests that need no server."""

import base64
import hashlib
import json
import os

import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import settings

from atoma_confidential.envelope import Recipient

# How long an example takes says nothing on a shared machine.
settings.register_profile("atoma", deadline=None)
settings.load_profile("atoma")


class NodeSide:
    """Opens what was sealed to it and seals answers, on `cryptography` alone."""

    def __init__(self):
        self._private_key = X25519PrivateKey.generate()
        self.recipient = Recipient(self._private_key.public_key().public_bytes_raw())

    def cipher(self, envelope):
        client = X25519PublicKey.from_public_bytes(envelope.encapsulated_key)
        derive = HKDF(algorithm=SHA256(), length=32, salt=envelope.salt, info=b"")
        return AESGCM(derive.derive(self._private_key.exchange(client)))

    def open(self, envelope):
        cipher = self.cipher(envelope)
        return cipher.decrypt(envelope.nonce, envelope.ciphertext, None)

    def answer(self, envelope, plaintext, *, nonce=None):
        """Return the four fields of a sealed answer; the signature is a stand-in."""
        nonce = nonce or os.urandom(12)
        fields = {
            "nonce": nonce,
            "ciphertext": self.cipher(envelope).encrypt(nonce, plaintext, None),
            "response_hash": hashlib.blake2b(plaintext, digest_size=32).digest(),
            "signature": bytes(97),
        }
        return {name: base64.b64encode(v).decode() for name, v in fields.items()}

    def body(self, envelope, value, *, nonce=None):
        """Return the bytes of a whole answer."""
        plaintext = json.dumps(value).encode()
        return json.dumps(self.answer(envelope, plaintext, nonce=nonce)).encode()

    def event(self, envelope, value, *, nonce=None):
        """Return the bytes of one stream event."""
        return b"data: " + self.body(envelope, value, nonce=nonce) + b"\n\n"


@pytest.fixture(scope="session")
def node():
    return NodeSide()
