"""The answers with which proxy and node refuse (protocol section 8)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import JSONResponse, PlainTextResponse, Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .node import NodeError

__all__ = ["RefusedError", "extractor_refusal", "node_refusal", "refusal"]

NODE_FAILURE = "Inference service returned status code error 500 Internal Server Error"
_CANONICAL = {
    400: ("REQUEST_ERROR", "Request error: bad request"),
    401: ("AUTH_ERROR", "Authentication failed"),
    402: ("BALANCE_ERROR", "Insufficient balance"),
    404: ("NOT_FOUND", "Resource not found"),
    423: ("LOCKED", "Locked"),
    425: ("UNAVAILABLE_STACK", "Stack unavailable"),
    429: ("TOO_MANY_REQUESTS", "Too many requests"),
    500: ("INTERNAL_ERROR", "Internal server error occurred"),
    503: ("SERVICE_UNAVAILABLE", "Service unavailable"),
}


class RefusedError(Exception):
    """Ends the handling of a request with a ready answer."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"refused with {response.status_code}")
        self.response = response


def refusal(
    status: int,
    message: str | None = None,
    *,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> RefusedError:
    """Refuse in the error JSON, by default with the canonical code and message."""
    usual_code, usual_message = _CANONICAL.get(status, ("ERROR", "Error"))
    error = {"code": code or usual_code, "message": message or usual_message}
    return RefusedError(
        JSONResponse({"error": error}, status_code=status, headers=headers)
    )


def extractor_refusal(status: int, text: str) -> RefusedError:
    """Refuse as the web framework's JSON extractor does: in plain text."""
    return RefusedError(PlainTextResponse(text, status_code=status))


def node_refusal(error: NodeError, *, stack_header: bool) -> RefusedError:
    """Show a node's refusal as the proxy shows it to a client (section 8.3).

    Args:
        error: what the node answered.
        stack_header: whether the client sent `X-Stack-Small-Id`, without which a
            423 becomes a 500 (section 4.6).
    """
    if error.status == 400:  # noqa: PLR2004
        return refusal(500, "Bad Request")
    if error.status == 423 and not stack_header:  # noqa: PLR2004
        return refusal(500)
    if error.status in {401, 423, 425, 429}:
        return refusal(error.status)
    if error.status == 500:  # noqa: PLR2004
        return refusal(500, NODE_FAILURE)
    return refusal(500, f"Inference service returned status code error {error.status}")
