"""Tools, their choice and the calls to them, between LlamaIndex and the wire. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, ToolCallBlock
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.tools.types import BaseTool

from atoma_confidential import parameters
from atoma_confidential.errors import InvalidInputError
from atoma_confidential.parameters import wire_name
from atoma_confidential.tool_calls import parsed_arguments

from ._schema import strict_schema

__all__ = [
    "WireTools",
    "first_call_only",
    "prepared_messages",
    "selections_of",
    "tool_choice_of",
    "tools_of",
]


class WireTools(list[dict[str, Any]]):
    """The wire's tools, which remember the names that LlamaIndex knows them by."""

    def __init__(
        self, tools: Sequence[dict[str, Any]], names: Mapping[str, str]
    ) -> None:
        super().__init__(tools)
        self.names = dict(names)


def tools_of(tools: Sequence[BaseTool], *, strict: bool | None) -> WireTools:
    """Return tools as the wire's.

    Raises:
        InvalidInputError: A tool has no name, two share one, or a schema is no JSON.
    """
    wired: list[dict[str, Any]] = []
    names: dict[str, str] = {}
    for position, tool in enumerate(tools):
        one = _tool(tool, position, strict=strict)
        name = one["function"]["name"]
        if name in names:
            raise InvalidInputError(f"Two tools are called {name!r} on the wire.")
        names[name] = tool.metadata.get_name()
        wired.append(one)
    return WireTools(wired, names)


def tool_choice_of(
    choice: str | Mapping[str, Any] | None,
    tools: WireTools,
    *,
    tool_required: bool,
) -> str | dict[str, Any]:
    """Return which tool must be called.

    Raises:
        InvalidInputError: No tool has that name.
    """
    if not choice:
        return "required" if tool_required else "auto"
    named = wire_name(choice) if isinstance(choice, str) else choice
    return parameters.tool_choice_of(named, tools.names)


def prepared_messages(
    chat_history: Sequence[ChatMessage] | None, user_msg: str | ChatMessage | None
) -> list[ChatMessage]:
    """Return the history, copied, and the user's message behind it."""
    messages = list(chat_history or ())
    if isinstance(user_msg, str):
        user_msg = ChatMessage(role="user", content=user_msg)
    return messages if user_msg is None else [*messages, user_msg]


def selections_of(response: ChatResponse) -> list[ToolSelection]:
    """Return the calls of an answer; without arguments, while those still come."""
    blocks = [b for b in response.message.blocks if isinstance(b, ToolCallBlock)]
    if blocks:
        return [
            ToolSelection(
                tool_id=block.tool_call_id or "",
                tool_name=block.tool_name,
                tool_kwargs=parsed_arguments(block.tool_kwargs),
            )
            for block in blocks
        ]
    legacy = response.message.additional_kwargs.get("tool_calls")
    return [
        ToolSelection(
            tool_id=call.get("id") or "",
            tool_name=call["function"]["name"],
            tool_kwargs=parsed_arguments(call["function"].get("arguments")),
        )
        for call in (legacy if isinstance(legacy, list) else ())
        if isinstance(call, dict) and isinstance(call.get("function"), dict)
    ]


def first_call_only(response: ChatResponse) -> ChatResponse:
    """Return the answer with its first call only, wherever calls are kept."""
    message = response.message
    calls = [b for b in message.blocks if isinstance(b, ToolCallBlock)]
    legacy = message.additional_kwargs.get("tool_calls")
    if len(calls) > 1:
        dropped = {id(call) for call in calls[1:]}  # equal calls are still two
        message.blocks = [b for b in message.blocks if id(b) not in dropped]
    if isinstance(legacy, list) and len(legacy) > 1:
        message.additional_kwargs["tool_calls"] = legacy[:1]
    return response


def _tool(tool: BaseTool, position: int, *, strict: bool | None) -> dict[str, Any]:
    if not tool.metadata.name:
        raise InvalidInputError(f"tools[{position}] has no name.")
    try:
        wired = tool.metadata.to_openai_tool(skip_length_check=True)
        if strict is not None:
            function = wired["function"]
            function["strict"] = strict
            if strict:
                function["parameters"] = strict_schema(function["parameters"])
        json.dumps(wired, allow_nan=False)
    except (KeyError, TypeError, ValueError, RecursionError):
        raise InvalidInputError(
            f"The schema of tool {tool.metadata.name!r} is no JSON."
        ) from None
    return wired
