"""Whether a stored vector is the one that a model gives. No I/O here.

No vector store can tell that it was built with another model whose vectors have the
same length: searches then return whatever is near by chance.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import mul

from .errors import Exposure, VectorMismatchError

__all__ = ["check_same_vector"]

_SAME = 0.99
"""Cosine from which two vectors are of one text and model.

8-bit numbers keep it, as a test shows, and other kernels, batches or 16-bit numbers
move a vector less; those of unrelated models are about orthogonal. No model with
trained weights was measured.
"""


def check_same_vector(
    stored: Sequence[float],
    given: Sequence[float],
    *,
    model: str,
    exposure: Exposure,
) -> None:
    """Compare directions, since many stores normalise what they keep.

    Args:
        stored: What a store has for a text.
        given: What the model gives for it.
        model: Named in the error.
        exposure: What has left the process for `given`.

    Raises:
        VectorMismatchError: They differ in length or in direction.
    """
    if len(stored) != len(given):
        raise VectorMismatchError(
            f"The store holds vectors of {len(stored)} numbers, and {model} gives "
            f"{len(given)}.",
            exposure,
        )
    lengths = math.hypot(*stored) * math.hypot(*given)
    cosine = sum(map(mul, stored, given)) / lengths if lengths else 0.0
    if not cosine >= _SAME:  # nor is NaN
        raise VectorMismatchError(
            f"The vector that the store holds for this text is not the one that "
            f"{model} gives (their cosine is {cosine:.2f}).",
            exposure,
        )
