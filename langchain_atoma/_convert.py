"""Messages as an OpenAI-shaped engine takes them. Pure: no I/O, nothing is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias, cast

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from atoma_confidential.messages import (
    ReasoningPassback,
    arguments_as_json,
    first_shown,
    not_of_a_model,
    wire_call,
)

from ._blocks import to_part
from ._errors import as_model_error, invalid_input

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

__all__ = ["to_wire"]

_Content: TypeAlias = str | list[str | dict[Any, Any]]

# What an assistant says is its text; these are said by other fields of the message.
_NOT_SAID = frozenset(
    {
        "function_call",
        "invalid_tool_call",
        "non_standard",
        "reasoning",
        "reasoning_content",
        "redacted_thinking",
        "refusal",
        "server_tool_call",
        "server_tool_call_chunk",
        "server_tool_result",
        "thinking",
        "tool_call",
        "tool_call_chunk",
        "tool_use",
    }
)


def to_wire(
    messages: Sequence[BaseMessage], *, reasoning: ReasoningPassback = "tool_loop"
) -> list[dict[str, Any]]:
    """Return the request's messages.

    Raises:
        InvalidInputError: A message or a block has no form on the wire; only the name
            of its class or type is told.
    """
    of_user = [isinstance(message, HumanMessage) for message in messages]
    first = first_shown(reasoning, of_user)
    return [
        entry
        for index, message in enumerate(messages)
        for entry in _entries(message, show_reasoning=index >= first)
    ]


def _entries(message: BaseMessage, *, show_reasoning: bool) -> Iterator[dict[str, Any]]:
    match message:
        case HumanMessage():
            yield from _user(message)
        case SystemMessage():
            given = message.additional_kwargs.get("__openai_role__")
            role = given if isinstance(given, str) else "system"
            yield _named({"role": role, "content": _content(message.content)}, message)
        case AIMessage():
            yield _assistant(message, show_reasoning=show_reasoning)
        case ToolMessage():
            yield _tool(message.tool_call_id, message.content)
        case FunctionMessage():
            content = _content(message.content)
            yield {"role": "function", "name": message.name, "content": content}
        case ChatMessage():
            entry = {"role": message.role, "content": _content(message.content)}
            yield _named(entry, message)
        case _:
            raise invalid_input(
                f"Messages of class {type(message).__name__} cannot be sent to a model."
            )


def _named(entry: dict[str, Any], message: BaseMessage) -> dict[str, Any]:
    return entry | ({"name": message.name} if message.name else {})


def _user(message: HumanMessage) -> Iterator[dict[str, Any]]:
    """Yield a user's message, after the tool results that Anthropic puts inside it."""
    if isinstance(message.content, str):
        yield _named({"role": "user", "content": message.content}, message)
        return
    rest: list[str | dict[Any, Any]] = []
    for block in message.content:
        match block:
            case {"type": "tool_result", "tool_use_id": str(call_id), **result}:
                yield _tool(call_id, _result(result.get("content")))
            case _:
                rest.append(block)
    if rest or not message.content:
        yield _named({"role": "user", "content": _content(rest)}, message)


def _result(content: Any) -> _Content:
    if content and not isinstance(content, str | list):
        raise invalid_input("A tool's result is neither text nor a list of blocks.")
    return cast("_Content", content or "")


def _tool(call_id: str, content: _Content) -> dict[str, Any]:
    # No name and no status: strict servers refuse both.
    return {"role": "tool", "tool_call_id": call_id, "content": _content(content)}


def _content(content: _Content) -> str | list[dict[str, Any]]:
    if isinstance(content, str):
        return content
    parts = [to_part(block) for block in content]
    match parts:
        case []:
            return ""
        case [{"type": "text", "text": str(text)}]:
            return text  # many chat templates read a tool's result as a string only
    return parts


def _assistant(message: AIMessage, *, show_reasoning: bool) -> dict[str, Any]:
    calls = list(_tool_calls(message))
    text = "".join(_said(message.content))
    entry: dict[str, Any] = {"role": "assistant", "content": text}
    if calls:
        entry |= {"content": text or None, "tool_calls": calls}
    if call := message.additional_kwargs.get("function_call"):
        entry["function_call"] = _function_call(call)
    refusal = message.additional_kwargs.get("refusal")
    if refusal and isinstance(refusal, str):
        entry["refusal"] = refusal
    if show_reasoning and (thought := "".join(_thought(message))):
        entry["reasoning_content"] = thought
    return _named(entry, message)


def _function_call(call: Any) -> dict[str, str]:
    """Return the older kind of call, without what others may keep in it."""
    match call:
        case {"name": str(name), "arguments": str(arguments)}:
            return {"name": name, "arguments": arguments}
    raise invalid_input("A message's function_call is no call.")


def _said(content: _Content) -> Iterator[str]:
    if isinstance(content, str):
        yield content
        return
    for block in content:
        match block:
            case str():
                yield block
            case {"type": "text", "text": str(text)}:
                yield text
            case {"type": str(kind)} if kind in _NOT_SAID:
                continue
            case {"type": str(kind)}:
                raise as_model_error(not_of_a_model(kind))
            case _:
                raise invalid_input("A content block has no type.")


def _thought(message: AIMessage) -> Iterable[str]:
    said = message.additional_kwargs.get("reasoning_content")
    if isinstance(said, str):
        return [said]
    blocks = message.content if isinstance(message.content, list) else []
    return [
        text
        for block in blocks
        if isinstance(block, dict)
        and block.get("type") in ("reasoning", "thinking")
        and isinstance(text := block.get(block["type"]), str)
    ]


def _tool_calls(message: AIMessage) -> Iterator[dict[str, Any]]:
    known = set()
    for call in message.tool_calls:
        known.add(call["id"])
        yield wire_call(call["id"] or "", call["name"], arguments_as_json(call["args"]))
    for broken in message.invalid_tool_calls:
        known.add(broken["id"])
        yield wire_call(broken["id"] or "", broken["name"] or "", broken["args"] or "")
    for block in message.content if isinstance(message.content, list) else ():
        match block:
            case {"type": "tool_use", "id": str(call_id), "name": str(name), **use} if (
                call_id not in known
            ):
                yield wire_call(
                    call_id, name, arguments_as_json(use.get("input") or {})
                )
