"""LlamaIndex's messages, as the messages of the wire. Pure, but for files in blocks."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from atoma_confidential.errors import InvalidInputError
from atoma_confidential.messages import (
    ReasoningPassback,
    arguments_as_json,
    first_shown,
    not_of_a_model,
    wire_call,
)
from atoma_confidential.parameters import wire_name
from atoma_confidential.tool_calls import parsed_arguments

from ._blocks import content_of, flat, text_of

__all__ = ["to_wire"]

_ROLES = {
    MessageRole.DEVELOPER: "system",
    MessageRole.CHATBOT: "assistant",
    MessageRole.MODEL: "assistant",
    MessageRole.FUNCTION: "tool",
}


def to_wire(
    messages: Sequence[ChatMessage],
    *,
    reasoning: ReasoningPassback = "never",
    remote_images: bool = True,
) -> list[dict[str, Any]]:
    """Return the request's messages; those given are not changed.

    Raises:
        InvalidInputError: A message or a block has no form on the wire; only the name
            of its role or type is told.
    """
    of_user = [message.role is MessageRole.USER for message in messages]
    first = first_shown(reasoning, of_user)
    writer = _Writer(remote_images=remote_images)
    return [
        writer.write(message, show_reasoning=index >= first)
        for index, message in enumerate(messages)
    ]


class _Writer:
    """Writes one conversation, and gives ids to the calls that have none."""

    def __init__(self, *, remote_images: bool) -> None:
        self._remote_images = remote_images
        self._calls = 0
        self._unanswered: list[str] = []

    def write(self, message: ChatMessage, *, show_reasoning: bool) -> dict[str, Any]:
        role = _ROLES.get(message.role, message.role.value)
        if role == "assistant":
            return self._assistant(message, show_reasoning=show_reasoning)
        if role == "tool":
            return self._tool(message)
        content = content_of(message.blocks, remote_images=self._remote_images)
        return _named({"role": role, "content": content}, message)

    def _tool(self, message: ChatMessage) -> dict[str, Any]:
        call_id = message.additional_kwargs.get("tool_call_id")
        if not call_id and self._unanswered:
            call_id = self._unanswered[0]
        if not isinstance(call_id, str) or not call_id:
            raise InvalidInputError("A tool's message has no tool_call_id.")
        if call_id in self._unanswered:
            self._unanswered.remove(call_id)
        content = content_of(message.blocks, remote_images=self._remote_images)
        # No name: strict servers refuse it.
        return {"role": "tool", "tool_call_id": call_id, "content": content}

    def _assistant(
        self, message: ChatMessage, *, show_reasoning: bool
    ) -> dict[str, Any]:
        said = list(flat(message.blocks))
        for block in said:
            if not isinstance(block, TextBlock):
                kind = getattr(block, "block_type", type(block).__name__)
                raise not_of_a_model(kind)
        text = text_of(said)
        entry: dict[str, Any] = {"role": "assistant", "content": text}
        if calls := self._tool_calls(message):
            entry |= {"content": text or None, "tool_calls": calls}
        if show_reasoning and (thought := _thought(message)):
            entry["reasoning_content"] = thought
        # Of `additional_kwargs` nothing else: memory and agents keep their own there.
        return _named(entry, message)

    def _tool_calls(self, message: ChatMessage) -> list[dict[str, Any]]:
        blocks = [b for b in message.blocks if isinstance(b, ToolCallBlock)]
        calls = [
            self._call(block.tool_call_id, block.tool_name, block.tool_kwargs)
            for block in blocks
        ]
        legacy = message.additional_kwargs.get("tool_calls")
        if not calls and isinstance(legacy, list):
            calls = [self._legacy_call(call) for call in legacy]
        self._unanswered = [call["id"] for call in calls]
        return calls

    def _legacy_call(self, call: Any) -> dict[str, Any]:
        """Return a call that another provider has kept, maybe as an SDK's object."""
        plain = call if isinstance(call, Mapping) else _dumped(call)
        match plain:
            case {"function": {"name": str(name), **function}}:
                arguments = function.get("arguments")
                return self._call(plain.get("id"), name, arguments)
        raise InvalidInputError(
            "A message's tool_calls hold something that is no call."
        )

    def _call(self, call_id: Any, name: str, arguments: Any) -> dict[str, Any]:
        number, self._calls = self._calls, self._calls + 1
        name = wire_name(name)
        if not isinstance(call_id, str) or not call_id:
            # The same conversation gives the same id, so that prefixes stay cacheable.
            digest = hashlib.sha256(f"{number} {name}".encode()).hexdigest()
            call_id = f"call_{digest[:24]}"
        return wire_call(call_id, name, _arguments(arguments))


def _arguments(arguments: Any) -> str:
    """Return arguments as JSON; what an aborted stream has left of them is none."""
    if isinstance(arguments, str):
        arguments = parsed_arguments(arguments)
    return arguments_as_json(arguments or {})


def _thought(message: ChatMessage) -> str:
    thoughts = [b.content for b in message.blocks if isinstance(b, ThinkingBlock)]
    return "".join(filter(None, thoughts))


def _named(entry: dict[str, Any], message: ChatMessage) -> dict[str, Any]:
    name = message.additional_kwargs.get("name")
    return entry | ({"name": name} if isinstance(name, str) and name else {})


def _dumped(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    return dump() if callable(dump) else None
