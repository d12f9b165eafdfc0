"""The built-in embedding model: signed hashing of n-grams into unit vectors.

Texts that share words or parts of words point the same way; that is all it knows,
and enough to find the right passage in a folder.
"""

from __future__ import annotations

import math
import re
import struct
import zlib
from collections import Counter
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from ._text import STOP_WORDS, stem, tokens, words
from ._validation import check_embeddings
from .node import to_base64

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["HashingEmbedder"]

Features = tuple[tuple[int, float], ...]

DIMENSIONS = 384
_LARGEST = 4096
_STOP_WEIGHT, _PAIR_WEIGHT, _GRAM_WEIGHT = 0.08, 0.5, 0.18
_GRAM = 4
# What instruct models want before a query says nothing about the query.
_INSTRUCTION = re.compile(
    r"(?is)^\s*instruct:.*?\n\s*query:\s*|^\s*(?:query|passage):\s*"
)


class HashingEmbedder:
    """Embeds without weights: every n-gram has a place and a sign by its hash."""

    def embed(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer an embeddings body.

        Raises:
            InvalidBodyError: an engine would have answered 400.
        """
        texts = check_embeddings(body)
        size = min(body.get("dimensions") or DIMENSIONS, _LARGEST)
        packed = body.get("encoding_format") == "base64"
        data = []
        for index, text in enumerate(texts):
            vector = embed_text(text, dimensions=size)
            entry = {"object": "embedding", "index": index}
            data.append({**entry, "embedding": _packed(vector) if packed else vector})
        used = sum(len(tokens(text)) for text in texts)
        usage = {"prompt_tokens": used, "total_tokens": used}
        return {"object": "list", "data": data, "model": body["model"], "usage": usage}


def embed_text(text: str, *, dimensions: int = DIMENSIONS) -> list[float]:
    """Hash a text into a unit vector."""
    said = words(_INSTRUCTION.sub("", text))
    meant = [stem(word) for word in said if word not in STOP_WORDS]
    vector = [0.0] * dimensions
    for features, count in _counted(said, meant):
        # A word said twice is not twice the topic.
        factor = 1 + math.log(count)
        for code, weight in features:
            sign = 1.0 if code & 0x8000_0000 else -1.0
            vector[code % dimensions] += sign * weight * factor
    length = math.sqrt(sum(x * x for x in vector))
    if not length:  # no word in it: still a unit vector, and the same one each time
        vector[zlib.crc32(text.encode()) % dimensions] = length = 1.0
    return [x / length for x in vector]


def _counted(said: list[str], meant: list[str]) -> Iterator[tuple[Features, int]]:
    for word, count in Counter(said).items():
        if word in STOP_WORDS:
            yield ((_code(f"w:{word}"), _STOP_WEIGHT),), count
    for word, count in Counter(meant).items():
        yield _word_features(word), count
    for pair, count in Counter(pairwise(meant)).items():
        yield ((_code(f"p:{' '.join(pair)}"), _PAIR_WEIGHT),), count


@lru_cache(maxsize=65536)
def _word_features(word: str) -> Features:
    grams = (word[start : start + _GRAM] for start in range(len(word) - _GRAM + 1))
    return (
        (_code(f"w:{word}"), 1.0),
        *((_code(f"g:{gram}"), _GRAM_WEIGHT) for gram in grams),
    )


def _code(feature: str) -> int:
    return zlib.crc32(feature.encode())


def _packed(vector: list[float]) -> str:
    return to_base64(struct.pack(f"<{len(vector)}f", *vector))
