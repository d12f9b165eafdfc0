"""Errors of encrypted caches, which are about bytes on your own side."""

from __future__ import annotations

from ._base import ConfidentialError

__all__ = ["CacheEntryError", "CacheSecretError"]


class CacheSecretError(ConfidentialError):
    """A cache was written under another secret, or the secret cannot be read."""

    advice = "Give the secret that the cache was made with, or start an empty cache."


class CacheEntryError(ConfidentialError):
    """An entry of a cache was changed, cut, or moved from another name or namespace."""

    advice = (
        "Find out who writes to the cache, and delete the entry or empty the cache."
    )
