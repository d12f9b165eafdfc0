"""An engine's answer, whole or in chunks, as LlamaIndex's `ChatResponse`. Pure.

One reader serves whole answers and both kinds of streams, so that they cannot differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

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

from atoma_confidential import Verdict, answers
from atoma_confidential.errors import Exposure
from atoma_confidential.tool_calls import (
    Call,
    OnTruncatedToolCall,
    parsed_arguments,
)

__all__ = ["AnswerReader", "as_completion"]

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
        self._answer = answers.AnswerReader(
            keep_truncated=on_truncated == "keep", one_call=one_call
        )
        self._text = ""
        self._thought = ""
        self._logprobs: list[list[LogProb]] = []
        self._raw_logprobs: list[Any] = []

    def whole(self, body: dict[str, Any], verdict: Verdict) -> ChatResponse:
        """Return a `chat.completion` object; of several choices, the first.

        Raises:
            RemoteProtocolError: A tool call has no name.
            TruncatedAnswerError: A tool call met the token limit.
        """
        self._add(self._answer.whole(body, body["choices"][0]))
        return self._finished(body, verdict)

    def read(self, chunk: dict[str, Any]) -> ChatResponse | None:
        """Return the answer so far, with what a chunk adds; None if that is nothing."""
        delta = self._answer.read(chunk)
        self._add(delta)
        if not (delta.text or delta.thought or delta.calls):
            return None
        return ChatResponse(
            message=self._message(finished=False),
            delta=delta.text,
            raw=chunk,
            additional_kwargs={"thinking_delta": delta.thought}
            if delta.thought
            else {},
        )

    def finish(self, verdict: Verdict) -> ChatResponse:
        """Return the last item of a stream: the whole answer, and all about it.

        Raises:
            RemoteProtocolError: There was no choice 0, or a tool call has no name.
            TruncatedAnswerError: A tool call met the token limit.
        """
        answer = self._answer
        message: dict[str, Any] = {"role": "assistant", "content": self._text or None}
        if self._thought:
            message["reasoning_content"] = self._thought
        if answer.refusal:
            message["refusal"] = answer.refusal
        if answer.calls:
            message["tool_calls"] = [call.as_wire() for call in answer.calls]
        choice: dict[str, Any] = {"index": 0, "message": message, **answer.end}
        if self._raw_logprobs:
            choice["logprobs"] = {"content": self._raw_logprobs}
        raw = {
            **answer.head,
            "object": "chat.completion",
            "choices": [choice],
            "usage": answer.usage,
        }
        response = self._finished(raw, verdict)
        response.delta = ""
        return response

    def _add(self, delta: answers.Delta) -> None:
        self._text += delta.text
        self._thought += delta.thought
        for token in _dicts((delta.logprobs or {}).get("content")):
            self._raw_logprobs.append(token)
            ranked = _dicts(token.get("top_logprobs")) or [token]
            self._logprobs.append([_logprob(one) for one in ranked])

    def _finished(self, raw: dict[str, Any], verdict: Verdict) -> ChatResponse:
        self._answer.finish(Exposure.of_request(sealed=verdict.sealed))
        usage = self._answer.usage or {}
        extra: dict[str, Any] = {k: usage[k] for k in _USAGE if k in usage}
        # Not on the message: memory keeps that, and prompts are made of it.
        extra["atoma"] = verdict.as_dict()
        return ChatResponse(
            message=self._message(finished=True),
            raw=raw,
            logprobs=self._logprobs or None,
            additional_kwargs=extra,
        )

    def _message(self, *, finished: bool) -> ChatMessage:
        calls = self._answer.calls
        blocks: list[ContentBlock] = []
        if self._thought:
            blocks.append(ThinkingBlock(content=self._thought))
        if self._text or not (self._thought or calls):
            blocks.append(TextBlock(text=self._text))
        blocks += [self._block(call, finished=finished) for call in calls]
        extra: dict[str, Any] = {}
        if calls:
            # Core's streaming of structured output looks only here.
            extra["tool_calls"] = [call.as_wire() for call in calls]
        if self._answer.refusal and finished:
            extra["refusal"] = self._answer.refusal
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
