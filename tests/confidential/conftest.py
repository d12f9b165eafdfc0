"""The node's side of the seal, and clients whose every byte is searched."""

import base64
import hashlib
import json
import os

import pytest
from answered import Wire
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from hypothesis import settings
from pinned import SEEN
from shells import PATTERNS, SECRET, Asynchronous, Blocking

from atoma_confidential import PinFile, retry
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


@pytest.fixture(params=[Blocking, Asynchronous])
def connect(request, recorded, canary):
    """Make clients of one shell; what they say must not be found on the wire."""
    assert canary in SECRET
    shells = []

    def make(atoma, **settings):
        settings = {"api_key": atoma.api_key, "base_url": atoma.base_url} | settings
        shells.append(request.param(**settings))
        return shells[-1]

    yield make
    for shell in shells:
        shell.close()
    sent = [tap.sent for tap in recorded.taps]
    assert not any(pattern.data in raw for pattern in PATTERNS for raw in sent)


@pytest.fixture
def delays(monkeypatch):
    """Record the waits before repetitions, and do not wait."""
    recorded = []
    real = retry.Budget.delay

    def delay(self, failure):
        seconds = real(self, failure)
        if seconds is None:
            return None
        recorded.append(seconds)
        return 0

    monkeypatch.setattr(retry.Budget, "delay", delay)
    return recorded


@pytest.fixture
def pins(tmp_path):
    """A pin file in a directory that is not there yet."""
    return PinFile(tmp_path / "settings" / "pins.json")


@pytest.fixture
def met(pins):
    """A pin file with node 42 in it."""
    pins.remember(42, SEEN)
    return pins


@pytest.fixture
def wire(node):
    """A sealed request to the node, and its stream."""
    return Wire(node)
