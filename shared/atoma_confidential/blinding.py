"""Whitespace after a JSON body that hides its length and unkeys its digest.

The wire carries an unkeyed digest of the plaintext and a ciphertext of its exact
length (protocol 11.1): who relays a request can confirm a guess of it, and read its
size. JSON parsers ignore whitespace after the value and the node hashes raw bytes, so
random whitespace defeats the first and padding the second (protocol 11.5).
"""

from __future__ import annotations

import os
from collections.abc import Callable

__all__ = ["blind", "padded_length"]

_ALPHABET = b" \t\n\r"
BLINDING_BYTES = 64
"""Four characters carry two bits each: 128 bits in all."""

_CHARACTERS = [
    bytes(_ALPHABET[byte >> shift & 3] for shift in (6, 4, 2, 0)) for byte in range(256)
]
"""The four whitespace characters that spell one random byte, high bits first."""


def blind(body: bytes, *, entropy: Callable[[int], bytes] = os.urandom) -> bytes:
    """Return the body with at least 64 random whitespace bytes after it.

    Args:
        body: A JSON text; it must already be whole, for nothing may follow.
        entropy: Source of random bytes.
    """
    missing = padded_length(len(body) + BLINDING_BYTES) - len(body)
    random = entropy(-(-missing // 4))
    return body + b"".join(_CHARACTERS[byte] for byte in random)[:missing]


def padded_length(length: int) -> int:
    """Return the PADMÉ size of a length: at most 12 % more, O(log log n) bits shown.

    Source: Nikitin et al., "Reducing Metadata Leakage from Encrypted Files and
    Communication with PURBs", PETS 2019, algorithm 1.
    """
    exponent = length.bit_length() - 1
    if exponent < 1:
        return length
    free_bits = exponent - exponent.bit_length()
    mask = (1 << free_bits) - 1
    return (length + mask) & ~mask
