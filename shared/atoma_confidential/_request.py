"""The JSON body of a request, checked before anything is sent.

OpenAI's names, which the engines share; Atoma's own are in `_wire`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from ._json import dump
from ._units import DEFAULT_COMPLETION_TOKENS, compute_units
from ._wire import Endpoint
from .blinding import BLINDING_BYTES, padded_length
from .errors import InvalidInputError, RequestTooLargeError
from .parameters import ChatParameters, check_model

__all__ = ["Request", "chat_request", "embedding_request"]


MAX_BODY_BYTES = 1_500_000
"""Base64 of this stays below the 2 MiB that the proxy takes (protocol 9)."""

_NOT_EXTRA = frozenset({"messages", "model", "stream", "input", "encoding_format"})
"""What was checked or declared elsewhere, and must not change behind that."""

_OF_TOOLS = frozenset({"tools", "tool_choice", "parallel_tool_calls"})
"""What strict servers refuse where there are no tools."""


@dataclass(frozen=True, slots=True, repr=False)
class Request:
    """One request for one endpoint, in clear; it has no repr, so that no log shows it.

    Attributes:
        body: The fields of the JSON body but for those that streaming adds.
        units: Compute units to reserve on the confidential path.
    """

    endpoint: Endpoint
    model: str
    body: dict[str, Any]
    units: int

    def encode(self, *, stream: bool) -> bytes:
        """Return the body's JSON for a streamed or for a whole answer.

        Raises:
            RequestTooLargeError: The network would not carry it sealed.
            InvalidInputError: It is not JSON.
        """
        body = self._encoded(stream=stream)
        size = padded_length(len(body) + BLINDING_BYTES)
        if size > MAX_BODY_BYTES:
            raise RequestTooLargeError(
                f"The request has {size} bytes when padded; the network carries "
                f"{MAX_BODY_BYTES}."
            )
        return body

    def _encoded(self, *, stream: bool) -> bytes:
        if self.endpoint is Endpoint.EMBEDDINGS:
            return dump(self.body)
        if not stream:
            whole = {k: v for k, v in self.body.items() if k != "stream_options"}
            return dump(whole | {"stream": False})
        # The node sets these options itself (protocol 5.2); a plain relay does not.
        options = {**self.body.get("stream_options", {}), "include_usage": True}
        return dump(self.body | {"stream": True, "stream_options": options})


def chat_request(
    messages: Sequence[Mapping[str, Any]],
    *,
    model: str,
    parameters: Mapping[str, Any],
    extra_body: Mapping[str, Any] | None,
    stream: bool,
) -> Request:
    """Return the request for a chat completion.

    Raises:
        InvalidInputError: Something in it could not be answered.
        TypeError: A parameter is not a documented one.
    """
    check_model(model)
    messages = _checked_messages(messages)
    if unknown := sorted(parameters.keys() - ChatParameters.__annotations__.keys()):
        raise TypeError(
            f"Not parameters of a chat completion: {', '.join(unknown)}. Engine "
            "parameters go into extra_body=."
        )
    _check_extra(extra_body)
    given = {name: value for name, value in parameters.items() if value is not None}
    body = {"model": model, "messages": messages, **given, **(extra_body or {})}
    _check_tools(body.get("tools"))
    if not body.get("tools"):
        body = {name: body[name] for name in body if name not in _OF_TOOLS}
    if not body.keys() & {"max_tokens", "max_completion_tokens"}:
        # What the proxy does for plain requests (protocol 2.1); nobody does it here.
        body["max_completion_tokens"] = DEFAULT_COMPLETION_TOKENS
    if not isinstance(body.get("stream_options", {}), Mapping):
        raise InvalidInputError("stream_options is not an object.")
    if stream and body.get("n", 1) != 1:
        raise InvalidInputError("n must be 1 in a stream.")
    return Request(Endpoint.CHAT, model, body, compute_units(body))


def embedding_request(
    texts: Sequence[str],
    *,
    model: str,
    dimensions: int | None,
    encoding_format: Literal["base64", "float"],
    user: str | None,
    extra_body: Mapping[str, Any] | None,
    single: bool = False,
) -> Request:
    """Return the request for the vectors of some texts.

    Args:
        texts: What to embed, in order.
        model: The engine's model.
        dimensions: Length of the vectors, for models that can shorten them.
        encoding_format: How numbers travel.
        user: An identifier that the engine may log.
        extra_body: Parameters of the engine.
        single: Send the one text as a string, all that the plain endpoint takes
            (protocol 2.1).
    """
    check_model(model)
    _check_extra(extra_body)
    if encoding_format not in ("base64", "float"):
        raise InvalidInputError("encoding_format is 'base64' or 'float'.")
    optional = {"dimensions": dimensions, "user": user}
    body = {
        "model": model,
        "input": texts[0] if single else list(texts),
        "encoding_format": encoding_format,
        **{name: value for name, value in optional.items() if value is not None},
        **(extra_body or {}),
    }
    return Request(Endpoint.EMBEDDINGS, model, body, compute_units(body))


def _check_extra(extra_body: Mapping[str, Any] | None) -> None:
    if taken := sorted((extra_body or {}).keys() & _NOT_EXTRA):
        raise InvalidInputError(f"extra_body cannot hold {', '.join(taken)}.")


def _checked_messages(messages: Any) -> list[Mapping[str, Any]]:
    if isinstance(messages, str | bytes | Mapping) or not isinstance(
        messages, Iterable
    ):
        raise InvalidInputError("messages is a list of messages.")
    listed = list(messages)  # it may be a generator, which can be read once
    if not listed:
        raise InvalidInputError("messages is empty.")
    for index, message in enumerate(listed):
        if not isinstance(message, Mapping) or not isinstance(message.get("role"), str):
            raise InvalidInputError(f"messages[{index}] has no role.")
    return listed


def _check_tools(tools: Any) -> None:
    if not isinstance(tools, Sequence | None):
        raise InvalidInputError("tools is not a list.")
    for index, tool in enumerate(tools or ()):
        match tool:
            case {"type": "function", "function": {"name": str(name)}} if name:
                continue
            case {"type": str(kind)} if kind != "function":
                continue
        raise InvalidInputError(f"tools[{index}] has no name.")
