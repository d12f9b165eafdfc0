"""A client of the wire in sixty lines, on httpx and cryptography alone.

The client shares no code with atoma_confidential nor with atoma_local, so it can be
wrong on purpose: other keys, other bytes, other fields.
"""

import base64
import hashlib
import json
import os
import socket

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from plain_socket import SECONDS, Server

from atoma_local import FaultRelay

MODEL = "meta-llama/Llama-3.3-70B-Instruct"


def b64(data):
    return base64.b64encode(data).decode()


def compact(value):
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


class Sealed:
    """One sealed request: its envelope, and the key that opens the answer."""

    def __init__(self, lock, body, *, stream=False, plaintext=None):
        own = X25519PrivateKey.generate()
        node_key = base64.b64decode(lock["public_key"])
        salt, self.nonce = os.urandom(16), os.urandom(12)
        self._own, self._salt = own, salt
        self._aead = self._cipher(node_key)
        plaintext = plaintext or compact(body)
        self.envelope = {
            "ciphertext": b64(self._aead.encrypt(self.nonce, plaintext, None)),
            "stack_small_id": lock["stack_small_id"],
            "nonce": b64(self.nonce),
            "salt": b64(salt),
            "client_dh_public_key": b64(own.public_key().public_bytes_raw()),
            "node_dh_public_key": lock["public_key"],
            "plaintext_body_hash": b64(
                hashlib.blake2b(plaintext, digest_size=32).digest()
            ),
            "stream": stream,
            "model_name": body["model"],
            "num_compute_units": 8192,
        }

    def _cipher(self, node_key):
        shared = self._own.exchange(X25519PublicKey.from_public_bytes(node_key))
        kdf = HKDF(algorithm=SHA256(), length=32, salt=self._salt, info=b"")
        return AESGCM(kdf.derive(shared))

    def open(self, reply, *, node_key=None):
        """Open a reply and check its hash."""
        aead = self._aead if node_key is None else self._cipher(node_key)
        nonce, sealed = (base64.b64decode(reply[k]) for k in ("nonce", "ciphertext"))
        plaintext = aead.decrypt(nonce, sealed, None)
        digest = hashlib.blake2b(plaintext, digest_size=32).digest()
        assert b64(digest) == reply["response_hash"]
        return json.loads(plaintext)


class Wire:
    """Speaks to one local Atoma over real HTTP."""

    def __init__(self, atoma):
        self.atoma = atoma
        self.http = httpx.Client(
            base_url=atoma.base_url,
            headers={"Authorization": f"Bearer {atoma.api_key}"},
            trust_env=False,
        )

    def lock(self, model=MODEL, **options):
        reply = self.http.post("/v1/nodes/lock", json={"model": model, **options})
        assert reply.status_code == 200, reply.text
        return reply.json()

    def send(self, sealed, endpoint="chat/completions", **options):
        content = options.pop("content", None) or compact(sealed.envelope)
        headers = {
            "Content-Type": "application/json",
            "X-Stack-Small-Id": str(sealed.envelope["stack_small_id"]),
        } | options.pop("headers", {})
        return self.http.post(
            f"/v1/confidential/{endpoint}", content=content, headers=headers
        )

    def seal(self, body, **options):
        return Sealed(self.lock(body["model"]), body, **options)

    def streaming(self, sealed):
        return self.http.stream(
            "POST",
            "/v1/confidential/chat/completions",
            content=compact(sealed.envelope),
            headers={"Content-Type": "application/json"},
        )

    def ask(self, body, endpoint="chat/completions", **options):
        """Lock, seal, send; returns the request and the HTTP answer."""
        sealed = self.seal(body, **options)
        return sealed, self.send(sealed, endpoint)

    def answer(self, body, endpoint="chat/completions"):
        sealed, reply = self.ask(body, endpoint)
        assert reply.status_code == 200, reply.text
        return sealed.open(reply.json())

    def stream(self, body):
        """Return the sealed request and the parsed events of a stream."""
        sealed, reply = self.ask(body | {"stream": True}, stream=True)
        assert reply.status_code == 200, reply.text
        return sealed, events_of(reply.text)


def events_of(text):
    blocks = [b for b in text.split("\n\n") if b and not b.startswith(":")]
    assert all(block.startswith("data: ") for block in blocks)
    return [json.loads(block.removeprefix("data: ")) for block in blocks]


def chat(text, **parameters):
    messages = [{"role": "user", "content": text}]
    return {"model": MODEL, "messages": messages, **parameters}


@pytest.fixture
def connect():
    """Make a `Wire` to a local Atoma; it is closed afterwards."""
    wires = []

    def make(atoma):
        wires.append(Wire(atoma))
        return wires[-1]

    yield make
    for wire in wires:
        wire.http.close()


@pytest.fixture
def wire(atoma, connect):
    return connect(atoma)


@pytest.fixture
def relayed():
    """Start a server with this answer, and a relay before it."""
    started = []

    def start(answer):
        server = Server(answer)
        relay = FaultRelay(server.url)
        relay.__enter__()
        started.append((server, relay))
        return server, relay

    yield start
    for server, relay in started:
        relay.__exit__(None, None, None)
        server.close()


@pytest.fixture
def dial():
    """Connect to a relay."""
    opened = []

    def connect(relay):
        port = int(relay.base_url.rpartition(":")[2])
        one = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        opened.append(one)
        return one

    yield connect
    for one in opened:
        one.close()
