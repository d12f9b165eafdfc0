"""Refuses arguments of the wrong class before core sees them.

Core makes events of what it is given, and pydantic's error for what does not fit them
quotes it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.prompts import BasePromptTemplate
from pydantic import BaseModel

from atoma_confidential.errors import InvalidInputError

__all__ = ["check_arguments"]


def check_arguments(
    method: str, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> None:
    """Check what a public method of a model is called with.

    What is missing is left to the method itself.

    Raises:
        InvalidInputError: An argument is not of its class; only its name, its index
            and its class are told.
    """
    for position, (name, check) in enumerate(_CHECKED.get(method, {}).items()):
        if position < len(args):
            check(name, args[position])
        elif name in kwargs:
            check(name, kwargs[name])


def _messages(name: str, given: Any) -> None:
    if isinstance(given, str | bytes) or not isinstance(given, Sequence):
        raise _wrong(name, given, "a sequence of ChatMessage")
    for index, message in enumerate(given):
        if not isinstance(message, ChatMessage):
            raise _wrong(f"{name}[{index}]", message, "a ChatMessage")


def _text(name: str, given: Any) -> None:
    if not isinstance(given, str):
        raise _wrong(name, given, "a string")


def _template(name: str, given: Any) -> None:
    if not isinstance(given, BasePromptTemplate):
        raise _wrong(name, given, "a prompt template")


def _output_class(name: str, given: Any) -> None:
    if not (isinstance(given, type) and issubclass(given, BaseModel)):
        raise _wrong(name, given, "a pydantic class")


def _wrong(name: str, given: Any, wanted: str) -> InvalidInputError:
    return InvalidInputError(
        f"{name} is of class {type(given).__name__}, not {wanted}."
    )


_Check: TypeAlias = Callable[[str, Any], None]

_CHAT: dict[str, _Check] = {"messages": _messages}
_COMPLETE: dict[str, _Check] = {"prompt": _text}
_PREDICT: dict[str, _Check] = {"prompt": _template}
_STRUCTURED: dict[str, _Check] = {"output_cls": _output_class, "prompt": _template}

# In the order of the methods' own parameters.
_CHECKED: dict[str, dict[str, _Check]] = {
    "achat": _CHAT,
    "acomplete": _COMPLETE,
    "apredict": _PREDICT,
    "astream": _PREDICT,
    "astream_chat": _CHAT,
    "astream_complete": _COMPLETE,
    "astream_structured_predict": _STRUCTURED,
    "astructured_predict": _STRUCTURED,
    "chat": _CHAT,
    "complete": _COMPLETE,
    "predict": _PREDICT,
    "stream": _PREDICT,
    "stream_chat": _CHAT,
    "stream_complete": _COMPLETE,
    "stream_structured_predict": _STRUCTURED,
    "structured_predict": _STRUCTURED,
}
