"""The log records of a call, for who has turned them on.

None is above INFO: what went wrong is raised. So there is no handler here either, which
would hide the warning of `atoma_confidential` that requests travel in clear.
"""

from __future__ import annotations

import logging
from typing import Any

from ._observed import CallBegun, CallEnded, RequestDone, Retry

__all__ = ["CallLog", "is_logged"]

_calls = logging.getLogger("atoma_confidential.calls")
_retries = logging.getLogger("atoma_confidential.retries")
_requests = logging.getLogger("atoma_confidential.requests")


def is_logged() -> bool:
    """Tell whether any record would be written."""
    return (
        _calls.isEnabledFor(logging.INFO)
        or _retries.isEnabledFor(logging.INFO)
        or _requests.isEnabledFor(logging.DEBUG)
    )


class CallLog:
    """Writes the records of one call."""

    def __init__(self, call: CallBegun) -> None:
        self._about: dict[str, Any] = {"call": call.id, "operation": call.operation}
        if call.model:
            self._about["model"] = call.model
        begun = {"stream": call.stream, "server": _place(call.server)}
        self._write(_calls, logging.DEBUG, "begins", begun)

    def requested(self, request: RequestDone) -> None:
        """Write of a request that is over."""
        fields = {
            "kind": request.kind,
            "attempt": request.attempt,
            "server": _place(request.server),
            "status": request.status,
            "seconds": round(request.seconds, 4),
            "sent": request.sent,
            "received": request.received,
            "node": request.node,
            "key": request.key,
            "error": request.error,
        }
        self._write(_requests, logging.DEBUG, "request", fields)

    def repeats(self, retry: Retry) -> None:
        """Write of an attempt that failed and will be repeated."""
        fields = {
            "attempt": retry.attempt,
            "error": retry.error,
            "wait": round(retry.wait, 4),
        }
        self._write(_retries, logging.INFO, "repeats", fields)

    def ended(self, end: CallEnded) -> None:
        """Write of the call's end."""
        verdict = end.verdicts[-1] if end.verdicts else None
        fields = {
            "end": end.end,
            "error": end.error,
            "exposure": end.exposure and end.exposure.name.lower(),
            "seconds": round(end.seconds, 4),
            "first_chunk": end.first_chunk and round(end.first_chunk, 4),
            "lock": round(end.lock, 4),
            "requests": end.requests,
            "retries": end.retries,
            "sent": end.sent,
            "received": end.received,
            "events": end.events,
            "input_tokens": end.input_tokens,
            "output_tokens": end.output_tokens,
            "node": verdict and verdict.node,
            "key": verdict and verdict.key,
            "assurance": verdict and verdict.assurance,
            "streamed": verdict and verdict.stream,
        }
        self._write(_calls, logging.INFO, "ends", fields)

    def _write(
        self, logger: logging.Logger, level: int, what: str, fields: dict[str, Any]
    ) -> None:
        if logger.isEnabledFor(level):
            told = {k: v for k, v in fields.items() if v is not None and v != ""}
            about = self._about | told
            # Quoted: whatever a model is called, it begins no line of its own.
            shown = " ".join(f"{name}={value!r}" for name, value in about.items())
            logger.log(level, "%s: %s", what, shown, extra={"atoma": about})


def _place(server: tuple[str, int]) -> str:
    return f"{server[0]}:{server[1]}"
