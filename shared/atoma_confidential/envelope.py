"""Sealing a request to a node, and opening what comes back.

Bytes in, bytes out: no JSON, no HTTP, no field names of the wire live here. The scheme
borrows the words of RFC 9180 (recipient, seal, open, encapsulated key) but is not
HPKE: one key serves both directions and nothing but the body is authenticated
(protocol 3.1).
"""

from __future__ import annotations

import hashlib
import hmac
import os
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric.x25519 import (
    X25519PrivateKey,
    X25519PublicKey,
)
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .errors import (
    DigestMismatchError,
    Exposure,
    OpenError,
    ReflectionError,
    UnusableKeyError,
)

__all__ = ["Envelope", "Opener", "Recipient", "digest_of", "seal"]

KEY_BYTES = 32
SALT_BYTES = 16
NONCE_BYTES = 12
DIGEST_BYTES = 32


@dataclass(frozen=True, slots=True)
class Recipient:
    """A node's X25519 public key.

    Raises:
        UnusableKeyError: The key does not have 32 bytes. A low-order key is refused
            when something is to be sealed to it.
    """

    public_key: bytes

    def __post_init__(self) -> None:
        if len(self.public_key) != KEY_BYTES:
            raise UnusableKeyError(
                f"A node key has {KEY_BYTES} bytes, this one has "
                f"{len(self.public_key)}."
            )

    @property
    def fingerprint(self) -> str:
        """The first 16 hex digits of the key's BLAKE2b-256 digest."""
        return digest_of(self.public_key).hex()[:16]


@dataclass(frozen=True, slots=True)
class Envelope:
    """One sealed request: all that the node needs to open it, and to answer."""

    encapsulated_key: bytes
    salt: bytes
    nonce: bytes
    ciphertext: bytes
    plaintext_digest: bytes


class Opener:
    """Opens the replies to one sealed request; holds its keys and never shows them."""

    __slots__ = ("_cipher", "_private_key", "_request_nonce", "_salt")

    def __init__(
        self,
        recipient: Recipient,
        *,
        private_key: X25519PrivateKey,
        salt: bytes,
        request_nonce: bytes,
    ) -> None:
        self._private_key = private_key
        self._salt = salt
        self._request_nonce = request_nonce
        self._cipher = AESGCM(_derive_key(recipient, private_key, salt))

    def open(self, ciphertext: bytes, *, nonce: bytes, digest: bytes) -> bytes:
        """Return the authenticated plaintext of one reply or stream event.

        Args:
            ciphertext: AES-256-GCM output with its 16-byte tag at the end.
            nonce: 12 bytes, chosen by the node.
            digest: BLAKE2b-256 that the plaintext must have; required, because a
                missing one would make the check optional for whoever relays it.

        Raises:
            ReflectionError: The nonce is the request's own (protocol 11.3).
            OpenError: The tag does not verify.
            DigestMismatchError: The plaintext does not have this digest.
        """
        if hmac.compare_digest(nonce, self._request_nonce):
            raise ReflectionError("The reply carries our own nonce.", Exposure.SEALED)
        try:
            plaintext = self._cipher.decrypt(nonce, ciphertext, None)
        except (InvalidTag, ValueError):
            plaintext = None
        if plaintext is None:
            raise OpenError("The reply does not authenticate.", Exposure.SEALED)
        if not hmac.compare_digest(digest_of(plaintext), digest):
            raise DigestMismatchError(
                "The reply does not have the digest sent with it.", Exposure.SEALED
            )
        return plaintext

    def rekeyed(self, recipient: Recipient) -> Opener:
        """Return an opener for the same request under a node's new key (4.7)."""
        return Opener(
            recipient,
            private_key=self._private_key,
            salt=self._salt,
            request_nonce=self._request_nonce,
        )


def digest_of(data: bytes) -> bytes:
    """Return the unkeyed BLAKE2b-256 digest that the wire uses (protocol 3.1)."""
    return hashlib.blake2b(data, digest_size=DIGEST_BYTES).digest()


def seal(recipient: Recipient, plaintext: bytes) -> tuple[Envelope, Opener]:
    """Seal a body to a node under keys that are used this once.

    Raises:
        UnusableKeyError: The recipient's key is of low order.
    """
    return _seal(
        recipient,
        plaintext,
        private_key=X25519PrivateKey.generate(),
        salt=os.urandom(SALT_BYTES),
        nonce=os.urandom(NONCE_BYTES),
    )


def _seal(
    recipient: Recipient,
    plaintext: bytes,
    *,
    private_key: X25519PrivateKey,
    salt: bytes,
    nonce: bytes,
) -> tuple[Envelope, Opener]:
    """Seal deterministically; private, because only test vectors may choose these."""
    opener = Opener(recipient, private_key=private_key, salt=salt, request_nonce=nonce)
    envelope = Envelope(
        encapsulated_key=private_key.public_key().public_bytes_raw(),
        salt=salt,
        nonce=nonce,
        ciphertext=opener._cipher.encrypt(nonce, plaintext, None),  # noqa: SLF001
        plaintext_digest=digest_of(plaintext),
    )
    return envelope, opener


def _derive_key(
    recipient: Recipient, private_key: X25519PrivateKey, salt: bytes
) -> bytes:
    try:
        shared = private_key.exchange(
            X25519PublicKey.from_public_bytes(recipient.public_key)
        )
    except ValueError:
        # An all-zero secret (RFC 7748 section 6.1): the node would not notice.
        shared = None
    if shared is None:
        raise UnusableKeyError("The node key is of low order.")
    # "info" is empty on this wire (protocol 3.1).
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=salt, info=b"").derive(
        shared
    )
