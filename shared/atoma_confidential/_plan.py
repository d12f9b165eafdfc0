"""How an embedding call is cut into batches, checked before anything is sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Unpack

from ._batches import measure, plan
from ._embed import EmbeddingOptions, Tally
from .errors import InvalidInputError, RequestTooLargeError
from .parameters import EmbeddingParameters

__all__ = ["EmbeddingPlan", "plan_embedding"]


@dataclass(frozen=True, slots=True, repr=False)
class EmbeddingPlan:
    """The batches of one call, and what has left the process with them."""

    texts: list[str]
    batches: list[range]
    options: EmbeddingOptions
    concurrency: int
    on_batch: Callable[[int], None]
    tally: Tally = field(default_factory=Tally)


_MAY_BE_TOO_LARGE = 150_000
"""Bytes; JSON makes six of one at the most, so that less never exceeds a limit."""


def plan_embedding(
    texts: str | Sequence[str],
    *,
    confidential: bool,
    **parameters: Unpack[EmbeddingParameters],
) -> EmbeddingPlan:
    """Return the batches of a call.

    Raises:
        InvalidInputError: A text is empty or too large, named by index, or a limit is
            below 1.
        TypeError: A parameter does not exist.
    """
    if unknown := sorted(parameters.keys() - EmbeddingParameters.__annotations__):
        raise TypeError(f"Not parameters of an embedding: {', '.join(unknown)}.")
    concurrency = parameters.get("max_concurrency", 8)
    if concurrency < 1:
        raise InvalidInputError("max_concurrency is at least 1.")
    all_texts = [texts] if isinstance(texts, str) else list(texts)
    lengths = measure(all_texts)
    if instruction := parameters.get("instruction", ""):
        # Only now: an empty text must not become one that holds an instruction.
        all_texts = [f"{instruction}{text}" for text in all_texts]
        lengths = measure(all_texts)
    options = _options(parameters, confidential=confidential)
    for index, length in enumerate(lengths):
        if index == 0 or length > _MAY_BE_TOO_LARGE:
            _refuse_too_large(all_texts[index], index, options)
    batches = plan(
        lengths,
        # The plain endpoint takes one text at a time (protocol 2.1).
        batch_size=parameters.get("batch_size", 256) if confidential else 1,
        batch_bytes=parameters.get("batch_bytes", 200_000),
    )
    on_batch = parameters.get("on_batch") or (lambda _count: None)
    return EmbeddingPlan(all_texts, batches, options, concurrency, on_batch)


def _options(
    parameters: EmbeddingParameters, *, confidential: bool
) -> EmbeddingOptions:
    return EmbeddingOptions(
        model=parameters["model"],
        confidential=confidential,
        dimensions=parameters.get("dimensions"),
        encoding_format=parameters.get("encoding_format", "base64"),
        user=parameters.get("user"),
        extra_body=parameters.get("extra_body"),
        blind_replies=parameters.get("blind_replies", False),
    )


def _refuse_too_large(text: str, index: int, options: EmbeddingOptions) -> None:
    try:
        options.request([text]).encode(stream=False)
    except RequestTooLargeError as error:
        error.indices = range(index, index + 1)
        raise
