"""What a client's calls return."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ._answered import Answer
from ._embed import Part
from .attestation import AttestationResult
from .errors import Exposure, RemoteProtocolError
from .receipt import Receipt
from .verdict import Verdict

__all__ = ["ChatReply", "EmbeddingReply"]


@dataclass(frozen=True, slots=True, repr=False)
class ChatReply:
    """A whole chat answer.

    Attributes:
        body: The engine's `chat.completion` object.
        verdict: What was checked for it.
        attestation: Why the node's key was accepted; None for a plain endpoint.
        receipt: The node's signature over the answer; None where it was not checked.
        opened: The exact bytes that `body` was read from, which a receipt is about.
    """

    body: dict[str, Any]
    verdict: Verdict
    attestation: AttestationResult | None = None
    receipt: Receipt | None = None
    opened: bytes = b""

    @classmethod
    def of_answer(cls, answer: Answer) -> ChatReply:
        """Return what a flow has got, as callers see it."""
        return cls(
            answer.body,
            answer.verdict,
            attestation=answer.attestation,
            receipt=answer.receipt,
            opened=answer.opened,
        )


@dataclass(frozen=True, slots=True, repr=False)
class EmbeddingReply:
    """The vectors of an embedding call.

    Attributes:
        vectors: One for each text, in their order.
        usage: Tokens, summed over all requests.
        model: The model that the engine says it served.
        verdicts: What was checked, once for each distinct result.
        attestations: Why the keys were accepted, likewise; none for a plain endpoint.
    """

    vectors: list[list[float]]
    usage: dict[str, int]
    model: str
    verdicts: tuple[Verdict, ...]
    attestations: tuple[AttestationResult, ...] = ()

    @property
    def verdict(self) -> Verdict | None:
        """The only verdict, or the last of several; None if nothing was embedded."""
        return self.verdicts[-1] if self.verdicts else None

    @property
    def attestation(self) -> AttestationResult | None:
        """The only attestation result, or the last of several, as with verdicts."""
        return self.attestations[-1] if self.attestations else None

    @classmethod
    def of_parts(cls, parts: Sequence[Part], *, model: str) -> EmbeddingReply:
        """Join the parts of a call, in the order of its texts.

        Raises:
            RemoteProtocolError: Their vectors have different lengths, so that no store
                could hold them.
        """
        if len({len(part.vectors[0]) for part in parts}) > 1:
            raise RemoteProtocolError(
                "The batches have vectors of different lengths.",
                Exposure.of_request(sealed=parts[0].verdict.sealed),
            )
        usage: dict[str, int] = {}
        for part in parts:
            for name, count in part.usage.items():
                usage[name] = usage.get(name, 0) + count
        return cls(
            vectors=[vector for part in parts for vector in part.vectors],
            usage=usage,
            model=parts[-1].model if parts else model,
            verdicts=tuple(dict.fromkeys(part.verdict for part in parts)),
            attestations=tuple(
                dict.fromkeys(p.attestation for p in parts if p.attestation is not None)
            ),
        )
