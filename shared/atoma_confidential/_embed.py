"""One batch of an embedding call as a flow; halved where it proves too large."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ._batches import vectors_of
from ._flow import Answer, exchange
from ._request import Request, embedding_request
from ._session import Flow, Session
from .errors import (
    ConfidentialError,
    ContextLengthError,
    Exposure,
    PayloadTooLargeError,
    RequestTooLargeError,
)
from .verdict import Verdict

__all__ = ["EmbeddingOptions", "Part", "embed_batch"]


@dataclass(frozen=True, slots=True)
class EmbeddingOptions:
    """What all batches of a call share."""

    model: str
    dimensions: int | None = None
    encoding_format: Literal["base64", "float"] = "base64"
    user: str | None = None
    extra_body: Mapping[str, Any] | None = None
    blind_replies: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class Part:
    """The vectors of some consecutive texts."""

    vectors: list[list[float]]
    usage: dict[str, int]
    model: str
    verdict: Verdict


def embed_batch(
    session: Session, texts: Sequence[str], batch: range, options: EmbeddingOptions
) -> Flow[list[Part]]:
    """Embed the texts of one batch.

    Raises:
        ConfidentialError: With the indices that failed.
    """
    try:
        return [(yield from _embed(session, [texts[i] for i in batch], options))]
    except (PayloadTooLargeError, ContextLengthError, RequestTooLargeError) as error:
        if len(batch) == 1:
            error.indices = batch
            raise
    except ConfidentialError as error:
        error.indices = batch
        raise
    middle = batch.start + len(batch) // 2
    first = yield from embed_batch(session, texts, range(batch.start, middle), options)
    second = yield from embed_batch(session, texts, range(middle, batch.stop), options)
    return first + second


def _embed(session: Session, texts: list[str], options: EmbeddingOptions) -> Flow[Part]:
    decoys = _decoys(session, options)
    request = _request(session, texts + decoys, options)
    answer = yield from exchange(session, request)
    vectors = vectors_of(
        answer.body,
        count=len(texts) + len(decoys),
        dimensions=options.dimensions,
        exposure=Exposure.SEALED if session.confidential else Exposure.PLAIN,
    )
    return _part(answer, vectors[: len(texts)], options)


def _request(session: Session, texts: list[str], options: EmbeddingOptions) -> Request:
    return embedding_request(
        texts,
        model=options.model,
        dimensions=options.dimensions,
        encoding_format=options.encoding_format,
        user=options.user,
        extra_body=options.extra_body,
        single=not session.confidential,
    )


def _decoys(session: Session, options: EmbeddingOptions) -> list[str]:
    """Return one random text whose vector makes the answer's digest unguessable.

    The wire shows an unkeyed digest of an answer that is the same for the same texts
    (protocol 11.1). A plain answer has nothing to hide any more.
    """
    return (
        [os.urandom(16).hex()] if options.blind_replies and session.confidential else []
    )


def _part(
    answer: Answer, vectors: list[list[float]], options: EmbeddingOptions
) -> Part:
    usage = answer.body.get("usage")
    model = answer.body.get("model")
    return Part(
        vectors,
        usage={k: v for k, v in usage.items() if type(v) is int}
        if isinstance(usage, dict)
        else {},
        model=model if isinstance(model, str) else options.model,
        verdict=answer.verdict,
    )
