"""A whole answer of the engine, as LangChain's `ChatResult`. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from langchain_core.messages import AIMessage
from langchain_core.messages.ai import UsageMetadata
from langchain_core.messages.tool import invalid_tool_call
from langchain_core.output_parsers.openai_tools import parse_tool_call
from langchain_core.outputs import ChatGeneration, ChatResult

from atoma_confidential.answers import AnswerReader, Delta
from atoma_confidential.errors import Exposure

from ._content import PROVIDER

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from langchain_core.messages import InvalidToolCall, ToolCall
    from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails

    from atoma_confidential import Verdict
    from atoma_confidential.tool_calls import Call

__all__ = ["add_up", "answer_metadata", "chat_result", "usage_of"]


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
        RemoteProtocolError: A tool call has no name.
    """
    metadata = answer_metadata(body, verdict)
    usage = usage_of(body.get("usage"))
    exposure = Exposure.of_request(sealed=verdict.sealed)
    generations = []
    for index, choice in enumerate(body["choices"]):
        answer = AnswerReader(keep_truncated=keep_truncated)
        delta = answer.whole(body, choice)
        answer.finish(exposure)
        message = _message(answer, delta, metadata)
        # One figure for all choices: a sum over them must not multiply it.
        message.usage_metadata = usage if index == 0 else None
        info = answer.end
        if delta.logprobs is not None:
            info = {**info, "logprobs": delta.logprobs}
        generations.append(ChatGeneration(message=message, generation_info=info))
    counts = body.get("usage")
    token_usage = counts if isinstance(counts, dict) else {}
    llm_output = {"token_usage": token_usage, **metadata}
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


def _message(answer: AnswerReader, delta: Delta, metadata: dict[str, Any]) -> AIMessage:
    extra: dict[str, Any] = {}
    if delta.thought:
        extra["reasoning_content"] = delta.thought
    if answer.refusal:
        extra["refusal"] = answer.refusal
    if delta.function_call is not None:
        extra["function_call"] = delta.function_call
    message = AIMessage(
        content=delta.text, additional_kwargs=extra, response_metadata=dict(metadata)
    )
    for call in answer.calls:
        parsed = _parsed(call)
        if parsed is None:
            message.invalid_tool_calls.append(_invalid(call))
        else:
            message.tool_calls.append(parsed)
    return message


def _parsed(call: Call) -> ToolCall | None:
    try:
        parsed = parse_tool_call(call.as_wire())
    except (ValueError, RecursionError):  # too many digits, and what quotes all of it
        return None
    if parsed is None or not isinstance(parsed["args"], dict):
        return None  # AIMessage would refuse it with an error that quotes it
    return parsed  # type: ignore[return-value]  # core's own annotation is too wide


def _invalid(call: Call) -> InvalidToolCall:
    return invalid_tool_call(
        name=call.name,
        args=call.arguments,
        id=call.call_id,
        error="The arguments are not a JSON object.",
    )


def _count(usage: Mapping[str, Any], name: str) -> int | None:
    value = usage.get(name)
    return value if type(value) is int and value >= 0 else None


def _details(raw: Any, **names: str) -> dict[str, int]:
    if not isinstance(raw, dict):
        return {}
    counts = {ours: _count(raw, theirs) for ours, theirs in names.items()}
    return {name: count for name, count in counts.items() if count is not None}
