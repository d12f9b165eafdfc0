"""One batch of an embedding call as a flow; halved where it proves too large."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any, Literal

from ._answered import Answer
from ._batches import vectors_of
from ._flow import exchange
from ._request import Request, embedding_request
from ._session import Flow, Session, Work
from .attestation import AttestationResult
from .errors import (
    ConfidentialError,
    ContextLengthError,
    Exposure,
    PayloadTooLargeError,
    RequestTooLargeError,
    greater,
)
from .verdict import Verdict

__all__ = ["EmbeddingOptions", "Part", "Tally", "embed_batch"]


@dataclass(frozen=True, slots=True)
class EmbeddingOptions:
    """What all batches of a call share."""

    model: str
    confidential: bool = True
    dimensions: int | None = None
    encoding_format: Literal["base64", "float"] = "base64"
    user: str | None = None
    extra_body: Mapping[str, Any] | None = None
    blind_replies: bool = False

    @property
    def exposure(self) -> Exposure:
        """What leaves with a request."""
        return Exposure.of_request(sealed=self.confidential)

    def request(self, texts: list[str]) -> Request:
        """Return the request for some texts."""
        return embedding_request(
            texts,
            model=self.model,
            dimensions=self.dimensions,
            encoding_format=self.encoding_format,
            user=self.user,
            extra_body=self.extra_body,
            single=not self.confidential,
        )

    def decoys(self) -> list[str]:
        """Return one random text whose vector makes the answer's digest unguessable.

        The wire shows an unkeyed digest of an answer that is the same for the same
        texts (protocol 11.1). A plain answer has nothing to hide any more.
        """
        if self.blind_replies and self.confidential:
            return [os.urandom(16).hex()]
        return []


@dataclass(frozen=True, slots=True, repr=False)
class Part:
    """The vectors of some consecutive texts."""

    vectors: list[list[float]]
    usage: dict[str, int]
    model: str
    verdict: Verdict
    attestation: AttestationResult | None


class Tally:
    """What has left the process with the batches of one call."""

    def __init__(self) -> None:
        # One entry for each, so that threads do not write over one another's.
        self._left: dict[range, Exposure] = {}

    def sending(self, batch: range, exposure: Exposure) -> None:
        """Note what leaves with a request of a batch, which may not have left yet."""
        before = self._left.get(batch, Exposure.NOTHING)
        self._left[batch] = greater(before, exposure)

    def ended(self, batch: range, exposure: Exposure) -> Exposure:
        """Return the most that has left, with the requests under way counted in."""
        self._left[batch] = exposure
        return reduce(greater, list(self._left.values()))


def embed_batch(
    session: Session,
    texts: Sequence[str],
    batch: range,
    options: EmbeddingOptions,
    tally: Tally,
) -> Flow[list[Part]]:
    """Embed the texts of one batch.

    Raises:
        ConfidentialError: With the indices that failed, and with what had left the
            process in the whole call.
    """
    try:
        part = yield from _embed(
            session, [texts[i] for i in batch], options, partial(tally.sending, batch)
        )
    except ConfidentialError as error:
        error.exposure = tally.ended(batch, error.exposure)
        error.indices = batch
        if not isinstance(error, _TOO_LARGE) or len(batch) == 1:
            raise
    else:
        tally.ended(batch, options.exposure)
        return [part]
    middle = batch.start + len(batch) // 2
    first, second = range(batch.start, middle), range(middle, batch.stop)
    parts = yield from embed_batch(session, texts, first, options, tally)
    return parts + (yield from embed_batch(session, texts, second, options, tally))


_TOO_LARGE = (PayloadTooLargeError, ContextLengthError, RequestTooLargeError)


def _embed(
    session: Session,
    texts: list[str],
    options: EmbeddingOptions,
    sending: Callable[[Exposure], None],
) -> Flow[Part]:
    decoys = options.decoys()
    answer = yield from exchange(session, options.request(texts + decoys), sending)
    work = partial(
        vectors_of,
        answer.body,
        count=len(texts) + len(decoys),
        dimensions=options.dimensions,
        exposure=options.exposure,
    )
    vectors: list[list[float]] = yield Work(work, size=len(answer.opened))
    return _part(answer, vectors[: len(texts)])


def _part(answer: Answer, vectors: list[list[float]]) -> Part:
    usage = answer.body.get("usage")
    counts = usage.items() if isinstance(usage, dict) else ()
    return Part(
        vectors,
        usage={name: count for name, count in counts if type(count) is int},
        model=answer.body["model"],
        verdict=answer.verdict,
        attestation=answer.attestation,
    )
