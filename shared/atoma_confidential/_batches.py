"""Splits texts into embedding requests, and puts the vectors back in order."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Callable, Sequence
from typing import Any

from ._base64 import decoded
from .errors import Exposure, InvalidInputError, RemoteProtocolError

__all__ = ["measure", "plan", "vectors_of"]


def measure(texts: Sequence[str]) -> list[int]:
    """Return the UTF-8 lengths of texts that an engine can embed.

    Raises:
        InvalidInputError: Some texts are empty, not strings, or hold half a surrogate
            pair; only their indices are named.
    """
    _refuse(texts, "not strings", lambda text: not isinstance(text, str))
    _refuse(texts, "empty", lambda text: not text.strip())
    lengths = [_length(text) for text in texts]
    _refuse(lengths, "not valid Unicode", lambda length: length < 0)
    return lengths


def _refuse(items: Sequence[Any], what: str, is_bad: Callable[[Any], bool]) -> None:
    if bad := [index for index, item in enumerate(items) if is_bad(item)]:
        raise InvalidInputError(f"These texts are {what}: {_some(bad)}.")


def _length(text: str) -> int:
    try:
        return len(text.encode())
    except UnicodeEncodeError:
        return -1


def _some(indices: list[int]) -> str:
    shown = ", ".join(map(str, indices[:10]))
    return f"{shown} and {len(indices) - 10} more" if len(indices) > 10 else shown  # noqa: PLR2004


def plan(lengths: Sequence[int], *, batch_size: int, batch_bytes: int) -> list[range]:
    """Return consecutive index ranges that keep both limits.

    A single text above `batch_bytes` gets a batch of its own.
    """
    if batch_size < 1 or batch_bytes < 1:
        raise InvalidInputError("batch_size and batch_bytes are at least 1.")
    batches: list[range] = []
    start, size = 0, 0
    for index, length in enumerate(lengths):
        full = index - start == batch_size or size + length > batch_bytes
        if full and index > start:
            batches.append(range(start, index))
            start, size = index, 0
        size += length
    if lengths:
        batches.append(range(start, len(lengths)))
    return batches


def vectors_of(
    body: dict[str, Any], *, count: int, dimensions: int | None, exposure: Exposure
) -> list[list[float]]:
    """Return the vectors of an answer in the order of the texts.

    Servers may answer in any order; `index` decides.

    Raises:
        RemoteProtocolError: An index is missing or doubled, the lengths differ or are
            not `dimensions`, or a number is not finite.
    """
    vectors: dict[Any, list[float]] = {}
    for item in body["data"]:
        match item:
            case {"index": int(index), "embedding": embedding}:
                vectors[index] = _vector(embedding, exposure)
    if len(body["data"]) != count or vectors.keys() != set(range(count)):
        raise _off_contract("does not hold one vector for each text", exposure)
    lengths = {len(vector) for vector in vectors.values()}
    if len(lengths) != 1 or 0 in lengths:
        raise _off_contract("holds vectors of different lengths", exposure)
    if dimensions is not None and lengths != {dimensions}:
        raise _off_contract("holds vectors of another length than asked", exposure)
    return [vectors[index] for index in range(count)]


def _vector(embedding: Any, exposure: Exposure) -> list[float]:
    try:
        raw = _numbers(embedding) if isinstance(embedding, str) else embedding
        # A sum of finite float32 values cannot overflow; one that is not finite shows.
        if isinstance(raw, list) and math.isfinite(sum(raw)):
            return raw if raw is not embedding else [float(number) for number in raw]
    except (TypeError, ValueError, OverflowError):
        pass
    raise _off_contract("holds a vector that is not finite numbers", exposure)


def _numbers(text: str) -> list[float]:
    data = decoded(text)
    if data is None:
        raise ValueError
    numbers = array("f", data)
    if sys.byteorder == "big":
        numbers.byteswap()  # what comes is little-endian
    return numbers.tolist()


def _off_contract(what: str, exposure: Exposure) -> RemoteProtocolError:
    return RemoteProtocolError(f"The embedding answer {what}.", exposure)
