"""How rows of the fault table are made that answer instead of the real thing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.responses import HTMLResponse, PlainTextResponse, Response

from ._refusals import RefusedError, refusal
from .faults import Call, Fault, Stage

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["html_page", "raising", "redirect", "refuse", "send", "text_refusal"]


def raising(error: Exception) -> Callable[[Any, Call], Any]:
    """Make a fault's function that raises."""

    def apply(_value: Any, _call: Call) -> Any:
        # One row serves many requests: without this its traceback would grow.
        raise error.with_traceback(None)

    return apply


def refuse(
    stage: Stage,
    status: int,
    about: str,
    *,
    text: str | None = None,
    code: str | None = None,
    retry_after: str | None = None,
    date: str | None = None,
) -> Fault:
    """Refuse in the proxy's error JSON."""
    fields = {"Retry-After": retry_after, "Date": date}
    headers = {name: value for name, value in fields.items() if value is not None}
    answer = refusal(status, text, code=code, headers=headers)
    return Fault(stage, raising(answer), f"{status}: {about}")


def send(stage: Stage, response: Response, about: str) -> Fault:
    """Answer with a ready response."""
    return Fault(stage, raising(RefusedError(response)), about)


def text_refusal(stage: Stage, status: int, about: str) -> Fault:
    """Refuse as the proxy's web framework does, in plain text (protocol 8.1)."""
    page = PlainTextResponse("refused by the web framework", status_code=status)
    return send(stage, page, f"{status} in plain text: {about}")


def redirect(stage: Stage) -> Fault:
    """Point somewhere else."""
    to = {"Location": "http://127.0.0.1:9/elsewhere"}
    return send(stage, Response(status_code=307, headers=to), "307: a redirect")


def html_page(stage: Stage) -> Fault:
    """Answer as a gateway in front of the proxy does."""
    page = HTMLResponse("<html><h1>502 Bad Gateway</h1></html>", status_code=502)
    return send(stage, page, "502: a gateway's HTML page")
