"""The chunks of a streamed answer, as LangChain's `ChatGenerationChunk`s. Pure.

Core adds chunks up: it joins strings, sums integers and refuses other differences. So
what is said once of an answer (why it ended, which model, usage, the verdict) is kept
back and said by one last chunk, whatever the engine repeats.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.utils.json import parse_partial_json

from ._content import PROVIDER
from ._errors import off_contract
from ._parse import (
    answer_metadata,
    as_json,
    is_object,
    once_info,
    said,
    thought,
    truncated_tool_call,
    usage_of,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.messages.ai import UsageMetadata
    from langchain_core.messages.tool import ToolCallChunk

    from atoma_confidential import Verdict

__all__ = ["ChunkReader"]


class ChunkReader:
    """Reads one stream; not to be shared or used twice."""

    def __init__(self, *, keep_truncated: bool) -> None:
        """Start to read.

        Args:
            keep_truncated: Keep a tool call whose arguments are cut off, as core
                completes them, instead of raising.
        """
        self._keep_truncated = keep_truncated
        self._calls = _ToolCalls()
        self._answered = False
        self._head: dict[str, Any] = {}
        self._info: dict[str, Any] = {}
        self._usage: UsageMetadata | None = None
        self._refusal = ""
        self._function_name_told = False

    def read(self, body: Mapping[str, Any]) -> ChatGenerationChunk | None:
        """Return what an engine's chunk adds to the answer; None if that is nothing."""
        for name in ("model", "system_fingerprint", "id"):
            self._head[name] = self._head.get(name) or body.get(name)
        self._usage = usage_of(body.get("usage")) or self._usage
        for choice in body.get("choices") or ():
            if choice.get("index", 0) == 0:
                self._answered = True
                return self._choice(choice)
        return None

    def finish(self, verdict: Verdict) -> ChatGenerationChunk:
        """Return the last chunk, which says everything that is said once.

        Raises:
            TruncatedAnswerError: The arguments of a tool call are cut off; core would
                complete them to a call that looks valid.
            RemoteProtocolError: There was no choice 0, or a tool call has no name.
        """
        if not self._answered:
            raise off_contract("The stream holds no choice 0.", verdict)
        if self._calls.any_nameless():
            raise off_contract("A tool call has no name.", verdict)
        at_limit = self._info.get("finish_reason") == "length"
        if self._calls.any_cut_off(at_limit=at_limit) and not self._keep_truncated:
            raise truncated_tool_call(verdict)
        return ChatGenerationChunk(
            message=AIMessageChunk(
                content="",
                additional_kwargs={"refusal": self._refusal} if self._refusal else {},
                response_metadata=answer_metadata(self._head, verdict),
                usage_metadata=self._usage,
                chunk_position="last",
            ),
            generation_info=self._info,
        )

    def _choice(self, choice: Mapping[str, Any]) -> ChatGenerationChunk | None:
        info = once_info(choice)
        logprobs = info.pop("logprobs", None)  # lists, which core joins
        self._info |= info
        delta = choice.get("delta") or {}
        self._refusal += said(delta.get("refusal"))
        extra: dict[str, Any] = {}
        if reasoning := thought(delta):
            extra["reasoning_content"] = reasoning
        if isinstance(legacy := delta.get("function_call"), dict):
            extra["function_call"] = self._function_call(legacy)
        content = said(delta.get("content"))
        calls = self._calls.read(delta.get("tool_calls"))
        if not (content or extra or calls or logprobs):
            return None
        message = AIMessageChunk(
            # Text stays a string: core drops what follows a list.
            content=content,
            additional_kwargs=extra,
            tool_call_chunks=calls,
            response_metadata={"model_provider": PROVIDER},
        )
        return ChatGenerationChunk(
            message=message,
            generation_info={"logprobs": logprobs} if logprobs else None,
        )

    def _function_call(self, legacy: Mapping[str, Any]) -> dict[str, str]:
        call = {"arguments": said(legacy.get("arguments"))}
        if not self._function_name_told and isinstance(legacy.get("name"), str):
            self._function_name_told = True
            call["name"] = legacy["name"]
        return call


@dataclass(slots=True, eq=False)
class _Call:
    """One tool call so far.

    Attributes:
        number: Its place among the calls; the index that core merges by.
        given_id: The engine's id, empty while it sent none.
        name: Empty while the engine sent none.
        arguments: What has come of the JSON.
    """

    number: int
    given_id: str
    name: str = ""
    arguments: str = ""

    def is_another(
        self, call_id: str, name: str, arguments: str, *, here: bool
    ) -> bool:
        """Return whether a fragment begins another call, sent to this place or not."""
        known = bool(call_id and self.given_id)
        if known and call_id != self.given_id:
            return True
        if not name or not self.name:
            return False
        if name != self.name:
            return True  # some engines give each call the same id
        # The same name again is either a repetition or a second call to the same tool.
        repeated = known and here
        return not repeated and bool(arguments.strip()) and is_object(self.arguments)


class _ToolCalls:
    """Sorts fragments into calls, and numbers those itself.

    Engines differ: they repeat the name in each fragment, leave the index or the id
    out, or number every call 0.
    """

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._at: dict[tuple[str, Any], _Call] = {}

    def read(self, fragments: Any) -> list[ToolCallChunk]:
        """Return the fragments of a delta, each under the number of its call."""
        return [
            self._read(fragment, position)
            for position, fragment in enumerate(fragments or ())
            if isinstance(fragment, dict)
        ]

    def any_nameless(self) -> bool:
        """Return whether some call names no tool."""
        return not all(call.name for call in self._calls)

    def any_cut_off(self, *, at_limit: bool) -> bool:
        """Return whether core would complete the arguments of some call.

        Args:
            at_limit: Whether the answer met its token limit: then a call without
                arguments was cut off before them.
        """
        if at_limit and self._calls and not is_object(self._calls[-1].arguments):
            return True
        return any(_is_cut_off(call.arguments) for call in self._calls)

    def _read(self, fragment: Mapping[str, Any], position: int) -> ToolCallChunk:
        function = fragment.get("function")
        function = function if isinstance(function, dict) else {}
        call_id, name = said(fragment.get("id")), said(function.get("name"))
        arguments = as_json(function.get("arguments"))
        call, begun = self._call_of(fragment, position, call_id, name, arguments)
        if arguments == "null" and not call.arguments:
            arguments = "{}"  # how some engines say that there are none
        told = name if not call.name else ""
        call.name = call.name or name
        call.arguments += arguments
        return tool_call_chunk(
            name=told or None,
            args=arguments,
            id=self._own_id(call) if begun else None,
            index=call.number,
        )

    def _call_of(
        self,
        fragment: Mapping[str, Any],
        position: int,
        call_id: str,
        name: str,
        arguments: str,
    ) -> tuple[_Call, bool]:
        index = fragment.get("index")
        place = ("position", position) if index is None else ("index", index)
        at = self._at.get(place)
        alike = self._alike(call_id)
        known = at if at in alike or not alike else alike[-1]
        if known is not None and not known.is_another(
            call_id, name, arguments, here=known is at
        ):
            return known, False
        call = self._at[place] = _Call(len(self._calls), call_id)
        self._calls.append(call)
        return call, True

    def _alike(self, call_id: str) -> list[_Call]:
        return [call for call in self._calls if call_id and call.given_id == call_id]

    def _own_id(self, call: _Call) -> str:
        """Return an id that no other call has: results are told apart by it."""
        is_taken = self._alike(call.given_id) != [call]
        return f"call_{uuid.uuid4().hex}" if is_taken else call.given_id


def _is_cut_off(arguments: str) -> bool:
    """Return whether core would repair these arguments to a call."""
    if not arguments.strip():
        return False
    try:
        json.loads(arguments, strict=False)
    except ValueError:
        pass
    else:
        return False
    try:
        return isinstance(parse_partial_json(arguments), dict)
    except ValueError:
        return False
