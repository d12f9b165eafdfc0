"""The parameters an engine knows, and what each may be."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = [
    "CHAT",
    "EMBEDDINGS",
    "InvalidBodyError",
    "check_parameters",
    "is_list",
    "is_object",
    "is_text",
    "refuse",
]


class InvalidBodyError(ValueError):
    """A body the engine answers with 400."""


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_int(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def is_text(value: Any) -> bool:
    """Whether it is a text that is not empty."""
    return isinstance(value, str) and bool(value)


def is_object(value: Any) -> bool:
    """Whether it is a JSON object."""
    return isinstance(value, dict)


def is_list(value: Any) -> bool:
    """Whether it is a list that is not empty."""
    return isinstance(value, list) and bool(value)


def _between(low: float, high: float) -> Callable[[Any], bool]:
    return lambda value: _is_number(value) and low <= value <= high


def _is_count(value: Any) -> bool:
    return _is_int(value) and value >= 1


def _is_stop(value: Any) -> bool:
    stops = [value] if isinstance(value, str) else value
    return isinstance(stops, list) and len(stops) <= 4 and all(map(is_text, stops))  # noqa: PLR2004


def _anything(_value: Any) -> bool:
    return True


_OPENAI: dict[str, Callable[[Any], bool]] = {
    "messages": is_list,
    "model": is_text,
    "frequency_penalty": _between(-2, 2),
    "function_call": _anything,
    "functions": is_list,
    "logit_bias": is_object,
    "logprobs": _is_bool,
    "max_completion_tokens": _is_count,
    "max_tokens": _is_count,
    "n": _is_count,
    "parallel_tool_calls": _is_bool,
    "presence_penalty": _between(-2, 2),
    "response_format": is_object,
    "seed": _is_int,
    "stop": _is_stop,
    "stream": _is_bool,
    "stream_options": is_object,
    "temperature": _between(0, 2),
    "tool_choice": _anything,
    "tools": is_list,
    "top_logprobs": _between(0, 20),
    "top_p": _between(0, 1),
    "user": is_text,
}
# Parameters that vLLM and SGLang add to OpenAI's.
_ENGINE: dict[str, Callable[[Any], bool]] = {
    "add_generation_prompt": _is_bool,
    "cache_salt": is_text,
    "chat_template_kwargs": is_object,
    "guided_choice": is_list,
    "guided_grammar": is_text,
    "guided_json": _anything,
    "guided_regex": is_text,
    "ignore_eos": _is_bool,
    "include_reasoning": _is_bool,
    "length_penalty": _is_number,
    "min_p": _between(0, 1),
    "min_tokens": _is_int,
    "priority": _is_int,
    "reasoning_effort": is_text,
    "repetition_penalty": _is_number,
    "separate_reasoning": _is_bool,
    "skip_special_tokens": _is_bool,
    "stop_token_ids": is_list,
    "structured_outputs": is_object,
    "top_k": _is_int,
    "truncate_prompt_tokens": _is_int,
}
CHAT = _OPENAI | _ENGINE
EMBEDDINGS: dict[str, Callable[[Any], bool]] = {
    "input": _anything,
    "model": is_text,
    "dimensions": _is_count,
    "encoding_format": lambda value: value in ("float", "base64"),
    "max_completion_tokens": _is_count,  # the proxy adds it to plain bodies
    "priority": _is_int,
    "truncate_prompt_tokens": _is_int,
    "user": is_text,
}


def refuse(what: str) -> NoReturn:
    """Answer 400, in words that hold nothing of the body."""
    raise InvalidBodyError(what)


def check_parameters(
    body: Mapping[str, Any],
    known: Mapping[str, Callable[[Any], bool]],
    *,
    required: Sequence[str],
) -> dict[str, Any]:
    """Return the parameters that are given; null counts as absent.

    Raises:
        InvalidBodyError: one is unknown, of a wrong type, or missing.
    """
    given = {name: value for name, value in body.items() if value is not None}
    for name, value in given.items():
        if name not in known:
            refuse(f"unknown parameter {name}")
        if not known[name](value):
            refuse(f"{name} has a wrong type or is out of range")
    for name in required:
        if name not in given:
            refuse(f"{name} is missing")
    return given
