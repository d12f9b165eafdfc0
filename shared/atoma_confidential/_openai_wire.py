"""What an OpenAI-shaped client sends, and what it takes for an answer. Pure.

Fails closed: what is not exactly one of three requests is refused. Header fields of the
application are looked at and never sent (protocol 9).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from . import errors
from ._answered import Answer
from ._batches import measure, vectors_of
from ._json import parse_object
from ._request import Request, chat_request, embedding_request
from ._wire import Endpoint, Model
from .errors import (
    ConfidentialError,
    Exposure,
    InvalidInputError,
    RemoteProtocolError,
    StatusError,
)

__all__ = [
    "DONE",
    "SEALED_BASE_URL",
    "VERDICT_HEADER",
    "Asked",
    "Said",
    "answered",
    "check_head",
    "framed",
    "listed",
    "read_asked",
    "refused",
]

SEALED_BASE_URL = "https://sealed.invalid/v1"
"""The base URL to give to an SDK: no such host can exist (RFC 2606 section 2).

A client that lost its transport, or has one for blocking calls only, then reaches
nobody, where the network's own address would take the text in clear.
"""

VERDICT_HEADER = "x-atoma-verdict"

DONE = b"data: [DONE]\n\n"

_SERVED = {
    "/chat/completions": "POST",
    "/embeddings": "POST",
    "/models": "GET",
}


@dataclass(frozen=True, slots=True, repr=False)
class Asked:
    """One request of an application.

    Attributes:
        request: What is to be sealed; None for the list of models.
        stream: Whether the answer is to come as events.
        usage: Whether the application wants the event with usage, which is always
            asked for.
    """

    request: Request | None
    stream: bool = False
    usage: bool = False


@dataclass(frozen=True, slots=True, repr=False)
class Said:
    """A whole HTTP answer for an application."""

    status: int
    headers: dict[str, str]
    body: bytes


def check_head(method: str, url: str, headers: Mapping[str, str], base: str) -> str:
    """Return which of the three requests this is, before its body is read.

    Args:
        method: Of HTTP.
        url: Whole, as it would be requested.
        headers: Found by lower-case names.
        base: Where the network is, without `/v1`.

    Raises:
        InvalidInputError: It is none of them; the URL is not repeated, for it may hold
            more than an address.
    """
    bases = f"{base}/v1", SEALED_BASE_URL
    path = next((url[len(b) :] for b in bases if url[: len(b)] == b), None)
    if path is None:
        raise InvalidInputError(
            f"The URL is of another server: the SDK's base URL is {SEALED_BASE_URL} "
            f"or {base}/v1."
        )
    if path not in _SERVED:
        raise InvalidInputError(
            "The path is none that is sealed: chat/completions, embeddings and models "
            "are, exactly so and without a query."
        )
    if method != _SERVED[path]:
        raise InvalidInputError(f"{path} is asked for with {_SERVED[path]}.")
    if headers.get("content-encoding", "identity") != "identity":
        raise InvalidInputError("The body is compressed; send it as it is.")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if method == "POST" and kind != "application/json":
        raise InvalidInputError("The body is not declared as application/json.")
    return path


def read_asked(path: str, body: bytes) -> Asked:
    """Return what an application asks for.

    Args:
        path: What `check_head` returned.
        body: All of it; that of a GET is empty.

    Raises:
        InvalidInputError: It cannot be sealed, or could not be answered.
    """
    if path == "/models":
        if body:
            raise InvalidInputError("A list of models is asked for without a body.")
        return Asked(None)
    try:
        fields = parse_object(body, "The body", Exposure.NOTHING)
    except RemoteProtocolError as error:
        message = error.message
    else:
        given = {name: value for name, value in fields.items() if value is not None}
        return _read_chat(given) if path != "/embeddings" else _read_embedding(given)
    raise InvalidInputError(message)


def _read_chat(fields: dict[str, Any]) -> Asked:
    stream = fields.pop("stream", False)
    if not isinstance(stream, bool):
        raise InvalidInputError("stream is true or false.")
    request = chat_request(
        fields.pop("messages", ()),
        model=fields.pop("model", None),
        parameters={},
        extra_body=fields,
        stream=stream,
    )
    options = fields.get("stream_options", {})
    return Asked(request, stream, usage=options.get("include_usage") is True)


def _read_embedding(fields: dict[str, Any]) -> Asked:
    texts = fields.pop("input", None)
    texts = [texts] if isinstance(texts, str) else texts
    if not isinstance(texts, list) or not texts:
        raise InvalidInputError("input is a text or a list of texts.")
    if any(isinstance(text, int | list) for text in texts):
        raise InvalidInputError(
            "input is text: token numbers would be of another model's tokenizer. "
            "LangChain's OpenAIEmbeddings wants check_embedding_ctx_length=False."
        )
    measure(texts)
    request = embedding_request(
        texts,
        model=fields.pop("model", None),
        dimensions=fields.pop("dimensions", None),
        encoding_format=fields.pop("encoding_format", "float"),
        user=fields.pop("user", None),
        extra_body=fields,
    )
    return Asked(request)


def answered(answer: Answer, request: Request) -> Said:
    """Return a whole answer in the engine's own bytes, its verdict in a header.

    Vectors that came out of order are put in order: SDKs do not look at `index`.

    Raises:
        RemoteProtocolError: There is not one vector for each text.
    """
    body = answer.opened
    if request.endpoint is Endpoint.EMBEDDINGS:
        vectors_of(
            answer.body,
            count=len(request.body["input"]),
            dimensions=request.body.get("dimensions"),
            exposure=Exposure.SEALED,
        )
        data = sorted(answer.body["data"], key=lambda item: item["index"])
        if data != answer.body["data"]:
            body = _json(answer.body | {"data": data})
    verdict = _json(answer.verdict.as_dict()).decode()
    return Said(200, _JSON | {VERDICT_HEADER: verdict}, body)


def listed(models: Sequence[Model]) -> Said:
    """Return the list of models."""
    data = [
        {
            "id": model.id,
            "object": "model",
            "created": model.created,
            "owned_by": model.owned_by,
        }
        for model in models
    ]
    return Said(200, _JSON, _json({"object": "list", "data": data}))


def refused(error: ConfidentialError) -> Said | None:
    """Return an error as the HTTP answer that it was; None if it was none of an error.

    With the status that a server sent, and our words instead of its own. The SDK is
    told not to repeat: what is safe to repeat has been repeated.
    """
    if not isinstance(error, StatusError) or error.status < 400:  # noqa: PLR2004
        return None  # below, SDKs would read an answer
    code = error.code or None
    if isinstance(error, errors.ContextLengthError):
        code = "context_length_exceeded"  # what clients of OpenAI look for
    headers = _JSON | {"x-should-retry": "false"}
    if error.retry_after is not None:
        headers["retry-after"] = f"{error.retry_after:g}"
    told = {
        "message": str(error),
        "type": type(error).__name__,
        "param": None,
        "code": code,
    }
    return Said(error.status, headers, _json({"error": told}))


def framed(chunk: Mapping[str, Any], asked: Asked) -> bytes:
    """Return a chunk as an event; nothing where the application did not ask for it.

    Without `include_usage` OpenAI sends no usage, and programs rely on a choice in
    each chunk.
    """
    if not asked.usage and "usage" in chunk:
        if not chunk["choices"]:
            return b""
        chunk = {name: chunk[name] for name in chunk if name != "usage"}
    return b"data: " + _json(chunk) + b"\n\n"


_JSON = {"content-type": "application/json"}


def _json(value: Any) -> bytes:
    # In ASCII, for headers, and for readers that take U+2028 for the end of a line.
    return json.dumps(value, separators=(",", ":")).encode()
