"""A whole answer of the engine, as LangChain's `ChatResult`. Pure."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import invalid_tool_call
from langchain_core.output_parsers.openai_tools import parse_tool_call
from langchain_core.outputs import ChatGeneration, ChatResult

from ._content import PROVIDER
from ._errors import (
    TruncatedAnswerError,
    as_model_error,
    exposure_of,
    off_contract,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from langchain_core.messages import InvalidToolCall, ToolCall
    from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails

    from atoma_confidential import Verdict

__all__ = [
    "add_up",
    "answer_metadata",
    "as_json",
    "chat_result",
    "is_object",
    "once_info",
    "said",
    "thought",
    "truncated_tool_call",
    "usage_of",
]


def chat_result(
    body: Mapping[str, Any], verdict: Verdict, *, keep_truncated: bool
) -> ChatResult:
    """Return an answer with its choices, usage and verdict.

    Args:
        body: The engine's `chat.completion` object.
        verdict: What was checked for it.
        keep_truncated: Keep a tool call that met the token limit as an invalid one,
            instead of raising.

    Raises:
        TruncatedAnswerError: A tool call met the token limit.
    """
    metadata = answer_metadata(body, verdict)
    usage = usage_of(body.get("usage"))
    generations = []
    for index, choice in enumerate(body["choices"]):
        calls, broken = _tool_calls(choice["message"].get("tool_calls"), verdict)
        message = _message(choice["message"], metadata)
        message.tool_calls, message.invalid_tool_calls = calls, broken
        # One figure for all choices: a sum over them must not multiply it.
        message.usage_metadata = usage if index == 0 else None
        info = once_info(choice)
        at_limit = info.get("finish_reason") == "length" and not keep_truncated
        if at_limit and (broken or _ends_open(choice["message"].get("tool_calls"))):
            raise truncated_tool_call(verdict)
        generations.append(ChatGeneration(message=message, generation_info=info))
    llm_output = {"token_usage": body.get("usage") or {}, **metadata}
    return ChatResult(generations=generations, llm_output=llm_output)


def answer_metadata(body: Mapping[str, Any], verdict: Verdict) -> dict[str, Any]:
    """Return what is said once about an answer, for `response_metadata`."""
    metadata: dict[str, Any] = {"model_provider": PROVIDER, "atoma": verdict.as_dict()}
    for name, key in (
        ("model_name", "model"),
        ("system_fingerprint", "system_fingerprint"),
        ("id", "id"),
    ):
        if isinstance(value := body.get(key), str) and value:
            metadata[name] = value
    return metadata


def add_up(outputs: Iterable[Mapping[str, Any] | None]) -> dict[str, Any]:
    """Return one `llm_output` for a batch: token counts summed, the rest as it is."""
    total: dict[str, Any] = {}
    usage: dict[str, Any] = {}
    for output in filter(None, outputs):
        total.update(output)
        _add(usage, output.get("token_usage") or {})
    return {**total, "token_usage": usage} if total else {}


def _add(total: dict[str, Any], usage: Mapping[str, Any]) -> None:
    for name, value in usage.items():
        if type(value) is int:
            total[name] = (total.get(name) or 0) + value
        elif isinstance(value, dict):
            _add(total.setdefault(name, {}), value)


def once_info(choice: Mapping[str, Any]) -> dict[str, Any]:
    """Return how a choice ended, and the probabilities it came with."""
    names = ("finish_reason", "stop_reason", "logprobs")
    return {name: choice[name] for name in names if choice.get(name) is not None}


def said(content: Any) -> str:
    """Return a message's text; engines send null beside tool calls."""
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        return "".join(part for part in parts if isinstance(part, str))
    return content if isinstance(content, str) else ""


def thought(message: Mapping[str, Any]) -> str:
    """Return a message's reasoning, under its older or its newer name in vLLM."""
    return said(message.get("reasoning_content") or message.get("reasoning"))


def as_json(arguments: Any) -> str:
    """Return a call's arguments as JSON; some engines send the object itself."""
    if isinstance(arguments, str):
        return arguments
    return "" if arguments is None else json.dumps(arguments, ensure_ascii=False)


def usage_of(usage: Any) -> UsageMetadata | None:
    """Return token counts in LangChain's terms; None where the engine sent none."""
    if not isinstance(usage, dict):
        return None
    sent, answered = _count(usage, "prompt_tokens"), _count(usage, "completion_tokens")
    if sent is None and answered is None:
        return None
    total = _count(usage, "total_tokens")
    metadata = UsageMetadata(
        input_tokens=sent or 0,
        output_tokens=answered or 0,
        total_tokens=(sent or 0) + (answered or 0) if total is None else total,
    )
    of_input = _details(
        usage.get("prompt_tokens_details"),
        audio="audio_tokens",
        cache_read="cached_tokens",
        cache_creation="cache_creation_tokens",
    )
    of_output = _details(
        usage.get("completion_tokens_details"),
        audio="audio_tokens",
        reasoning="reasoning_tokens",
    )
    if of_input:
        metadata["input_token_details"] = cast("InputTokenDetails", of_input)
    if of_output:
        metadata["output_token_details"] = cast("OutputTokenDetails", of_output)
    return metadata


def is_object(arguments: Any) -> bool:
    """Return whether the arguments of a tool call are one whole JSON object."""
    try:
        return isinstance(json.loads(arguments, strict=False), dict)
    except (TypeError, ValueError):
        return isinstance(arguments, dict)


def _ends_open(raw: Any) -> bool:
    """Return whether the last of some tool calls lacks whole arguments."""
    match raw:
        case [*_, {"function": {"arguments": arguments}}]:
            return not is_object(arguments)
    return bool(raw)


def truncated_tool_call(verdict: Verdict) -> TruncatedAnswerError:
    """Return the error for a tool call that met the token limit."""
    message = "The arguments of a tool call are cut off."
    return as_model_error(TruncatedAnswerError(message, exposure_of(verdict)))


def _message(message: Mapping[str, Any], metadata: dict[str, Any]) -> AIMessage:
    extra: dict[str, Any] = {}
    if reasoning := thought(message):
        extra["reasoning_content"] = reasoning
    if isinstance(refusal := message.get("refusal"), str) and refusal:
        extra["refusal"] = refusal
    if isinstance(legacy := message.get("function_call"), dict):
        extra["function_call"] = legacy
    return AIMessage(
        content=said(message.get("content")),
        additional_kwargs=extra,
        response_metadata=dict(metadata),
    )


def _tool_calls(
    raw: list[dict[str, Any]] | None, verdict: Verdict
) -> tuple[list[ToolCall], list[InvalidToolCall]]:
    calls: list[ToolCall] = []
    broken: list[InvalidToolCall] = []
    for item in raw or ():
        match item:
            case {"function": {"name": str(name), **function}} if name:
                arguments = as_json(function.get("arguments"))
            case _:
                raise off_contract("A tool call has no name.", verdict)
        call_id = said(item.get("id")) or None
        parsed = _parsed(name, arguments, call_id)
        if parsed is not None:
            calls.append(parsed)
            continue
        wrong = "The arguments are not a JSON object."
        broken.append(
            invalid_tool_call(name=name, args=arguments, id=call_id, error=wrong)
        )
    return calls, broken


def _parsed(name: str, arguments: str, call_id: str | None) -> ToolCall | None:
    raw = {"id": call_id, "function": {"name": name, "arguments": arguments}}
    try:
        call = parse_tool_call(raw)
    except OutputParserException:  # it quotes the arguments
        return None
    if call is None or not isinstance(call["args"], dict):
        return None  # AIMessage would refuse it with an error that quotes it
    return call  # type: ignore[return-value]  # core's own annotation is too wide


def _count(usage: Mapping[str, Any], name: str) -> int | None:
    value = usage.get(name)
    return value if type(value) is int and value >= 0 else None


def _details(raw: Any, **names: str) -> dict[str, int]:
    if not isinstance(raw, dict):
        return {}
    counts = {ours: _count(raw, theirs) for ours, theirs in names.items()}
    return {name: count for name, count in counts.items() if count is not None}
