"""Tools, their choice and response formats, as the engine takes them. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_core.utils.function_calling import (
    convert_to_json_schema,
    convert_to_openai_tool,
)

from atoma_confidential import parameters

from ._errors import invalid_input, model_errors

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from langchain_core.tools import BaseTool

__all__ = ["json_schema_format", "response_format_of", "tool_choice_of", "tools_of"]


def tools_of(
    tools: Sequence[Mapping[str, Any] | type | Callable[..., Any] | BaseTool],
    *,
    strict: bool | None = None,
) -> list[dict[str, Any]]:
    """Return tools of any kind that LangChain knows as the wire's tools.

    Raises:
        InvalidInputError: One has no name, or a schema that is no JSON; only its
            position is told.
    """
    return [_tool(tool, position, strict) for position, tool in enumerate(tools)]


def tool_choice_of(
    choice: Mapping[str, Any] | str | bool | None, tools: Sequence[Mapping[str, Any]]
) -> dict[str, Any] | str | None:
    """Return which tool must be called; None where that is left to the model.

    Args:
        choice: The wire's own values, `"any"` or True for some tool, or a tool's name.
        tools: The wire's tools it chooses from.

    Raises:
        InvalidInputError: No tool has that name.
    """
    if not choice or not tools:
        return None
    names = {name for tool in tools if (name := _name(tool)) is not None}
    with model_errors():
        return parameters.tool_choice_of(choice, names)


def response_format_of(
    response_format: Mapping[str, Any] | type, *, strict: bool | None = None
) -> dict[str, Any]:
    """Return the wire's response format for a schema, or for the wire's own value."""
    if isinstance(response_format, type) or "type" not in response_format:
        return json_schema_format(response_format, strict=strict)
    kind = response_format["type"]
    if kind in ("text", "json_object", "json_schema"):
        return _json(dict(response_format), "response_format")
    return json_schema_format(response_format, strict=strict)


def json_schema_format(
    schema: Mapping[str, Any] | type, *, strict: bool | None = None
) -> dict[str, Any]:
    """Return the response format that asks for JSON of this schema.

    Raises:
        InvalidInputError: It is not a schema, or has no name.
    """
    try:
        json_schema = convert_to_json_schema(_plain(schema), strict=strict)
    except (KeyError, TypeError, ValueError):
        raise invalid_input("The schema has no name, or is no JSON schema.") from None
    wanted = parameters.json_schema_format(
        json_schema["title"], json_schema, strict=strict
    )
    return _json(wanted, "response_format")


def _tool(tool: Any, position: int, strict: bool | None) -> dict[str, Any]:
    try:
        converted = convert_to_openai_tool(_plain(tool), strict=strict)
    except (KeyError, TypeError, ValueError):  # core's message quotes the tool
        converted = {}
    if not converted or (converted.get("type") == "function" and not _name(converted)):
        raise invalid_input(f"tools[{position}] has no name, or is no tool.")
    return _json(converted, f"tools[{position}]")


def _plain(schema: Any) -> Any:
    return dict(schema) if isinstance(schema, dict) else schema


def _name(tool: Mapping[str, Any]) -> str | None:
    match tool:
        case {"function": {"name": str(name)}} if name.strip():
            return name
    return None


def _json(value: dict[str, Any], what: str) -> dict[str, Any]:
    try:
        json.dumps(value, allow_nan=False)
    except (TypeError, ValueError, RecursionError):
        raise invalid_input(f"{what} holds something that is not JSON.") from None
    return value
