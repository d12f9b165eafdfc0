"""Base64 in its one form (RFC 4648 section 4), as strictly as the node reads it."""

from __future__ import annotations

import binascii

__all__ = ["decoded"]


def decoded(text: object) -> bytes | None:
    """Return the bytes whose one encoding a text is; None if it is none.

    `strict_mode` lets pass surplus padding, and bits that no byte uses.
    """
    if not isinstance(text, str):
        return None
    try:
        data = binascii.a2b_base64(text, strict_mode=True)
    except ValueError:
        return None
    whole, rest = divmod(len(data), 3)
    if not rest:
        return data if len(text) == whole * 4 else None
    ends_well = len(text) == whole * 4 + 4 and text[rest - 4] in _LAST[rest]
    return data if ends_well else None


_LAST = ("", "AQgw", "AEIMQUYcgkosw048")
"""What the last character may be, by the number of bytes in the last group."""
