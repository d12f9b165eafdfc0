"""How many compute units to lock for a request (protocol 4.4, 14.1).

No tokenizer: what is needed is an upper bound, and a byte-level token is never less
than a byte. The figure travels in clear, so text counts at its padded length: the
figure then says no more than the ciphertext's own length does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ._json import dump
from .blinding import BLINDING_BYTES, padded_length
from .errors import InvalidInputError, RequestTooLargeError

__all__ = ["DEFAULT_COMPLETION_TOKENS", "MAX_UNITS", "compute_units"]

DEFAULT_COMPLETION_TOKENS = 8192
"""What the proxy gives a plain request that names no limit (protocol 2.1)."""

MAX_UNITS = 1_000_000
"""A fresh stack holds this many; above, each call would buy another (protocol 4.5)."""

_MEDIA_TOKENS = 16_384
"""What vision models spend at the most on one image by default."""

_MEDIA_BYTES_PER_TOKEN = 8
"""Base64 characters a token of audio or of a document stands for at the least."""


def compute_units(body: Mapping[str, Any]) -> int:
    """Return an upper bound of the tokens that a request may use.

    Raises:
        InvalidInputError: A completion limit is not a positive integer.
        RequestTooLargeError: No stack can hold that many units.
    """
    media = list(_media(body.get("messages")))
    text_bytes = len(dump(body)) - sum(media)
    units = (
        padded_length(text_bytes + BLINDING_BYTES)
        + sum(_MEDIA_TOKENS + size // _MEDIA_BYTES_PER_TOKEN for size in media)
        + _completion_tokens(body)
    )
    if units > MAX_UNITS:
        raise RequestTooLargeError(
            f"The request needs up to {units} compute units; a stack holds {MAX_UNITS}."
        )
    return units


def _completion_tokens(body: Mapping[str, Any]) -> int:
    limits = [
        _positive(body, name)
        for name in ("max_tokens", "max_completion_tokens")
        if body.get(name) is not None
    ]
    count = _positive(body, "n") if body.get("n") is not None else 1
    return max(limits, default=0) * count


def _positive(body: Mapping[str, Any], name: str) -> int:
    value = body[name]
    if type(value) is not int or value < 1:
        raise InvalidInputError(f"{name} is not a positive integer.")
    return value


def _media(messages: Any) -> Iterator[int]:
    """Yield the size of each inline image, sound or file: its bytes are no tokens."""
    for message in messages or ():
        content = message.get("content")
        for part in content if isinstance(content, list) else ():
            match part:
                case {"image_url": {"url": str(data)}}:
                    yield len(data)
                case {"input_audio": {"data": str(data)}}:
                    yield len(data)
                case {"file": {"file_data": str(data)}}:
                    yield len(data)
