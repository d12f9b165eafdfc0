"""What contenders ask the server for; see `answers`."""

from __future__ import annotations

import json
from typing import Any

__all__ = ["MODEL", "TOOL", "batch", "line", "messages"]

MODEL = "gpt-4o"  # LlamaIndex's OpenAI class knows no others than OpenAI's
SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string"}},
    "required": ["text"],
}
TOOL = {
    "type": "function",
    "function": {"name": "note", "description": "Note a text.", "parameters": SCHEMA},
}
_PASSAGE = "The cellar holds four thousand bottles of Silvaner, passage number"


def line(**wants: float) -> str:
    """Return the message that asks for something."""
    return json.dumps(wants)


def messages(history: int = 1, **wants: float) -> list[dict[str, Any]]:
    """Return a chat of so many messages, of which the last asks for something."""
    said = [
        {"role": ("user", "assistant")[turn % 2], "content": f"{_PASSAGE} {turn}."}
        for turn in range(history - 1)
    ]
    return [*said, {"role": "user", "content": line(**wants)}]


def batch(count: int, start: int = 0) -> list[str]:
    """Return texts to embed, each another."""
    return [f"{_PASSAGE} {number}." for number in range(start, start + count)]
