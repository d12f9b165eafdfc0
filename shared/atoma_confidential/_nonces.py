"""Nonces that a stream has shown, in memory that does not grow with the stream."""

from __future__ import annotations

__all__ = ["SeenNonces"]

KEPT = 16_384
"""Nonces in each of three sets: of a stream of up to 49,152 events, all are known."""


class SeenNonces:
    """Tells a nonce that comes again.

    The first ones are known to the end, so that a counter that starts anew shows
    whatever its period; and the last ones, so that a source that sticks does.
    """

    def __init__(self) -> None:
        self._first: set[bytes] = set()
        self._recent: set[bytes] = set()
        self._older: set[bytes] = set()

    def __len__(self) -> int:
        return len(self._first) + len(self._recent) + len(self._older)

    def note(self, nonce: bytes) -> bool:
        """Remember a nonce, and return whether it is known."""
        if nonce in self._first or nonce in self._recent or nonce in self._older:
            return True
        if len(self._first) < KEPT:
            self._first.add(nonce)
            return False
        if len(self._recent) == KEPT:
            self._older, self._recent = self._recent, set()
        self._recent.add(nonce)
        return False
