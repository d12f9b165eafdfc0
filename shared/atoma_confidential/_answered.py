"""What an exchange comes to: a whole answer, or a stream that has begun."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from ._reply import StreamOpener
from ._session import Begun
from ._signatures import Signatures
from .attestation import AttestationResult
from .receipt import Receipt
from .verdict import Verdict

__all__ = ["Answer", "LiveAnswer"]


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """A whole answer of the engine, opened and checked.

    Attributes:
        opened: The exact bytes it was read from.
        attestation: Why the node's key was accepted; None for a plain endpoint.
        receipt: The node's signature; None where it was not checked.
    """

    body: dict[str, Any]
    verdict: Verdict
    opened: bytes
    attestation: AttestationResult | None = None
    receipt: Receipt | None = None

    @property
    def summary(self) -> dict[str, Any]:
        """What holds `usage` and `model`."""
        return self.body


@dataclass(frozen=True, slots=True, repr=False)
class LiveAnswer:
    """A stream whose first chunk is there.

    Attributes:
        stream: That chunk, and what yields the others.
        opener: What opens them.
        attestation: Why the node's key was accepted; None for a plain endpoint.
    """

    stream: Begun
    opener: StreamOpener
    _verdict: Verdict
    attestation: AttestationResult | None = None
    _signatures: Signatures | None = None

    @property
    def summary(self) -> dict[str, Any]:
        """What holds `usage` and `model`, as far as that has come."""
        return self.opener.summary

    @property
    def verdict(self) -> Verdict:
        """What holds for what has been opened so far."""
        verdict = self._verdict
        if self._signatures is not None:
            verdict = replace(verdict, signature=self._signatures.outcome)
        if self.opener.nonce_reused:
            verdict = replace(verdict, stream="live-nonce-reused")
        return verdict
