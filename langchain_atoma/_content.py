"""LangChain's standard content blocks, read from a message of this provider.

Without this, core guesses: it takes a delta with text and a fragment of a tool call for
a finished call without arguments, and merges text with the call that follows it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages import content as types
from langchain_core.messages.block_translators import register_translator

if TYPE_CHECKING:
    from langchain_core.messages import AIMessage, AIMessageChunk
    from langchain_core.messages.content import ContentBlock

__all__ = ["PROVIDER", "register", "translate_content", "translate_content_chunk"]

PROVIDER = "atoma"
"""`response_metadata["model_provider"]`, and the key of the translator."""


def register() -> None:
    """Make `content_blocks` of our messages use this module."""
    register_translator(PROVIDER, translate_content, translate_content_chunk)


def translate_content(message: AIMessage) -> list[ContentBlock]:
    """Return the blocks of a whole message."""
    blocks = _head(message)
    present = {block.get("id") for block in blocks if block["type"] == "tool_call"}
    blocks += [
        {"type": "tool_call", "name": call["name"], "args": call["args"], "id": id_}
        for call in message.tool_calls
        if (id_ := call.get("id")) is None or id_ not in present
    ]
    if not isinstance(message.content, list):
        blocks += [{**call} for call in message.invalid_tool_calls]
    return cast("list[ContentBlock]", blocks + _refusal(message))


def translate_content_chunk(message: AIMessageChunk) -> list[ContentBlock]:
    """Return the blocks of a fragment, with indices under which core merges them.

    `merge_lists` merges by integers and by strings that start with `lc_`; a string
    keeps text apart from the call that the server numbers 0 as well.
    """
    if message.chunk_position == "last":
        return translate_content(message)
    blocks = _head(message)
    for block in blocks:
        index = {"reasoning": "lc_rsn_0", "text": "lc_txt_0"}.get(block["type"])
        if index is not None:
            block.setdefault("index", index)
    for call in message.tool_call_chunks:
        fragment: dict[str, Any] = {
            "type": "tool_call_chunk",
            "id": call["id"],
            "name": call["name"],
            "args": call["args"],
            "index": f"lc_tc_{call['index'] or 0}",
        }
        blocks.append(fragment)
    return cast("list[ContentBlock]", blocks)


def _head(message: AIMessage) -> list[dict[str, Any]]:
    """Return the blocks of reasoning and content, which come before any call."""
    if isinstance(message.content, list):
        return [
            {"type": "text", "text": item} if isinstance(item, str) else {**item}
            for item in message.content
        ]
    blocks: list[dict[str, Any]] = []
    if reasoning := message.additional_kwargs.get("reasoning_content"):
        blocks.append({"type": "reasoning", "reasoning": reasoning})
    if message.content:
        blocks.append({"type": "text", "text": message.content})
    return blocks


def _refusal(message: AIMessage) -> list[dict[str, Any]]:
    refusal = message.additional_kwargs.get("refusal")
    if not refusal:
        return []
    block = {"type": "refusal", "refusal": refusal}
    # A standard block since core 1.7.5.
    known = hasattr(types, "RefusalContentBlock")
    return [block if known else {"type": "non_standard", "value": block}]
