"""JSON documents and addresses that come from outside, read within limits."""

from __future__ import annotations

import re
from typing import Any

from atoma_confidential._json import parse_object
from atoma_confidential.errors import (
    EvidenceFormatError,
    Exposure,
    InvalidInputError,
    RemoteProtocolError,
)

__all__ = ["byte_array", "check_address", "host_of", "json_object"]

MAX_RESPONSE = 1 << 20
_PRINTABLE = r"[!-~]*"
_ADDRESS = re.compile(
    r"https://[\w.-]+(:\d+)?([/?]" + _PRINTABLE + r")?"
    r"|http://(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?([/?]" + _PRINTABLE + r")?",
    re.ASCII,
)


def json_object(data: bytes, what: str) -> dict[str, Any]:
    """Return the JSON object of an answer.

    Raises:
        EvidenceFormatError: It is too large, or anything else.
    """
    if len(data) > MAX_RESPONSE:
        raise EvidenceFormatError(f"{what} is too large.")
    try:
        return parse_object(data, what, Exposure.NOTHING)
    except RemoteProtocolError:
        pass  # not chained: the parser's error would carry the document
    raise EvidenceFormatError(f"{what} is not a JSON object.")


def byte_array(value: object) -> bytes | None:
    """Return the bytes of a JSON array of numbers, as Rust writes a `Vec<u8>`."""
    if not isinstance(value, list):
        return None
    if not all(type(n) is int and 0 <= n < 1 << 8 for n in value):
        return None
    return bytes(value)


def host_of(address: str) -> str:
    """Return the host of an address, without what a provider may have put behind it."""
    return re.split(r"[/?#]", address.partition("://")[2], maxsplit=1)[0]


def check_address(url: str, what: str) -> str:
    """Return the address of a service that a policy is to ask.

    Raises:
        InvalidInputError: It is not an https URL, nor http on this machine: over http
            anyone on the way could answer.
    """
    if not isinstance(url, str) or not _ADDRESS.fullmatch(url):
        raise InvalidInputError(f"{what} is not an https URL, nor one of this machine.")
    return url
