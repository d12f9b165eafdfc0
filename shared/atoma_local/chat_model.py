"""The built-in chat model: extractive, deterministic, in OpenAI's shapes."""

from __future__ import annotations

import json
import secrets
import time
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._answering import answer
from ._parameters import InvalidBodyError
from ._prompt import message_text
from ._text import tokens
from ._validation import check_chat

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from ._tools import ToolCall

__all__ = ["ExtractiveModel"]

_TOKENS_PER_MESSAGE = 3


@dataclass(frozen=True, slots=True)
class _Reply:
    """A reply as tokens, before it is put into one object or many."""

    reasoning: list[str]
    content: list[str] | None
    calls: list[tuple[ToolCall, str, list[str]]]  # with its id and its arguments
    finish_reason: str
    usage: dict[str, Any]


class ExtractiveModel:
    """Answers from the passages of a prompt, calls tools, fills schemas.

    Args:
        context_length: tokens above which a prompt is refused; None for no limit.
        clock: source of the `created` field.
    """

    def __init__(
        self,
        *,
        context_length: int | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._context_length = context_length
        self._clock = clock

    def complete(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Answer in one `chat.completion`.

        Raises:
            InvalidBodyError: an engine would have answered 400.
        """
        reply = self._reply(body)
        message: dict[str, Any] = {"role": "assistant", "content": None}
        if reply.content is not None:
            message["content"] = "".join(reply.content)
        if reply.reasoning:
            message["reasoning_content"] = "".join(reply.reasoning)
        if reply.calls:
            message["tool_calls"] = [
                _call_object(call, name, "".join(arguments) or "{}")
                for call, name, arguments in reply.calls
            ]
        choice = {
            "message": message,
            "logprobs": _logprobs(body, reply.content or []),
            "finish_reason": reply.finish_reason,
        }
        choices = [{"index": n, **choice} for n in range(body.get("n") or 1)]
        shape = self._shape(body, "chat.completion")
        return {**shape, "choices": choices, "usage": reply.usage}

    def stream(self, body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        """Answer in `chat.completion.chunk`s, one a token.

        Raises:
            InvalidBodyError: likewise, and at once rather than at the first chunk.
        """
        reply = self._reply(body)
        return self._chunks(body, reply)

    def _chunks(
        self, body: Mapping[str, Any], reply: _Reply
    ) -> Iterator[dict[str, Any]]:
        shape = self._shape(body, "chat.completion.chunk")
        for index in range(body.get("n") or 1):
            for delta, logprobs in _deltas(body, reply):
                choice = {"index": index, "delta": delta, "logprobs": logprobs}
                yield {**shape, "choices": [{**choice, "finish_reason": None}]}
            end = {"index": index, "delta": {}, "logprobs": None}
            yield {**shape, "choices": [{**end, "finish_reason": reply.finish_reason}]}
        if (body.get("stream_options") or {}).get("include_usage"):
            yield {**shape, "choices": [], "usage": reply.usage}

    def _shape(self, body: Mapping[str, Any], kind: str) -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{secrets.token_hex(16)}",
            "object": kind,
            "created": int(self._clock()),
            "model": body["model"],
        }

    def _reply(self, body: Mapping[str, Any]) -> _Reply:
        check_chat(body)
        prompt_tokens = _count_prompt(body)
        if self._context_length is not None and prompt_tokens > self._context_length:
            raise InvalidBodyError(
                f"This model's maximum context length is {self._context_length} tokens."
            )
        made = answer(body)
        limit = body.get("max_completion_tokens") or body.get("max_tokens")
        budget = _Budget(limit)
        thinking = (body.get("chat_template_kwargs") or {}).get("enable_thinking")
        reasoning = budget.spend(tokens(made.reasoning)) if thinking else []
        content = None
        if made.text is not None:
            content = budget.spend(tokens(_stopped(made.text, body.get("stop"))))
        calls = [
            (
                call,
                f"call_{secrets.token_hex(12)}",
                budget.spend(tokens(_written(call))),
            )
            for call in made.calls
        ]
        usual = "tool_calls" if calls else "stop"
        return _Reply(
            reasoning,
            content,
            calls,
            "length" if budget.exceeded else usual,
            _usage(prompt_tokens, budget.spent, len(reasoning)),
        )


class _Budget:
    """Counts tokens, and cuts what is over the limit."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self.spent = 0
        self.exceeded = False

    def spend(self, pieces: list[str]) -> list[str]:
        if self._limit is not None and self.spent + len(pieces) > self._limit:
            self.exceeded = True
            pieces = pieces[: self._limit - self.spent]
        self.spent += len(pieces)
        return pieces


def _deltas(
    body: Mapping[str, Any], reply: _Reply
) -> Iterator[tuple[dict[str, Any], Any]]:
    yield {"role": "assistant", "content": ""}, None
    for token in reply.reasoning:
        yield {"reasoning_content": token}, None
    for token in reply.content or ():
        yield {"content": token}, _logprobs(body, [token])
    for index, (call, name, arguments) in enumerate(reply.calls):
        # A call without arguments streams none at all, as engines do.
        first = {"index": index, **_call_object(call, name, "")}
        yield {"tool_calls": [first]}, None
        for piece in arguments:
            more = {"index": index, "function": {"arguments": piece}}
            yield {"tool_calls": [more]}, None


def _written(call: ToolCall) -> str:
    return call.json if call.arguments else ""


def _call_object(call: ToolCall, name: str, arguments: str) -> dict[str, Any]:
    function = {"name": call.name, "arguments": arguments}
    return {"id": name, "type": "function", "function": function}


def _stopped(text: str, stop: str | list[str] | None) -> str:
    stops = [stop] if isinstance(stop, str) else stop or []
    places = [place for s in stops if (place := text.find(s)) >= 0]
    return text[: min(places)] if places else text


def _logprobs(body: Mapping[str, Any], pieces: list[str]) -> dict[str, Any] | None:
    if not body.get("logprobs"):
        return None
    return {"content": [_logprob(piece, body.get("top_logprobs")) for piece in pieces]}


def _logprob(piece: str, top: int | None) -> dict[str, Any]:
    raw = piece.encode()
    one = {
        "token": piece,
        "logprob": -(zlib.crc32(raw) % 1000) / 1000,
        "bytes": list(raw),
    }
    return {**one, "top_logprobs": [one] if top else []}


def _count_prompt(body: Mapping[str, Any]) -> int:
    said = sum(
        len(tokens(message_text(m))) + _TOKENS_PER_MESSAGE for m in body["messages"]
    )
    tools = body.get("tools")
    return said + (len(tokens(json.dumps(tools))) if tools else 0)


def _usage(prompt: int, completion: int, reasoning: int) -> dict[str, Any]:
    usage: dict[str, Any] = {
        "prompt_tokens": prompt,
        "total_tokens": prompt + completion,
        "completion_tokens": completion,
        "prompt_tokens_details": None,
    }
    if reasoning:
        usage["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return usage
