"""Which node keys a request may be sealed to.

A policy is asked between the lock and the sealing, for each attempt: what it refuses,
nothing is sealed to.
"""

from __future__ import annotations

import abc
import base64
import binascii
from collections.abc import Iterable
from dataclasses import dataclass

from ..envelope import Recipient, digest_of
from ..errors import AttestationError, InvalidInputError

__all__ = ["TrustPolicy"]


class TrustPolicy(abc.ABC):
    """Decides whether a node's key may be sealed to; its name is in every verdict."""

    name: str

    @property
    @abc.abstractmethod
    def identity(self) -> str:
        """A text that two policies share only if they accept the same keys.

        What one policy let be asked, a cache must not answer for another.
        """

    @abc.abstractmethod
    def appraise(self, recipient: Recipient) -> None:
        """Return if the key is acceptable.

        Raises:
            AttestationError: It is not.
        """

    @staticmethod
    def proxy_asserted() -> TrustPolicy:
        """Accept the key that the proxy hands out.

        Whoever controls the proxy can then substitute a key and read everything
        (protocol 11.2).
        """
        return _ProxyAsserted()

    @staticmethod
    def pinned(*, keys: Iterable[bytes | str]) -> TrustPolicy:
        """Accept only the node keys given, as 32 bytes or their base64 text.

        Raises:
            InvalidInputError: No key was given, or one is not a key.
        """
        return _Pinned(frozenset(_key_bytes(key) for key in keys))


@dataclass(frozen=True, slots=True)
class _ProxyAsserted(TrustPolicy):
    name = "proxy_asserted"

    @property
    def identity(self) -> str:
        return self.name

    def appraise(self, recipient: Recipient) -> None:
        """Accept: that nothing is checked here is what the name says."""


@dataclass(frozen=True, slots=True)
class _Pinned(TrustPolicy):
    keys: frozenset[bytes]
    name = "pinned"

    def __post_init__(self) -> None:
        if not self.keys:
            raise InvalidInputError("pinned() needs at least one key.")

    @property
    def identity(self) -> str:
        return f"{self.name}:{digest_of(b''.join(sorted(self.keys))).hex()}"

    def appraise(self, recipient: Recipient) -> None:
        if recipient.public_key not in self.keys:
            raise AttestationError(
                f"The proxy handed out the node key {recipient.fingerprint}, which is "
                "not among the pinned ones."
            )


def _key_bytes(key: bytes | str) -> bytes:
    if isinstance(key, bytes):
        data: bytes | None = key
    else:
        try:
            data = base64.b64decode(key, validate=True)
        except (binascii.Error, ValueError):
            data = None
        if data and base64.b64encode(data).decode() != key:
            data = None  # bits that no byte uses
    if data is None or len(data) != 32:  # noqa: PLR2004 - an X25519 key
        raise InvalidInputError("A pinned key has 32 bytes, or is their base64 text.")
    return data
