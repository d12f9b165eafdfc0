"""What an engine accepts: unknown parameters, keys and blocks are refused.

A lenient stand-in would let a client's mistakes through to the first real engine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._parameters import (
    CHAT,
    EMBEDDINGS,
    check_parameters,
    is_list,
    is_object,
    is_text,
    refuse,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["check_chat", "check_embeddings"]

_ROLES: dict[str, set[str]] = {
    "system": set(),
    "developer": set(),
    "user": set(),
    "assistant": {
        "audio",
        "function_call",
        "reasoning",
        "reasoning_content",
        "refusal",
        "tool_calls",
    },
    "tool": {"tool_call_id"},
    "function": set(),
}
_BLOCKS: dict[str, set[str]] = {
    "text": {"text"},
    "image_url": {"image_url"},
    "input_audio": {"input_audio"},
    "file": {"file"},
    "video_url": {"video_url"},
    "refusal": {"refusal"},
}
_BLOCK_KEYS: dict[str, set[str]] = {
    "image_url": {"url", "detail"},
    "input_audio": {"data", "format"},
    "file": {"filename", "file_data", "file_id"},
    "video_url": {"url"},
}


def check_chat(body: Mapping[str, Any]) -> None:
    """Check a chat body; parameters set to null count as absent.

    Raises:
        InvalidBodyError: naming what is wrong, never what it says.
    """
    given = check_parameters(body, CHAT, required=("messages", "model"))
    _check_messages(given["messages"])
    _check_tools(given)
    if "stream_options" in given and given.get("stream") is not True:
        refuse("stream_options without stream")
    if "top_logprobs" in given and given.get("logprobs") is not True:
        refuse("top_logprobs without logprobs")
    if "response_format" in given:
        _check_format(given["response_format"])


def check_embeddings(body: Mapping[str, Any]) -> list[str]:
    """Check an embeddings body and return its inputs.

    Raises:
        InvalidBodyError: naming what is wrong, never what it says.
    """
    given = check_parameters(body, EMBEDDINGS, required=("input", "model"))
    inputs = given["input"]
    inputs = [inputs] if isinstance(inputs, str) else inputs
    if not is_list(inputs) or not all(map(is_text, inputs)):
        refuse("input is not a text or a list of texts, none of them empty")
    return list(inputs)


def _check_messages(messages: Sequence[Any]) -> None:
    calls: set[str] = set()
    for message in messages:
        role = message.get("role") if isinstance(message, dict) else None
        if not isinstance(role, str) or role not in _ROLES:
            refuse("a message without a known role")
        extra = message.keys() - {"role", "content", "name"} - _ROLES[role]
        if extra:
            refuse(f"unknown keys in a {role} message: {sorted(extra)}")
        if message.get("name") is not None and not is_text(message["name"]):
            refuse("a name that is not a text")
        _check_content(message, role)
        if role == "assistant":
            calls |= _check_calls(message.get("tool_calls"))
        elif role == "tool" and message.get("tool_call_id") not in calls:
            refuse("a tool message that answers no call before it")


def _check_content(message: Mapping[str, Any], role: str) -> None:
    content = message.get("content")
    if content is None:
        if role != "assistant" or not (
            message.get("tool_calls")
            or message.get("function_call")
            or message.get("refusal")
        ):
            refuse(f"a {role} message without content")
    elif isinstance(content, list):
        for block in content:
            _check_block(block)
    elif not isinstance(content, str):
        refuse("content that is neither text nor a list of blocks")


def _check_block(block: Any) -> None:
    kind = block.get("type") if isinstance(block, dict) else None
    if not isinstance(kind, str) or kind not in _BLOCKS:
        refuse("a content block of unknown type")
    if block.keys() != {"type"} | _BLOCKS[kind]:
        refuse(f"a {kind} block with missing or unknown keys")
    inner = block[kind]
    if kind in {"text", "refusal"}:
        if not isinstance(inner, str):
            refuse(f"a {kind} block without text")
    elif not isinstance(inner, dict) or inner.keys() - _BLOCK_KEYS[kind]:
        refuse(f"a {kind} block with unknown keys inside")


def _check_calls(calls: Any) -> set[str]:
    if calls is None:
        return set()
    if not is_list(calls):
        refuse("empty tool_calls")
    for call in calls:
        if not isinstance(call, dict) or call.keys() - {"index"} != {
            "id",
            "type",
            "function",
        }:
            refuse("a tool call with missing or unknown keys")
        function = call["function"]
        if not isinstance(function, dict) or function.keys() != {"name", "arguments"}:
            refuse("a tool call without name and arguments")
        if not isinstance(function["arguments"], str):
            refuse("tool call arguments that are not a string")
        if not is_text(function["name"]) or not is_text(call["id"]):
            refuse("a tool call without name or id")
    return {call["id"] for call in calls}


def _check_tools(given: Mapping[str, Any]) -> None:
    names = [_check_tool(tool) for tool in given.get("tools", [])]
    choice = given.get("tool_choice")
    if choice is None or (choice == "none" and not names):
        return
    if not names:
        refuse("tool_choice without tools")
    if isinstance(choice, dict):
        function = choice.get("function")
        named = function.get("name") if isinstance(function, dict) else None
        if choice.get("type") != "function" or named not in names:
            refuse("tool_choice names no tool that is given")
    elif choice not in ("auto", "none", "required"):
        refuse("unknown tool_choice")


def _check_tool(tool: Any) -> str:
    if not isinstance(tool, dict) or tool.keys() != {"type", "function"}:
        refuse("a tool with missing or unknown keys")
    function = tool["function"]
    if tool["type"] != "function" or not isinstance(function, dict):
        refuse("a tool that is no function")
    if function.keys() - {"name", "description", "parameters", "strict"}:
        refuse("a function with unknown keys")
    name = function.get("name")
    if not is_text(name):
        refuse("a function without a name")
    return str(name)


def _check_format(wanted: Mapping[str, Any]) -> None:
    kind = wanted.get("type")
    if kind not in ("text", "json_object", "json_schema"):
        refuse("unknown response_format")
    if kind == "json_schema":
        inner = wanted.get("json_schema")
        if not isinstance(inner, dict) or not is_object(inner.get("schema")):
            refuse("response_format without a schema")
        if inner.keys() - {"name", "schema", "strict", "description"}:
            refuse("unknown keys in response_format")
