"""What can be asked of an engine, by name, and what frameworks' models ask. Pure.

OpenAI's names, which the engines share.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import Any, Literal, Required, TypeAlias, TypedDict

from .errors import InvalidInputError

__all__ = [
    "ChatParameters",
    "EmbeddingParameters",
    "SignatureMode",
    "StreamMode",
    "check_model",
    "chosen",
    "json_schema_format",
    "merged",
    "misfit",
    "tool_choice_of",
    "wire_name",
]

StreamMode: TypeAlias = Literal["auto", "live", "buffered"]
"""How streams travel; see `ClientSettings`."""

SignatureMode: TypeAlias = Literal["off", "whole", "all"]
"""Which signatures of nodes are checked; likewise."""

_SCHEMA_NAME_LENGTH = 64


class ChatParameters(TypedDict, total=False):
    """The documented parameters of a chat completion, besides messages and model."""

    frequency_penalty: float | None
    function_call: str | Mapping[str, Any] | None
    functions: Sequence[Mapping[str, Any]] | None
    logit_bias: Mapping[str, float] | None
    logprobs: bool | None
    max_completion_tokens: int | None
    max_tokens: int | None
    n: int | None
    parallel_tool_calls: bool | None
    presence_penalty: float | None
    response_format: Mapping[str, Any] | None
    seed: int | None
    stop: str | Sequence[str] | None
    stream_options: Mapping[str, Any] | None
    temperature: float | None
    tool_choice: str | Mapping[str, Any] | None
    tools: Sequence[Mapping[str, Any]] | None
    top_logprobs: int | None
    top_p: float | None
    user: str | None


class EmbeddingParameters(TypedDict, total=False):
    """The parameters of `embed`.

    Attributes:
        model: The engine's model.
        instruction: Put before each text, exactly as it stands; models that are trained
            with instructions want one.
        dimensions: Length of the vectors, for models that can shorten them.
        encoding_format: How numbers travel; `base64` is a quarter of the size.
        user: An identifier that the engine may log.
        extra_body: Parameters of the engine.
        blind_replies: Add one random text to each batch and drop its vector, so that
            equal texts do not show as equal answers.
        batch_size: Texts in a request.
        batch_bytes: UTF-8 bytes of text in a request.
        max_concurrency: Requests at a time.
        on_batch: Called with the number of texts of each batch that is done.
    """

    model: Required[str]
    instruction: str
    dimensions: int | None
    encoding_format: Literal["base64", "float"]
    user: str | None
    extra_body: Mapping[str, Any] | None
    blind_replies: bool
    batch_size: int
    batch_bytes: int
    max_concurrency: int
    on_batch: Callable[[int], None] | None


def check_model(model: object) -> None:
    """Refuse what names no model.

    Raises:
        InvalidInputError: It is blank, or no string.
    """
    if not isinstance(model, str) or not model.strip():
        raise InvalidInputError(
            "model is empty; name one, such as `atoma models` lists."
        )


def chosen(fields: Mapping[str, Any], kind: type) -> dict[str, Any]:
    """Return those of a model's fields that are sent as they are.

    Args:
        fields: All of them; None says that nothing was chosen.
        kind: `ChatParameters` or `EmbeddingParameters`.
    """
    known = kind.__annotations__
    return {name: fields[name] for name in known if fields.get(name) is not None}


def merged(
    given: Mapping[str, Any],
    *,
    model: str,
    extra_body: Mapping[str, Any],
    adopt_unknown: bool,
) -> dict[str, Any]:
    """Return the arguments of a client's chat call but for its messages.

    Args:
        given: What is asked of this call; its own `model` and `extra_body` win.
        model: The engine's model.
        extra_body: Parameters of the engine.
        adopt_unknown: Take what the API does not know for the engine's, where a client
            would refuse it.
    """
    rest = dict(given)
    model = rest.pop("model", None) or model
    extra = {**extra_body, **(rest.pop("extra_body", None) or {})}
    if adopt_unknown:
        unknown = rest.keys() - ChatParameters.__annotations__
        extra |= {name: rest.pop(name) for name in unknown}
    return {**rest, "model": model, "extra_body": extra}


def wire_name(name: str) -> str:
    """Return a name as engines take those of tools and schemas."""
    return re.sub(r"[^a-zA-Z0-9_-]", "_", name)


def tool_choice_of(
    choice: str | Mapping[str, Any] | Literal[True], names: Container[str]
) -> str | dict[str, Any]:
    """Return which tool must be called, as the wire says it.

    Args:
        choice: The wire's own values, `"any"` or True for some tool, or a tool's name.
        names: Those of the tools there are, on the wire.

    Raises:
        InvalidInputError: No tool has that name.
    """
    if isinstance(choice, Mapping):
        return dict(choice)
    if choice is True or choice == "any":
        return "required"
    if choice in ("auto", "none", "required"):
        return choice
    if choice not in names:
        raise InvalidInputError("tool_choice names a tool that is not among the tools.")
    return {"type": "function", "function": {"name": choice}}


def json_schema_format(
    name: str, schema: Mapping[str, Any], *, strict: bool | None, **more: Any
) -> dict[str, Any]:
    """Return the response format that asks for JSON of a schema.

    Args:
        name: The schema's; what the wire does not take in it is replaced.
        schema: As JSON schema.
        strict: Whether the engine is to keep to it exactly; None says nothing of it.
        **more: What else is said of it, such as its `description`.
    """
    body = {"name": wire_name(name)[:_SCHEMA_NAME_LENGTH], "schema": schema, **more}
    if strict is not None:
        body["strict"] = strict
    return {"type": "json_schema", "json_schema": body}


_QUOTING = frozenset({"assertion_error", "union_tag_invalid", "value_error"})
"""Kinds of pydantic's errors whose messages may quote the input."""


def misfit(title: str, found: Iterable[Mapping[str, Any]]) -> str:
    """Return which fields do not fit and why, without what was given for them.

    Args:
        title: What has the fields.
        found: The errors that pydantic's `ValidationError` lists.
    """
    fields = [
        # Below a field, a location may be a key of what was given.
        f"{next(map(str, one['loc']), 'fields')}: "
        + ("not accepted" if one["type"] in _QUOTING else one["msg"])
        for one in found
    ]
    return f"Fields of {title} do not fit: {'; '.join(fields)}."
