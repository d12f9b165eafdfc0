"""Atoma's JSON, headers and paths; the only module that knows their names.

Values in, bytes out, and the reverse (protocol 2 to 8). Nothing here decides what to
do next.
"""

from __future__ import annotations

import base64
import enum
import re
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from . import errors
from ._base64 import decoded
from ._json import dump, has_more, parse_object
from .envelope import DIGEST_BYTES, NONCE_BYTES, Envelope, Recipient
from .errors import Exposure, RemoteProtocolError, StatusError

__all__ = [
    "CIPHERTEXT",
    "CLEAR_REPLY_FIELDS",
    "LOCK_PATH",
    "MODELS_PATH",
    "OPAQUE_FIELDS",
    "Endpoint",
    "Lease",
    "Model",
    "SealedReply",
    "envelope_body",
    "lock_body",
    "parse_lease",
    "parse_models",
    "parse_sealed",
    "stack_headers",
    "status_error",
]

LOCK_PATH = "/v1/nodes/lock"
MODELS_PATH = "/v1/models"

CIPHERTEXT = "ciphertext"
"""The one field that hides what is in it."""

OPAQUE_FIELDS = frozenset(
    {
        "client_dh_public_key",
        "node_dh_public_key",
        "nonce",
        "plaintext_body_hash",
        "salt",
    }
)
"""Fields of a sealed request that are random, or digests of what is random."""

CLEAR_REPLY_FIELDS = ("nonce", "response_hash", "signature", "usage")
"""The fields of a sealed answer and of its events besides the ciphertext."""

_NONCE_SIZES = (NONCE_BYTES,)
_DIGEST_SIZES = (DIGEST_BYTES,)
_SIGNATURE_SIZES = (97, 98)
_GCM_TAG_BYTES = 16
_MAX_MEMBERS = 1000
"""Above what any usage object has."""


class Endpoint(enum.Enum):
    """What a request asks for, as the tail of its path."""

    CHAT = "chat/completions"
    EMBEDDINGS = "embeddings"

    def path(self, *, confidential: bool) -> str:
        """Return the path of the sealed or of the plain endpoint (protocol 2.1)."""
        return f"/v1/{'confidential/' if confidential else ''}{self.value}"


@dataclass(frozen=True, slots=True)
class Lease:
    """A node reserved for seconds and for one request, with its recipient."""

    recipient: Recipient
    node: int
    stack: int
    purchase: str | None
    units: int


@dataclass(slots=True, repr=False)  # made for each event: frozen takes longer
class SealedReply:
    """The sealed part of an answer or of one stream event."""

    ciphertext: bytes
    nonce: bytes
    digest: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class Model:
    """A model the proxy lists; it does not say which have confidential nodes."""

    id: str
    owned_by: str
    created: int


def lock_body(model: str, *, units: int, seconds: int) -> bytes:
    """Return the body of a lock request (protocol 4.1)."""
    return dump({"model": model, "max_num_tokens": units, "timeout": seconds})


def parse_lease(data: bytes, *, units: int) -> Lease:
    """Return the lease in a lock answer, its types checked.

    Raises:
        RemoteProtocolError: A field is missing or has another type.
        UnusableKeyError: The node key does not have 32 bytes.
    """
    fields = parse_object(data, "The lock answer", Exposure.LOCK)
    purchase = fields.get("stack_entry_digest")
    if purchase is not None and not _is_token(purchase):
        raise _off_contract("The lock answer has a bad purchase digest", Exposure.LOCK)
    return Lease(
        recipient=Recipient(_binary(fields, "public_key", Exposure.LOCK)),
        node=_unsigned(fields, "node_small_id"),
        stack=_unsigned(fields, "stack_small_id"),
        purchase=purchase,
        units=units,
    )


def envelope_body(
    envelope: Envelope, lease: Lease, *, model: str, stream: bool
) -> bytes:
    """Return the request body: all ten fields, compact (protocol 5.1)."""
    return dump(
        {
            CIPHERTEXT: _text(envelope.ciphertext),
            "stack_small_id": lease.stack,
            "nonce": _text(envelope.nonce),
            "salt": _text(envelope.salt),
            "client_dh_public_key": _text(envelope.encapsulated_key),
            "node_dh_public_key": _text(lease.recipient.public_key),
            "plaintext_body_hash": _text(envelope.plaintext_digest),
            "stream": stream,
            "model_name": model,
            "num_compute_units": lease.units,
        }
    )


def stack_headers(lease: Lease) -> dict[str, str]:
    """Return the two headers that repair gaps of the proxy (protocol 4.6)."""
    headers = {"X-Stack-Small-Id": str(lease.stack)}
    if lease.purchase is not None:
        headers["X-Tx-Digest"] = lease.purchase
    return headers


def parse_sealed(data: bytes) -> SealedReply:
    """Return the sealed part of an answer; each of its four fields is required.

    Raises:
        RemoteProtocolError: A field is missing, or is not base64 of its size.
    """
    # Only usage is nested, and base64 has no brackets: this bounds what is built of a
    # body whose size is for a ciphertext.
    if has_more(data, (b"{", b"[", b","), _MAX_MEMBERS):
        raise _off_contract("The answer has too many members", Exposure.SEALED)
    fields = parse_object(data, "The answer", Exposure.SEALED)
    ciphertext = _binary(fields, CIPHERTEXT, Exposure.SEALED)
    if len(ciphertext) < _GCM_TAG_BYTES:
        raise _off_contract("The ciphertext is too short", Exposure.SEALED)
    return SealedReply(
        ciphertext=ciphertext,
        nonce=_binary(fields, "nonce", Exposure.SEALED, _NONCE_SIZES),
        digest=_binary(fields, "response_hash", Exposure.SEALED, _DIGEST_SIZES),
        signature=_binary(fields, "signature", Exposure.SEALED, _SIGNATURE_SIZES),
    )


def parse_models(data: bytes) -> list[Model]:
    """Return the models of a listing.

    Raises:
        RemoteProtocolError: It is not a listing.
    """
    items = parse_object(data, "The model list", Exposure.NOTHING).get("data")
    if not isinstance(items, list):
        raise _off_contract("The model list has no data", Exposure.NOTHING)
    return [_model(item) for item in items]


def _model(item: Any) -> Model:
    match item:
        case {"id": str(name)}:
            owner, created = item.get("owned_by"), item.get("created")
            return Model(
                name,
                owned_by=owner if isinstance(owner, str) else "",
                created=created if isinstance(created, int) else 0,
            )
    raise _off_contract("The model list has an entry without id", Exposure.NOTHING)


def status_error(
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    exposure: Exposure,
    purchased: bool = False,
) -> StatusError:
    """Return the error for an answer other than 200 (protocol 8).

    The server's text picks the class and is then dropped: a plain endpoint may echo
    what it was sent.

    Args:
        status: The HTTP status.
        headers: Header fields, names in lower case.
        body: What came with it; JSON, plain text, HTML or nothing.
        exposure: What the request had let out.
        purchased: Whether its lock bought a new stack.
    """
    code, message = _error_fields(body)
    kind = _status_class(status, code, message, purchased=purchased)
    code = code if code in _CODES else ""
    named = f" ({code})" if code else ""
    return kind(
        f"The server answered {status}{named}.",
        exposure,
        status,
        code,
        _retry_after(headers),
    )


_CLASSES: dict[int, type[StatusError]] = {
    400: errors.InvalidRequestError,
    401: errors.AuthenticationError,
    402: errors.BalanceError,
    403: errors.PermissionDeniedError,
    404: errors.NotFoundError,
    405: errors.NotFoundError,
    413: errors.PayloadTooLargeError,
    415: errors.InvalidRequestError,
    422: errors.InvalidRequestError,
    423: errors.StackLockedError,
    425: errors.StackUnavailableError,
    429: errors.RateLimitError,
    503: errors.NodeUnavailableError,
}

_CODES = frozenset(
    {
        "AUTH_ERROR",
        "BALANCE_ERROR",
        "FIAT_PAYMENTS_ONLY",
        "INTERNAL_ERROR",
        "LOCKED",
        "NOT_FOUND",
        "NOT_IMPLEMENTED",
        "REQUEST_ERROR",
        "SERVICE_UNAVAILABLE",
        "TOO_MANY_REQUESTS",
        "UNAVAILABLE_STACK",
    }
)
"""The proxy's own (protocol 8.2); any other is free text, which no error repeats."""

_CONCURRENT_PURCHASE = re.compile(
    r"Unsupported endpoint: /v1/nodes/lock|a stack is being bought"
)
_CONTEXT_LENGTH = re.compile(
    r"context[_ ](length|window)|maximum context|too many tokens", re.IGNORECASE
)
_NODE_FAILURE = re.compile(
    r"Inference service returned status code error"
    r"|Failed to connect to the node"
    r"|Invalid response from inference service"
)


def _status_class(
    status: int, code: str, message: str, *, purchased: bool
) -> type[StatusError]:
    kind = _CLASSES.get(status, errors.ServerError)
    match status:
        case 400 if _CONCURRENT_PURCHASE.search(message):
            kind = errors.ConcurrentPurchaseError
        case 400 if code == "FIAT_PAYMENTS_ONLY":
            kind = errors.BalanceError
        case 400 | 422 if _CONTEXT_LENGTH.search(f"{code} {message}"):
            kind = errors.ContextLengthError
        case 500 if message == "Bad Request" and purchased:
            kind = errors.StackNotIndexedError
        case 500 if message == "Bad Request":
            kind = errors.InvalidRequestError
        case 500 if message.startswith("Node public key not found"):
            kind = errors.NodeKeyMissingError
        case 500 if _NODE_FAILURE.match(message):
            kind = errors.NodeFailureError
    return kind


def _error_fields(body: bytes) -> tuple[str, str]:
    try:
        fields = parse_object(body, "", Exposure.NOTHING)
    except RemoteProtocolError:
        return "", ""
    match fields:
        case {"error": {"code": str(code), "message": str(message)}}:
            return code, message
        case {"error": {"message": str(message)}}:
            return "", message
    return "", ""


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After field (RFC 9110 section 10.2.3).

    A date is read against the server's own Date, so that no clock is needed here.
    """
    value = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}(\.\d{1,9})?", value, re.ASCII):
        return float(value)
    try:
        until = parsedate_to_datetime(value)
        now = parsedate_to_datetime(headers.get("date", ""))
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _text(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _binary(
    fields: dict[str, Any], name: str, exposure: Exposure, sizes: tuple[int, ...] = ()
) -> bytes:
    """Decode RFC 4648 section 4, as strictly as the node does (protocol 0)."""
    text = fields.get(name)
    data = decoded(text)
    if data is None:
        what = "not base64" if isinstance(text, str) else "missing"
        raise _off_contract(f"{name} is {what}", exposure)
    if sizes and len(data) not in sizes:
        raise _off_contract(f"{name} has {len(data)} bytes", exposure)
    return data


def _unsigned(fields: dict[str, Any], name: str) -> int:
    value = fields.get(name)
    if type(value) is not int or not 0 <= value < 1 << 64:
        raise _off_contract(f"{name} is not an unsigned integer", Exposure.LOCK)
    return value


def _is_token(value: Any) -> bool:
    """Tell whether a value from the server may be sent back as a header."""
    return isinstance(value, str) and bool(re.fullmatch(r"[0-9A-Za-z]{1,128}", value))


def _off_contract(message: str, exposure: Exposure) -> RemoteProtocolError:
    return RemoteProtocolError(f"{message}.", exposure)
