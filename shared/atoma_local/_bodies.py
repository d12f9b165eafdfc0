"""Reading request bodies as the proxy's framework reads them, refusals included."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from ._refusals import extractor_refusal, refusal

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["extract_json", "optional_u64", "parse_envelope"]

BODY_LIMIT = 2 * 1024 * 1024
_ENVELOPE_STRINGS = (
    "ciphertext",
    "nonce",
    "salt",
    "client_dh_public_key",
    "node_dh_public_key",
    "plaintext_body_hash",
    "model_name",
)


def extract_json(request: Request, raw: bytes) -> dict[str, Any]:
    """Parse a body as the web framework's extractor does, plain text and all."""
    if len(raw) > BODY_LIMIT:
        raise extractor_refusal(
            413, "Failed to buffer the request body: length limit exceeded"
        )
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/json":
        raise extractor_refusal(
            415, "Expected request with `Content-Type: application/json`"
        )
    try:
        body = json.loads(raw)
    except ValueError as error:
        text = "Failed to parse the request body as JSON"
        raise extractor_refusal(400, text) from error
    if not isinstance(body, dict):
        raise extractor_refusal(
            422, "Failed to deserialize the JSON body into the target type"
        )
    return body


def parse_envelope(raw: bytes) -> dict[str, Any]:
    """Check the ten fields of section 5.1; unknown ones are let through."""
    try:
        envelope = json.loads(raw)
    except ValueError as error:
        raise refusal(400, "Request error: Failed to parse body") from error
    if not isinstance(envelope, dict):
        raise refusal(400, "Request error: the body is not an object")
    for name in _ENVELOPE_STRINGS:
        if not isinstance(envelope.get(name), str):
            raise refusal(400, f"Request error: {name} is missing or not a string")
    if not _is_u64(envelope.get("stack_small_id")):
        raise refusal(400, "Request error: stack_small_id is not an integer")
    if not isinstance(envelope.get("stream"), bool | None):
        raise refusal(400, "Request error: stream is not a boolean")
    if not isinstance(envelope.get("num_compute_units"), int | None):
        raise refusal(400, "Request error: num_compute_units is not an integer")
    return envelope


def _is_u64(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def optional_u64(body: dict[str, Any], name: str, default: int) -> int:
    """Read a number that may be null or absent, as the extractor does."""
    value = body.get(name)
    if value is None:
        return default
    if not _is_u64(value):
        raise extractor_refusal(422, f"{name}: invalid type")
    return int(value)
