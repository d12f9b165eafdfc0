"""What `atoma proxy` says no with: errors in OpenAI's shape, without content."""

from __future__ import annotations

from typing import Any

from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from atoma_confidential.errors import (
    AnswerCutError,
    ConfidentialError,
    ConnectionFailedError,
    ConnectionLostError,
    InvalidInputError,
    ReplyTimeoutError,
    RequestTooLargeError,
)

__all__ = ["failed", "failed_here", "not_served", "refused", "told"]

# SDKs repeat 408, 409, 429 and all from 500 on, where not told otherwise. What says
# that an answer, a key or a server cannot be trusted has a status that none of them
# repeats: 424, Failed Dependency (RFC 4918 section 11.4).
_STATUSES = (
    (RequestTooLargeError, 413),
    (InvalidInputError, 400),
    (ReplyTimeoutError, 504),
    (AnswerCutError, 424),  # the request has run
    (ConnectionFailedError, 502),
    (ConnectionLostError, 502),
    (ConfidentialError, 424),
)
_CODES = {
    401: "invalid_api_key",
    403: "forbidden",
    404: "not_found",
    413: "request_too_large",
}
# What is safe to repeat has been repeated.
_NOT_AGAIN = {"x-should-retry": "false"}


def told(error: ConfidentialError) -> dict[str, Any]:
    """Return one of our errors as an SDK reads it."""
    return _shaped(str(error), type(error).__name__, None)


def failed(error: ConfidentialError) -> JSONResponse:
    """Return one of our errors as an answer, if no server sent a status for it."""
    status = next(status for kind, status in _STATUSES if isinstance(error, kind))
    return JSONResponse(told(error), status, _NOT_AGAIN)


def refused(why: HTTPException) -> JSONResponse:
    """Return what was refused here, before anything was sent."""
    message = f"{why.detail} Left the process: nothing."
    body = _shaped(message, "invalid_request_error", _CODES[why.status_code])
    return JSONResponse(body, why.status_code, {**_NOT_AGAIN, **(why.headers or {})})


def not_served() -> HTTPException:
    """Return what answers all but the three calls that are sealed."""
    return HTTPException(
        404,
        "Only POST /v1/chat/completions, POST /v1/embeddings and GET /v1/models are "
        "served, without a query.",
    )


def failed_here() -> JSONResponse:
    """Return what is said of a bug, whose own text may hold anything."""
    body = _shaped("atoma proxy failed; report it.", "internal_error", None)
    return JSONResponse(body, 500, _NOT_AGAIN)


def _shaped(message: str, kind: str, code: str | None) -> dict[str, Any]:
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}
