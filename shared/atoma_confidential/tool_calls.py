"""Fragments of tool calls, sorted into calls. Pure, and of no framework.

Engines differ: they repeat the name or the id in each fragment, leave the index or the
id out, number every call 0, give all calls one id, or send the arguments as an object.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from .messages import wire_call

__all__ = [
    "MAX_CALLS",
    "Call",
    "CallAssembler",
    "CallDelta",
    "OnTruncatedToolCall",
    "any_cut_off",
    "is_object",
    "numbered",
    "parsed_arguments",
]

MAX_CALLS = 128
"""Of one answer: as many as OpenAI's API takes tools."""

OnTruncatedToolCall: TypeAlias = Literal["raise", "keep"]
"""What to do with a tool call whose arguments met the token limit."""


@dataclass(slots=True, repr=False)  # made for each fragment: frozen takes longer
class CallDelta:
    """What a chunk adds to a call.

    Attributes:
        number: The call's place among the calls of the answer.
        call_id: Told once, when the call begins; else None.
        name: What is new of the tool's name; empty where it was repeated.
        arguments: What is new of the arguments' JSON.
    """

    number: int
    call_id: str | None
    name: str
    arguments: str


@dataclass(slots=True, eq=False, repr=False)
class Call:
    """One tool call so far.

    Attributes:
        number: Its place among the calls of the answer.
        call_id: The engine's id, or one of ours: no other call has it.
        given_id: The engine's id, empty while it sent none.
        name: Empty while the engine sent none.
        arguments: What has come of the JSON.
    """

    number: int
    call_id: str
    given_id: str = ""
    name: str = ""
    arguments: str = ""

    @property
    def is_garbled(self) -> bool:
        """Whether an object was begun that is not one whole object now."""
        return self.arguments.lstrip().startswith("{") and not is_object(self.arguments)

    def as_wire(self) -> dict[str, Any]:
        """Return the call as a plain dict in OpenAI's shape."""
        return wire_call(self.call_id, self.name, self.arguments)


@dataclass(slots=True, repr=False)  # likewise
class _Fragment:
    index: int | None
    call_id: str
    name: str
    arguments: str

    @classmethod
    def of(cls, raw: Mapping[str, Any]) -> _Fragment:
        function = raw.get("function")
        function = function if isinstance(function, dict) else {}
        index = raw.get("index")
        return cls(
            index=index if isinstance(index, int) else None,
            call_id=_text(raw.get("id")),
            name=_text(function.get("name")),
            arguments=_json(function.get("arguments")),
        )


class CallAssembler:
    """Sorts the fragments of one answer into calls, and numbers those itself.

    Attributes:
        too_many: Whether there were more than anybody asks for; the rest is not read.
        calls: Those that have begun, in the order in which they did.
    """

    def __init__(self) -> None:
        self.too_many = False
        self.calls: list[Call] = []
        self._at: dict[tuple[str, int], Call] = {}

    def read(self, fragments: Any) -> list[CallDelta]:
        """Return what the fragments of one chunk add to each call; maybe none."""
        if not fragments or self.too_many:
            return []
        found = [_Fragment.of(one) for one in fragments if isinstance(one, dict)]
        self.too_many = len(self.calls) + len(found) > MAX_CALLS + 1
        if self.too_many:
            return []
        alone = len(found) == 1
        deltas: dict[int, CallDelta] = {}
        for position, one in enumerate(found):
            delta = self._read(one, position, alone=alone)
            first = deltas.setdefault(delta.number, delta)
            if first is not delta:
                first.name += delta.name
                first.arguments += delta.arguments
        return list(deltas.values())

    def _read(self, fragment: _Fragment, position: int, *, alone: bool) -> CallDelta:
        # Where there is no index, calls that come side by side keep their order.
        place = ("position", position)
        if fragment.index is not None:
            place = ("index", fragment.index)
        here = self._at.get(place)
        says_which = fragment.call_id or fragment.name
        if fragment.index is None and (alone or (here is None and not says_which)):
            here = self.calls[-1] if self.calls else None
        call = self._continued(fragment, here)
        begun = call is None
        if call is None:
            call = self._at[place] = self._begun(fragment)
        name = "" if fragment.name == call.name else fragment.name
        arguments = fragment.arguments
        if arguments == "null" and not call.arguments:
            arguments = "{}"  # how some engines say that there are none
        call.given_id = call.given_id or fragment.call_id
        call.name += name
        call.arguments += arguments
        return CallDelta(call.number, call.call_id if begun else None, name, arguments)

    def _continued(self, fragment: _Fragment, here: Call | None) -> Call | None:
        """Return the call that a fragment goes on with; None if it begins one.

        Args:
            fragment: The fragment.
            here: The last call that was begun at the fragment's place.
        """
        if here is None and fragment.index is not None:
            return None  # a number of its own, maybe under an id that others have
        alike = self._alike(fragment.call_id)
        call = here if here in alike or not alike else alike[-1]
        return None if call is None or _is_another(call, fragment) else call

    def _begun(self, fragment: _Fragment) -> Call:
        # Results are told apart by their ids: no two calls may have the same one.
        is_free = fragment.call_id and not self._alike(fragment.call_id)
        call_id = fragment.call_id if is_free else f"call_{uuid.uuid4().hex}"
        call = Call(len(self.calls), call_id)
        self.calls.append(call)
        return call

    def _alike(self, call_id: str) -> list[Call]:
        return [call for call in self.calls if call_id and call.given_id == call_id]


def _is_another(call: Call, fragment: _Fragment) -> bool:
    """Return whether a fragment begins another call than this one."""
    is_new_id = fragment.call_id not in ("", call.given_id)
    if is_new_id and call.given_id:
        return True
    if not fragment.name or not call.name:
        return False
    brings_arguments = bool(fragment.arguments.strip())
    if fragment.name != call.name:
        # Before any argument, it is the rest of a name.
        return bool(call.arguments) or brings_arguments or is_new_id
    # The same name again is either a repetition or a second call to the same tool.
    is_repeated = fragment.call_id != "" and not is_new_id
    return not is_repeated and brings_arguments and is_object(call.arguments)


def any_cut_off(calls: Sequence[Call]) -> bool:
    """Return whether the token limit, which the answer has met, cut a call of it.

    The last call is also cut where its arguments have not even begun.
    """
    if not calls:
        return False
    return not is_object(calls[-1].arguments) or any(c.is_garbled for c in calls)


def is_object(arguments: str) -> bool:
    """Return whether the arguments of a call are one whole JSON object."""
    return _object(arguments) is not None


def parsed_arguments(arguments: Any) -> dict[str, Any]:
    """Return arguments as a dict; what is not an object, or not yet one, is empty."""
    if isinstance(arguments, str):
        return _object(arguments) or {}
    return arguments if isinstance(arguments, dict) else {}


def numbered(calls: Any) -> list[dict[str, Any]]:
    """Return the calls of a whole answer as fragments that are apart by their index."""
    return [{**call, "index": index} for index, call in enumerate(calls or ())]


def _object(text: str) -> dict[str, Any] | None:
    # Asked for each chunk of a stream: the last character settles most of them.
    if not text.rstrip().endswith("}"):
        return None
    try:
        found = json.loads(text, strict=False)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _json(arguments: Any) -> str:
    """Return a call's arguments as JSON; some engines send the object itself."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else json.dumps(arguments, ensure_ascii=False)
