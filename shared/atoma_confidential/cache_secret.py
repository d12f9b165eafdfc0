"""The secret of an encrypted cache, and the file it is kept in."""

from __future__ import annotations

import os
import re
import secrets
from pathlib import Path
from typing import Any, Self

from . import _private_files as files
from .cache_entries import CacheEntries
from .errors import CacheSecretError, InvalidInputError, PinFileError

__all__ = ["CacheSecret"]

SECRET_BYTES = 32
_FILE = re.compile(rb"([0-9a-f]{64})\n?")
_MAX_FILE = 2 * SECRET_BYTES + 1


class CacheSecret:
    """What an encrypted cache is named and sealed under; it never shows itself.

    Args:
        secret: 32 random bytes, not a password: as `secrets.token_bytes(32)` gives, or
            from a vault of secrets.

    Raises:
        InvalidInputError: They are not 32 bytes.
    """

    __slots__ = ("_path", "_secret")

    def __init__(self, secret: bytes) -> None:
        if not isinstance(secret, bytes) or len(secret) != SECRET_BYTES:
            raise InvalidInputError(f"A cache secret has {SECRET_BYTES} random bytes.")
        self._secret = secret
        self._path: Path | None = None

    @classmethod
    def generate(cls) -> Self:
        """Return a new secret, for a cache that need not outlive the process."""
        return cls(secrets.token_bytes(SECRET_BYTES))

    @classmethod
    def from_file(cls, path: str | os.PathLike[str]) -> Self:
        """Return the secret in a file, which is made where there is none.

        Only your own user may be able to read the file. Keep it apart from the cache:
        with both, anybody reads everything.

        Args:
            path: One line of 64 hex digits. Its folder is made where there is none.

        Raises:
            CacheSecretError: It cannot be read or made, is open to others, or holds
                something else.
        """
        where = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow a link that is to be refused
        try:
            data = files.kept(where, _MAX_FILE, _new)
        except PinFileError as error:
            raise CacheSecretError(error.message) from None
        found = _FILE.fullmatch(data)
        if found is None:
            raise CacheSecretError(f"{where} does not hold a line of 64 hex digits.")
        secret = cls(bytes.fromhex(found[1].decode()))
        secret._path = where
        return secret

    def entries(self, namespace: str) -> CacheEntries:
        """Return what names, seals and opens the entries of a namespace."""
        return CacheEntries(self._secret, namespace)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(…)"

    def __copy__(self) -> Self:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        if self._path is None:
            raise InvalidInputError(
                "A cache secret is not pickled; one from CacheSecret.from_file is, as "
                "the path of its file."
            )
        return type(self).from_file, (str(self._path),)


def _new() -> bytes:
    return secrets.token_hex(SECRET_BYTES).encode() + b"\n"
