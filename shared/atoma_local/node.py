"""The node's half of the cryptography: open a request, seal and sign a reply.

Written from docs/protocol.md section 3 alone, and sharing no code with the client,
so that each checks the other. Nothing here knows HTTP.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Node", "NodeError", "SealedRequest", "blake2b_256", "to_base64"]

NONCE_BYTES = 12
ED25519_FLAG = b"\x00"

_FIELDS = {
    "ciphertext": None,
    "nonce": NONCE_BYTES,
    "salt": 16,
    "client_dh_public_key": 32,
    "node_dh_public_key": 32,
    "plaintext_body_hash": 32,
}


class NodeError(Exception):
    """The node refused, with the status it answers to the proxy.

    What the client gets to see of it is decided by `_refusals.node_refusal`.
    """

    def __init__(self, status: int, code: str = "") -> None:
        super().__init__(f"node answered {status}")
        self.status = status
        self.code = code


def blake2b_256(data: bytes) -> bytes:
    """Hash with the 32-byte digest parameter, which is no truncation of 64 bytes."""
    return hashlib.blake2b(data, digest_size=32).digest()


def to_base64(data: bytes) -> str:
    """Encode in the one alphabet the node accepts (RFC 4648 section 4)."""
    return base64.b64encode(data).decode("ascii")


def _from_base64(text: object) -> bytes:
    """Decode as strictly as Rust's STANDARD engine does: no stray trailing bits."""
    if not isinstance(text, str):
        raise NodeError(400, "INVALID_BODY")
    try:
        data = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as error:
        raise NodeError(500) from error
    if to_base64(data) != text:
        raise NodeError(500)
    return data


@dataclass(frozen=True, slots=True)
class SealedRequest:
    """The envelope's six binary fields, decoded and of the right length."""

    ciphertext: bytes
    nonce: bytes
    salt: bytes
    client_dh_public_key: bytes
    node_dh_public_key: bytes
    plaintext_body_hash: bytes

    @classmethod
    def from_envelope(cls, envelope: Mapping[str, object]) -> SealedRequest:
        """Decode an envelope.

        Raises:
            NodeError: a field is missing, not base64, or of another length.
        """
        decoded = {name: _from_base64(envelope.get(name)) for name in _FIELDS}
        for name, length in _FIELDS.items():
            if length is not None and len(decoded[name]) != length:
                raise NodeError(500)
        return cls(**decoded)


class Node:
    """One confidential node: an X25519 key that changes and a signing key that stays.

    Args:
        small_id: the number under which the proxy knows it.
        key: raw X25519 private key; random where absent.
        signing_key: raw Ed25519 seed of the operator's Sui wallet; likewise.
    """

    def __init__(
        self,
        small_id: int = 3,
        *,
        key: bytes | None = None,
        signing_key: bytes | None = None,
    ) -> None:
        self.small_id = small_id
        key = key or secrets.token_bytes(32)
        self._take(X25519PrivateKey.from_private_bytes(key))
        self._former_public_key = self.public_key
        self._signing_key = Ed25519PrivateKey.from_private_bytes(
            signing_key or secrets.token_bytes(32)
        )

    def __repr__(self) -> str:
        return f"Node(small_id={self.small_id}, public_key={self.public_key.hex()})"

    @property
    def public_key(self) -> bytes:
        """The current X25519 public key, 32 bytes."""
        return self._public_key

    @property
    def former_public_key(self) -> bytes:
        """The key before the last rotation, which a slow proxy still hands out."""
        return self._former_public_key

    @property
    def address(self) -> str:
        """The Sui address of the operator's wallet (protocol section 3.4)."""
        public = self._signing_key.public_key().public_bytes_raw()
        return "0x" + blake2b_256(ED25519_FLAG + public).hex()

    def rotate(self) -> None:
        """Switch to a new key at once, as a restart does (protocol section 4.7)."""
        self._former_public_key = self.public_key
        self._take(X25519PrivateKey.generate())

    def _take(self, key: X25519PrivateKey) -> None:
        self._key = key
        self._public_key = key.public_key().public_bytes_raw()  # to make takes a while

    def open(self, request: SealedRequest) -> bytes:
        """Return the plaintext of a request.

        Raises:
            NodeError: 500 for another key or a failed tag, 400 for a wrong hash.
        """
        if request.node_dh_public_key != self.public_key:
            raise NodeError(500)
        try:
            plaintext = self._cipher(request).decrypt(
                request.nonce, request.ciphertext, None
            )
        except InvalidTag as error:
            raise NodeError(500) from error
        if blake2b_256(plaintext) != request.plaintext_body_hash:
            raise NodeError(400, "INVALID_BODY")
        return plaintext

    def seal(
        self, request: SealedRequest, plaintext: bytes, *, nonce: bytes | None = None
    ) -> dict[str, str]:
        """Seal a reply with the key of now, which a rotation may have changed.

        Args:
            request: the request that is answered; gives client key and salt.
            plaintext: exactly the bytes that are hashed and signed too.
            nonce: upstream draws one per stream and repeats it; fresh where absent.
        """
        nonce = nonce or secrets.token_bytes(NONCE_BYTES)
        digest = blake2b_256(plaintext)
        return {
            "nonce": to_base64(nonce),
            "ciphertext": to_base64(
                self._cipher(request).encrypt(nonce, plaintext, None)
            ),
            "response_hash": to_base64(digest),
            "signature": self.sign(digest),
        }

    def sign(self, digest: bytes) -> str:
        """Sign a hash in Sui's serialised form: flag, signature, public key."""
        public = self._signing_key.public_key().public_bytes_raw()
        return to_base64(ED25519_FLAG + self._signing_key.sign(digest) + public)

    def _cipher(self, request: SealedRequest) -> AESGCM:
        try:
            shared = self._key.exchange(
                X25519PublicKey.from_public_bytes(request.client_dh_public_key)
            )
        except ValueError as error:  # all-zero secret: a low-order client key
            raise NodeError(500) from error
        kdf = HKDF(algorithm=SHA256(), length=32, salt=request.salt, info=b"")
        return AESGCM(kdf.derive(shared))
