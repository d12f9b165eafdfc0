"""Base64 in its one form (RFC 4648 section 4), as strictly as the node reads it."""

from __future__ import annotations

from pydantic_core import SchemaValidator, core_schema

__all__ = ["decoded"]

# Reads a megabyte in a fifth of the time that `binascii` takes, and refuses bits that
# no byte uses. But it takes the URL's alphabet as well, and lets padding be left out.
_READER = SchemaValidator(
    core_schema.bytes_schema(), core_schema.CoreConfig(val_json_bytes="base64")
)


def decoded(text: object) -> bytes | None:
    """Return the bytes whose one encoding a text is; None if it is none."""
    if not isinstance(text, str) or "-" in text or "_" in text:
        return None
    try:
        # Its stub knows dictionaries only.
        data: bytes = _READER.validate_strings(text)  # type: ignore[arg-type]
    except ValueError:
        return None
    return data if len(text) == (len(data) + 2) // 3 * 4 else None
