"""An engine's answer, whole or in chunks, as LlamaIndex's `ChatResponse`. Pure.

One reader serves whole answers and both kinds of streams, so that they cannot differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    ContentBlock,
    LogProb,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from atoma_confidential import Verdict

from ._calls import Call, CallAssembler, parsed_arguments
from ._errors import TruncatedAnswerError, exposure_of

__all__ = ["AnswerReader", "OnTruncatedToolCall", "as_completion"]

OnTruncatedToolCall: TypeAlias = Literal["raise", "keep"]

_USAGE = ("prompt_tokens", "completion_tokens", "total_tokens")


class AnswerReader:
    """Reads one answer; not to be shared or used twice.

    Args:
        names: The tools' own names, by those that the engine was told.
        one_call: Keep the first tool call only: not every engine heeds
            `parallel_tool_calls`.
        on_truncated: What to do with a tool call whose arguments met the token limit.
    """

    def __init__(
        self,
        *,
        names: Mapping[str, str] | None = None,
        one_call: bool = False,
        on_truncated: OnTruncatedToolCall = "raise",
    ) -> None:
        self._names = names or {}
        self._one_call = one_call
        self._on_truncated = on_truncated
        self._assembler = CallAssembler()
        self._text = ""
        self._thought = ""
        self._refusal = ""
        self._head: dict[str, Any] = {}
        self._end: dict[str, Any] = {}
        self._logprobs: list[list[LogProb]] = []
        self._raw_logprobs: list[Any] = []
        self._usage: dict[str, Any] | None = None

    def whole(self, body: dict[str, Any], verdict: Verdict) -> ChatResponse:
        """Return a `chat.completion` object; of several choices, the first.

        Raises:
            TruncatedAnswerError: A tool call met the token limit.
        """
        self.read(body)
        return self._finished(body, verdict)

    def read(self, chunk: dict[str, Any]) -> ChatResponse | None:
        """Return the answer so far, with what a chunk adds; None if that is nothing."""
        for name in ("id", "created", "model", "system_fingerprint"):
            if chunk.get(name) is not None:
                self._head.setdefault(name, chunk[name])
        if isinstance(usage := chunk.get("usage"), dict):
            self._usage = usage
        for choice in chunk.get("choices") or ():
            if choice.get("index", 0) == 0:
                return self._choice(choice, chunk)
        return None

    def finish(self, verdict: Verdict | None) -> ChatResponse:
        """Return the last item of a stream: the whole answer, and all about it.

        Raises:
            TruncatedAnswerError: A tool call met the token limit.
        """
        message: dict[str, Any] = {"role": "assistant", "content": self._text or None}
        if self._thought:
            message["reasoning_content"] = self._thought
        if self._refusal:
            message["refusal"] = self._refusal
        if self._calls:
            message["tool_calls"] = [call.as_wire() for call in self._calls]
        choice: dict[str, Any] = {"index": 0, "message": message, **self._end}
        if self._raw_logprobs:
            choice["logprobs"] = {"content": self._raw_logprobs}
        raw = {
            **self._head,
            "object": "chat.completion",
            "choices": [choice],
            "usage": self._usage,
        }
        response = self._finished(raw, verdict)
        response.delta = ""
        return response

    @property
    def _calls(self) -> list[Call]:
        calls = self._assembler.calls
        return calls[:1] if self._one_call else calls

    def _choice(
        self, choice: Mapping[str, Any], chunk: dict[str, Any]
    ) -> ChatResponse | None:
        for name in ("finish_reason", "stop_reason"):
            if choice.get(name) is not None:
                self._end[name] = choice[name]
        self._read_logprobs(choice.get("logprobs"))
        delta = choice.get("delta") or choice.get("message") or {}
        text = _said(delta.get("content"))
        # Its older and its newer name in vLLM.
        thought = _said(delta.get("reasoning_content") or delta.get("reasoning"))
        self._text += text
        self._thought += thought
        self._refusal += _said(delta.get("refusal"))
        called = self._assembler.read(delta.get("tool_calls"))
        if not (text or thought or called):
            return None
        return ChatResponse(
            message=self._message(finished=False),
            delta=text,
            raw=chunk,
            additional_kwargs={"thinking_delta": thought} if thought else {},
        )

    def _finished(self, raw: dict[str, Any], verdict: Verdict | None) -> ChatResponse:
        sealed = verdict is None or verdict.sealed
        if self._on_truncated == "raise" and self._any_cut_off():
            raise TruncatedAnswerError(
                "The arguments of a tool call are cut off.", exposure_of(sealed=sealed)
            )
        usage = self._usage or {}
        extra: dict[str, Any] = {k: usage[k] for k in _USAGE if k in usage}
        if verdict is not None:
            # Not on the message: memory keeps that, and prompts are made of it.
            extra["atoma"] = verdict.as_dict()
        return ChatResponse(
            message=self._message(finished=True),
            raw=raw,
            logprobs=self._logprobs or None,
            additional_kwargs=extra,
        )

    def _any_cut_off(self) -> bool:
        ended = self._end.get("finish_reason") == "length"
        return ended and any(call.cut_off for call in self._calls)

    def _message(self, *, finished: bool) -> ChatMessage:
        blocks: list[ContentBlock] = []
        if self._thought:
            blocks.append(ThinkingBlock(content=self._thought))
        if self._text or not (self._thought or self._calls):
            blocks.append(TextBlock(text=self._text))
        blocks += [self._block(call, finished=finished) for call in self._calls]
        extra: dict[str, Any] = {}
        if self._calls:
            # Core's streaming of structured output looks only here.
            extra["tool_calls"] = [call.as_wire() for call in self._calls]
        if self._refusal and finished:
            extra["refusal"] = self._refusal
        return ChatMessage(
            role=MessageRole.ASSISTANT, blocks=blocks, additional_kwargs=extra
        )

    def _block(self, call: Call, *, finished: bool) -> ToolCallBlock:
        # Parsed once: agents ask for the calls of each chunk.
        arguments = parsed_arguments(call.arguments) if finished else call.arguments
        return ToolCallBlock(
            tool_call_id=call.call_id,
            tool_name=self._names.get(call.name, call.name),
            tool_kwargs=arguments,
        )

    def _read_logprobs(self, logprobs: Any) -> None:
        content = logprobs.get("content") if isinstance(logprobs, dict) else None
        for token in _dicts(content):
            self._raw_logprobs.append(token)
            ranked = _dicts(token.get("top_logprobs")) or [token]
            self._logprobs.append([_logprob(one) for one in ranked])


def as_completion(response: ChatResponse) -> CompletionResponse:
    """Return an answer as one to a prompt; neither of the two shares its dicts."""
    return CompletionResponse(
        text=response.message.content or "",
        delta=response.delta,
        raw=response.raw,
        logprobs=response.logprobs,
        additional_kwargs={
            **response.message.additional_kwargs,
            **response.additional_kwargs,
        },
    )


def _said(content: Any) -> str:
    """Return a message's text; engines send null beside tool calls."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def _dicts(items: Any) -> list[dict[str, Any]]:
    """Return what can be read of an engine's list; broken extras lose no answer."""
    found = items if isinstance(items, list) else []
    return [one for one in found if isinstance(one, dict)]


def _logprob(token: Mapping[str, Any]) -> LogProb:
    # Each checked: pydantic's error would show what the model has said.
    text, logprob, data = (token.get(n) for n in ("token", "logprob", "bytes"))
    numbers = data if isinstance(data, list) else []
    return LogProb(
        token=text if isinstance(text, str) else "",
        logprob=logprob if isinstance(logprob, int | float) else 0.0,
        bytes=[one for one in numbers if isinstance(one, int)],
    )
