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
    groups = len(data) // 3
    end = binascii.b2a_base64(data[groups * 3 :], newline=False).decode()
    return data if text[groups * 4 :] == end else None
