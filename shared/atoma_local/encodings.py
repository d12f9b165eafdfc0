"""How a text may look on a wire without being readable at first sight."""

from __future__ import annotations

import base64
import json
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import quote, quote_plus

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["Pattern", "encodings_of"]

# Shorter texts turn up in random bytes and in field names by accident.
SHORTEST = 6


class Pattern(NamedTuple):
    """Bytes that betray a text, and what they are called."""

    encoding: str
    data: bytes


def encodings_of(text: str) -> Iterator[Pattern]:
    """Yield every byte pattern under which a text could cross, each once.

    Base64 depends on where in a longer input the text begins, so it comes in three
    alignments, without the characters at either end that its neighbours decide.

    Raises:
        ValueError: the text is too short to be told from noise.
    """
    if len(text) < SHORTEST:
        raise ValueError(f"refused: texts under {SHORTEST} characters match by chance")
    seen: set[bytes] = set()
    for pattern in _all_patterns(text):
        if pattern.data not in seen:
            seen.add(pattern.data)
            yield pattern


def _all_patterns(text: str) -> Iterator[Pattern]:
    for name, data in _plain_forms(text):
        yield Pattern(name, data)
        yield from _base64_of(name, data)
        yield Pattern(f"{name}, hex", data.hex().encode())
        yield Pattern(f"{name}, HEX", data.hex().upper().encode())
    for name, quoted in (
        ("percent-encoded", quote(text, safe="")),
        ("percent-encoded path", quote(text)),
        ("form-encoded", quote_plus(text)),
    ):
        yield Pattern(name, quoted.encode())
        yield Pattern(f"{name}, lower case", _lower_escapes(quoted, "%", 2).encode())


def _plain_forms(text: str) -> Iterator[tuple[str, bytes]]:
    ascii_json = json.dumps(text)[1:-1]
    utf8_json = json.dumps(text, ensure_ascii=False)[1:-1]
    yield "UTF-8", text.encode()
    yield "JSON", utf8_json.encode()
    yield "JSON, ASCII", ascii_json.encode()
    yield "JSON, ASCII, upper case", _upper_escapes(ascii_json).encode()
    yield "JSON in JSON", json.dumps(utf8_json, ensure_ascii=False)[1:-1].encode()
    yield "UTF-16-LE", text.encode("utf-16-le")
    yield "UTF-16-BE", text.encode("utf-16-be")


def _base64_of(name: str, data: bytes) -> Iterator[Pattern]:
    for shift in range(3):
        encoded = base64.b64encode(bytes(shift) + data)
        first = (0, 2, 3)[shift]  # characters that hold bits of what came before
        last = (shift + len(data)) * 8 // 6  # and of what comes after
        stable = encoded[first:last]
        yield Pattern(f"{name}, base64 at {shift}", stable)
        urlsafe = stable.translate(bytes.maketrans(b"+/", b"-_"))
        yield Pattern(f"{name}, url-safe base64 at {shift}", urlsafe)


def _lower_escapes(quoted: str, mark: str, digits: int) -> str:
    head, *parts = quoted.split(mark)
    lowered = [mark + part[:digits].lower() + part[digits:] for part in parts]
    return head + "".join(lowered)


def _upper_escapes(escaped: str) -> str:
    head, *parts = escaped.split("\\u")
    return head + "".join("\\u" + part[:4].upper() + part[4:] for part in parts)
