"""An engine's chat answer, whole or in chunks, read into plain values. Pure.

Of what engines differ in, this knows; how a framework says it, it does not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .errors import (
    Exposure,
    RefusedAnswerError,
    RemoteProtocolError,
    TruncatedAnswerError,
)
from .tool_calls import Call, CallAssembler, CallDelta, any_cut_off, numbered

__all__ = [
    "AnswerReader",
    "Delta",
    "as_delta",
    "check_output",
    "cut_off_call",
    "said",
    "thought",
]


def said(content: Any) -> str:
    """Return the text of a message's content; engines send null beside tool calls."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def thought(message: Mapping[str, Any]) -> str:
    """Return a message's reasoning, under its older or its newer name in vLLM."""
    return said(message.get("reasoning_content") or message.get("reasoning"))


def as_delta(message: Mapping[str, Any]) -> dict[str, Any]:
    """Return a whole message in the shape of its own stream."""
    calls = numbered(message.get("tool_calls"))
    return {**message, **({"tool_calls": calls} if calls else {})}


def cut_off_call(exposure: Exposure) -> TruncatedAnswerError:
    """Return the error for a tool call that is not whole."""
    return TruncatedAnswerError("The arguments of a tool call are cut off.", exposure)


def check_output(finish_reason: Any, refusal: Any, exposure: Exposure) -> None:
    """Refuse an answer that is no whole output: frameworks would complete half of one.

    Args:
        finish_reason: Why the answer ended.
        refusal: The refusal that came with it; empty or None if none did.
        exposure: What had left the process for it.

    Raises:
        RefusedAnswerError: The model refused, or a filter withheld the output.
        TruncatedAnswerError: It met the token limit.
    """
    if refusal or finish_reason == "content_filter":
        raise RefusedAnswerError("The model refused to answer in this form.", exposure)
    if finish_reason == "length":
        raise TruncatedAnswerError("The structured answer is cut off.", exposure)


@dataclass(slots=True, repr=False)  # made for each chunk: frozen takes longer
class Delta:
    """What a chunk, or a whole message, adds to an answer.

    Attributes:
        text: Of its content.
        thought: Of its reasoning.
        calls: Of its tool calls.
        function_call: Of the older kind of call, as the engine sent it.
        logprobs: The probabilities of what it adds.
    """

    text: str = ""
    thought: str = ""
    calls: tuple[CallDelta, ...] = ()
    function_call: Mapping[str, Any] | None = None
    logprobs: Mapping[str, Any] | None = None


class AnswerReader:
    """Reads one choice of one answer; not to be shared or used twice.

    Args:
        keep_truncated: Keep a tool call that met the token limit, instead of raising.
        one_call: Keep the first tool call only: not every engine heeds
            `parallel_tool_calls`.

    Attributes:
        head: What the engine says of the answer as a whole: `id`, `created`, `model`,
            `system_fingerprint`.
        end: How the choice ended: `finish_reason`, `stop_reason`.
        usage: As the engine counts it, in its last figures; None while it sent none.
        refusal: What came of a refusal.
    """

    def __init__(self, *, keep_truncated: bool = False, one_call: bool = False) -> None:
        self._keep_truncated = keep_truncated
        self._one_call = one_call
        self._assembler = CallAssembler()
        self._answered = False
        self.head: dict[str, Any] = {}
        self.end: dict[str, Any] = {}
        self.usage: dict[str, Any] | None = None
        self.refusal = ""

    @property
    def calls(self) -> list[Call]:
        """The tool calls so far."""
        calls = self._assembler.calls
        return calls[:1] if self._one_call else calls

    def whole(self, body: Mapping[str, Any], choice: Mapping[str, Any]) -> Delta:
        """Return what a choice of a `chat.completion` object says."""
        self._note(body)
        return self._read(choice, as_delta(choice["message"]))

    def read(self, chunk: Mapping[str, Any]) -> Delta:
        """Return what a chunk of a stream adds to choice 0."""
        self._note(chunk)
        for choice in chunk.get("choices") or ():
            if choice.get("index", 0) == 0:
                return self._read(choice, choice.get("delta") or {})
        return Delta()

    def finish(self, exposure: Exposure) -> None:
        """Declare that all of the answer has come.

        Args:
            exposure: What had left the process for it.

        Raises:
            RemoteProtocolError: There was no choice 0, a tool call has no name, or
                there are too many.
            TruncatedAnswerError: A tool call met the token limit: half of what it was
                to do may look like all of it.
        """
        if not self._answered:
            raise RemoteProtocolError("The stream holds no choice 0.", exposure)
        if self._assembler.too_many:
            raise RemoteProtocolError("The answer has too many tool calls.", exposure)
        if not all(call.name for call in self.calls):
            raise RemoteProtocolError("A tool call has no name.", exposure)
        at_limit = self.end.get("finish_reason") == "length"
        if at_limit and not self._keep_truncated and any_cut_off(self.calls):
            raise cut_off_call(exposure)

    def _note(self, body: Mapping[str, Any]) -> None:
        for name in _HEAD:
            if name not in self.head and body.get(name):
                self.head[name] = body[name]
        if isinstance(usage := body.get("usage"), dict) and usage:
            self.usage = usage

    def _read(self, choice: Mapping[str, Any], delta: Mapping[str, Any]) -> Delta:
        self._answered = True
        for name in ("finish_reason", "stop_reason"):
            if choice.get(name) is not None:
                self.end[name] = choice[name]
        logprobs = choice.get("logprobs")
        read = Delta(
            text=said(delta.get("content")),
            logprobs=logprobs if isinstance(logprobs, dict) else None,
        )
        if delta.keys() != _TEXT:  # as that of nearly every chunk
            self.refusal += said(delta.get("refusal"))
            legacy = delta.get("function_call")
            read.thought = thought(delta)
            read.calls = tuple(self._assembler.read(delta.get("tool_calls")))
            read.function_call = legacy if legacy and isinstance(legacy, dict) else None
        return read


_HEAD = ("id", "created", "model", "system_fingerprint")
_TEXT = {"content"}
