"""Which node keys a request may be sealed to.

A policy is asked between the lock and the sealing, for each key: what it refuses,
nothing is sealed to. It does no I/O: it yields what it needs fetched.
"""

from __future__ import annotations

import abc
from collections.abc import Generator, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

from ..envelope import Recipient
from ..receipt import Signer
from .result import AttestationResult

__all__ = ["Appraisal", "Candidate", "Fetch", "Fetched", "TrustPolicy"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A key that the proxy hands out as that of a node."""

    recipient: Recipient
    node: int


@dataclass(frozen=True, slots=True, repr=False)
class Fetch:
    """A request that an appraisal wants made; the API key is never sent with it.

    Attributes:
        url: Absolute, or a path on the host that keeps the nodes' attestation records.
        body: JSON for a POST; None for a GET.
        headers: Sent besides `Accept` and `Content-Type`.
    """

    url: str
    body: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, repr=False)
class Fetched:
    """What a server answered to a `Fetch`, whatever its status."""

    status: int
    body: bytes


Appraisal: TypeAlias = Generator[Fetch, Fetched, AttestationResult]
"""Yields what is to be fetched, is resumed with what came of it, returns the result.

Where a fetch fails for want of a connection or of time, `VerifierUnavailableError` is
thrown into it.
"""


class TrustPolicy(abc.ABC):
    """Decides whether a node's key may be sealed to; its name is in every result."""

    name: str

    @property
    @abc.abstractmethod
    def identity(self) -> str:
        """A text that two policies share only if they accept the same keys.

        What one policy let be asked, a cache must not answer for another.
        """

    @abc.abstractmethod
    def appraise(self, candidate: Candidate, *, now: float) -> Appraisal:
        """Return why the key is acceptable.

        Args:
            candidate: The key, and the node that it is said to be of.
            now: Unix time, in seconds.

        Raises:
            AttestationError: It is not acceptable, or could not be checked.
        """

    def appraise_signer(self, node: int, signer: Signer) -> bool:  # noqa: ARG002
        """Return whether the signer of an answer is known to be this node.

        Args:
            node: The node that the request was sealed for.
            signer: Who has signed the answer's digest.

        Raises:
            PinMismatchError: The node is known to sign as somebody else.
        """
        return False

    def __and__(self, other: TrustPolicy) -> TrustPolicy:
        """Return the policy that accepts what both accept."""
        from ._combined import both  # noqa: PLC0415 - that module needs this class

        return both(self, other)

    @staticmethod
    def proxy_asserted() -> TrustPolicy:
        """Accept the key that the proxy hands out.

        Whoever controls the proxy can then substitute a key and read everything
        (protocol 11.2).
        """
        from ._asserted import ProxyAsserted  # noqa: PLC0415

        return ProxyAsserted()

    @staticmethod
    def pinned(*, keys: Iterable[bytes | str]) -> TrustPolicy:
        """Accept only the node keys given, as 32 bytes or their base64 text.

        Raises:
            InvalidInputError: No key was given, or one is not a key.
        """
        from ._pinned import pinned_keys  # noqa: PLC0415

        return pinned_keys(keys)
