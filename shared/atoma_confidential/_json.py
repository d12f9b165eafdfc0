"""JSON that fails as our errors, and never with the text it failed on."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from pydantic_core import from_json

from .errors import Exposure, InvalidInputError, RemoteProtocolError

__all__ = ["dump", "has_more", "once_each", "parse_object"]

MAX_DEPTH = 64
"""Objects and lists inside one another; engines nest nine deep. Frameworks copy and
compare what they are given, and go as deep as it is."""


def dump(value: Any) -> bytes:
    """Return compact UTF-8 JSON, the form the wire requires (protocol 5.1).

    Raises:
        InvalidInputError: The value is not JSON: a foreign type, NaN, a cycle, or text
            with half a surrogate pair.
    """
    try:
        return _ENCODER.encode(value).encode()
    except (TypeError, ValueError, RecursionError) as error:
        kind = type(error).__name__
    raise InvalidInputError(f"The request cannot be written as JSON ({kind}).")


def parse_object(data: bytes, what: str, exposure: Exposure) -> dict[str, Any]:
    """Return the JSON object in these bytes.

    Raises:
        RemoteProtocolError: They hold anything else, or too much inside one another;
            it is named `what`.
    """
    try:
        value = _parsed(data)
        if has_more(data, _OPENING, MAX_DEPTH) and _is_deeper(value):
            raise RemoteProtocolError(f"{what} is nested too deeply.", exposure)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise RemoteProtocolError(f"{what} is not a JSON object.", exposure)
    return value


def _parsed(data: bytes) -> Any:
    try:
        # A cache would keep what somebody has said.
        return from_json(data, allow_inf_nan=False, cache_strings="none")
    except ValueError:
        if b"\\ud" not in data and b"\\uD" not in data:
            raise
    # Perhaps half a surrogate pair, which is JSON (RFC 8259 section 8.2).
    return _sound(json.loads(data.decode(), parse_constant=_refuse))


def once_each(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the members of a JSON object; for `object_pairs_hook`.

    Raises:
        ValueError: One comes twice.
    """
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise ValueError  # what a reader took would depend on the reader
    return fields


def has_more(data: bytes, marks: tuple[bytes, ...], limit: int) -> bool:
    """Return whether so many marks come, and more.

    In a long text `find` skips what lies between two of them, where `count` looks at
    each byte.
    """
    if len(data) < _LONG:
        return len(data) > limit and sum(map(data.count, marks)) > limit
    for mark in marks:
        at = data.find(mark)
        while at >= 0:
            if not limit:
                return True
            limit -= 1
            at = data.find(mark, at + 1)
    return False


def _is_deeper(value: Any) -> bool:
    level, depth = [value], 0
    while level and depth < MAX_DEPTH:
        level = [inner for outer in level for inner in _containers(outer)]
        depth += 1
    return bool(level)


def _containers(outer: Any) -> list[Any]:
    inside = outer.values() if isinstance(outer, dict) else outer
    return [inner for inner in inside if isinstance(inner, dict | list)]


def _sound(value: Any) -> Any:
    """Replace halves of surrogate pairs, which could not be sent back or printed."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_sound(item) for item in value]
    if isinstance(value, dict):
        return {_sound(name): _sound(item) for name, item in value.items()}
    return value


def _refuse(_constant: str) -> NoReturn:
    raise ValueError  # NaN and the infinities are not JSON (RFC 8259 section 6)


_LONG = 10_000
_OPENING = (b"{", b"[")
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False)
