"""Names and values of a cache that whoever stores them can neither read nor forge.

A name is the HMAC of a key, so that equal keys are found again and a guess of one
cannot be confirmed. A value is sealed with AES-256-GCM to its name, its namespace and
the version of this format, so that it opens nowhere else. Keys are derived (RFC 5869)
for each namespace and purpose.

Nonces are random: below 2^32 values written to one namespace under one secret, two
are equal with a probability of at most 2^-32 (NIST SP 800-38D, section 8.3).
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from .blinding import padded_length
from .errors import CacheEntryError, CacheSecretError

__all__ = ["CHECK", "CacheEntries", "is_entry_name"]

CHECK = "check"
"""The one name that needs no secret: what stands there tells whether a secret fits."""

_VERSION = b"\x01"
_NONCE_BYTES = 12
_KEY_BYTES = 32
_LENGTH_BYTES = 8


class CacheEntries:
    """Names, seals and opens the entries of one namespace; holds its keys.

    Args:
        secret: 32 random bytes.
        namespace: Any text; its entries are of no use in another.
    """

    __slots__ = ("_cipher", "_namespace", "_naming")

    def __init__(self, secret: bytes, namespace: str) -> None:
        self._namespace = _encoded(namespace)
        self._naming = self._derived(secret, b"names")
        self._cipher = AESGCM(self._derived(secret, b"values"))

    def name(self, key: str) -> str:
        """Return the 64 hex digits that stand for a key."""
        return hmac.new(self._naming, _encoded(key), hashlib.sha256).hexdigest()

    def seal(self, key: str, value: bytes) -> bytes:
        """Return a value with its key, padded to a PADMÉ size and sealed to its name.

        The key is inside, because a name does not lead back to it.
        """
        return self._sealed(self.name(key), _packed(_encoded(key), value))

    def open(self, name: str, sealed: bytes) -> tuple[str, bytes]:
        """Return the key and the value that were sealed to this name.

        Raises:
            CacheEntryError: Nobody with this secret has sealed these bytes to it.
        """
        plaintext = self._opened(name, sealed)
        if plaintext is None:
            raise CacheEntryError("An entry of the cache does not authenticate.")
        key, value = _unpacked(plaintext)
        return key.decode("utf-8", "surrogatepass"), value

    def check(self) -> bytes:
        """Return what is to stand under `CHECK` in each namespace."""
        return self._sealed(CHECK, b"")

    def verify(self, check: bytes) -> None:
        """Compare the secret with the one that a namespace was begun under.

        Raises:
            CacheSecretError: It is another one, or its check was changed.
        """
        if self._opened(CHECK, check) is None:
            raise CacheSecretError("The cache was written under another secret.")

    def _sealed(self, name: str, plaintext: bytes) -> bytes:
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, plaintext, self._associated(name))
        return _VERSION + nonce + sealed

    def _opened(self, name: str, sealed: bytes) -> bytes | None:
        version, nonce = sealed[:1], sealed[1 : 1 + _NONCE_BYTES]
        if version != _VERSION:
            return None
        try:
            return self._cipher.decrypt(
                nonce, sealed[1 + _NONCE_BYTES :], self._associated(name)
            )
        except (InvalidTag, ValueError):  # the second for too few bytes
            return None

    def _associated(self, name: str) -> bytes:
        return _VERSION + _packed(self._namespace, name.encode(), pad=False)

    def _derived(self, secret: bytes, purpose: bytes) -> bytes:
        info = b"atoma cache " + _VERSION + _packed(purpose, self._namespace, pad=False)
        derive = HKDF(algorithm=SHA256(), length=_KEY_BYTES, salt=None, info=info)
        return derive.derive(secret)


def is_entry_name(name: str) -> bool:
    """Tell whether a name is one that `CacheEntries.name` gives."""
    return re.fullmatch(r"[0-9a-f]{64}", name) is not None


def _encoded(text: str) -> bytes:
    """Return any text's own bytes; half a surrogate pair is nothing to fail on."""
    return text.encode("utf-8", "surrogatepass")


def _packed(first: bytes, second: bytes, *, pad: bool = True) -> bytes:
    lengths = b"".join(len(x).to_bytes(_LENGTH_BYTES, "big") for x in (first, second))
    packed = lengths + first + second
    return packed.ljust(padded_length(len(packed)), b"\0") if pad else packed


def _unpacked(packed: bytes) -> tuple[bytes, bytes]:
    """Read what `_packed` wrote; only what has authenticated comes here."""
    start = 2 * _LENGTH_BYTES
    middle = start + int.from_bytes(packed[:_LENGTH_BYTES], "big")
    end = middle + int.from_bytes(packed[_LENGTH_BYTES:start], "big")
    return packed[start:middle], packed[middle:end]
