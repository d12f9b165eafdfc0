"""Fragments of tool calls, sorted into calls. Pure, and of no framework.

Engines differ: they repeat the name or the id in each fragment, leave the index or the
id out, number every call 0, or send the arguments as an object.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Call", "CallAssembler", "parsed_arguments"]


@dataclass(slots=True)
class Call:
    """One tool call so far.

    Attributes:
        call_id: The engine's id, or one of ours.
        given_id: The engine's id, empty while it sent none.
        name: Empty while the engine sent none.
        arguments: What has come of the JSON.
    """

    call_id: str
    given_id: str = ""
    name: str = ""
    arguments: str = ""

    @property
    def cut_off(self) -> bool:
        """Whether the arguments are an object that was begun and not ended."""
        text = self.arguments.strip()
        return text.startswith("{") and not _is_object(text)

    def as_wire(self) -> dict[str, Any]:
        """Return the call as a plain dict in OpenAI's shape."""
        return {
            "id": self.call_id,
            "type": "function",
            "function": {"name": self.name, "arguments": self.arguments},
        }

    def is_another(self, call_id: str, name: str, arguments: str) -> bool:
        """Return whether a fragment sent to this place begins another call."""
        if call_id and self.given_id:
            return call_id != self.given_id
        if not name or not self.name:
            return False
        if name != self.name:
            return bool(self.arguments)  # before any argument, it is the name's rest
        # The same name again is either a repetition or a second call to the same tool.
        return bool(arguments.strip()) and _is_object(self.arguments)

    def take(self, call_id: str, name: str, arguments: str) -> None:
        """Add a fragment."""
        if call_id and not self.given_id:
            self.given_id = call_id
            if not self.arguments and not self.name:
                self.call_id = call_id
        if name and name != self.name:
            self.name += name
        if arguments != "null" or self.arguments:  # so some engines say: none
            self.arguments += arguments


class CallAssembler:
    """Sorts the fragments of one answer into calls."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self._at: dict[Any, Call] = {}

    def read(self, fragments: Any) -> bool:
        """Add the fragments of a delta; return whether there were any."""
        found = [one for one in fragments or () if isinstance(one, Mapping)]
        for fragment in found:
            self._read(fragment)
        return bool(found)

    def _read(self, fragment: Mapping[str, Any]) -> None:
        function = fragment.get("function")
        function = function if isinstance(function, Mapping) else {}
        parts = (
            _text(fragment.get("id")),
            _text(function.get("name")),
            _json(function.get("arguments")),
        )
        self._call_of(fragment.get("index"), *parts).take(*parts)

    def _call_of(self, index: Any, call_id: str, name: str, arguments: str) -> Call:
        for call in self.calls:
            if call_id and call.given_id == call_id:
                return call
        if not isinstance(index, int | str):
            index = None  # no place at all, and maybe not even hashable
        known = self._at.get(index) if index is not None else self._last()
        # Without an index, an id that is new begins a call.
        begins = known is None or (index is None and bool(call_id))
        if known and not begins and not known.is_another(call_id, name, arguments):
            return known
        call = Call(call_id or f"call_{uuid.uuid4().hex}")
        self.calls.append(call)
        if index is not None:
            self._at[index] = call
        return call

    def _last(self) -> Call | None:
        return self.calls[-1] if self.calls else None


def parsed_arguments(arguments: Any) -> dict[str, Any]:
    """Return arguments as a dict; what is not an object, or not yet one, is empty."""
    if isinstance(arguments, str):
        # Asked for each chunk of a stream: the last character settles most of them.
        if not arguments.rstrip().endswith("}"):
            return {}
        try:
            arguments = json.loads(arguments, strict=False)
        except ValueError:
            return {}
    return arguments if isinstance(arguments, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _json(arguments: Any) -> str:
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else json.dumps(arguments, ensure_ascii=False)


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text, strict=False), dict)
    except ValueError:
        return False
