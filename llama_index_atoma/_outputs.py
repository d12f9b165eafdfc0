"""What can be read of a structured answer, in part and whole. Pure.

Errors name the fields of the output class and nothing that the model has written.
"""

from __future__ import annotations

from typing import Any, Literal, TypeAlias, TypeVar

from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.program.streaming_utils import (
    process_streaming_content_incremental,
)
from pydantic import BaseModel, ValidationError

from atoma_confidential.answers import check_output
from atoma_confidential.errors import Exposure, UnparsableAnswerError

__all__ = ["Mode", "PartialOutput", "parsed"]

M = TypeVar("M", bound=BaseModel)

Mode: TypeAlias = Literal["json_schema", "tools", "text"]
"""How an output is asked for: by a schema, by a forced call, or in words."""


class PartialOutput:
    """What can be read of an output while it comes."""

    def __init__(self, output_cls: type[BaseModel], mode: Mode) -> None:
        self._output_cls = output_cls
        self._mode = mode
        self._text = ""
        self.found: Any = None

    def grows(self, response: ChatResponse) -> bool:
        """Read one item of a stream; return whether it adds anything."""
        text = _text_of(response, self._mode)
        if not text or text == self._text:
            return False
        self._text = text
        # Core's reader takes it from the content, wherever it came from.
        said = ChatResponse(message=ChatMessage(role="assistant", content=text))
        self.found = process_streaming_content_incremental(
            said, self._output_cls, self.found
        )
        return True


def _text_of(response: ChatResponse, mode: Mode) -> str | None:
    """Return the JSON of an answer; None where it holds none."""
    if mode == "tools":
        calls = response.message.additional_kwargs.get("tool_calls")
        # A call without arguments streams none at all.
        return (calls[0]["function"]["arguments"] or "{}") if calls else None
    text = response.message.content or ""
    if mode == "text" and (start := text.find("{")) >= 0:
        # Models put it into a code fence, or words before and behind it.
        text = text[start : text.rfind("}") + 1 or None]
    return text


def parsed(output_cls: type[M], response: ChatResponse, mode: Mode) -> M:
    """Return a whole answer as an instance of a class.

    Args:
        output_cls: The pydantic class.
        response: The answer, or the last item of its stream.
        mode: How it was asked for.

    Raises:
        UnparsableAnswerError: It does not fit the class, or holds no call for it.
        RefusedAnswerError: The model refused, or a filter withheld the answer.
        TruncatedAnswerError: It met its token limit.
    """
    exposure = Exposure.of_answer(response.additional_kwargs.get("atoma"))
    _check_end(response, exposure)
    text = _text_of(response, mode)
    if text is None:
        raise UnparsableAnswerError(
            "The model answered in words instead of calling the function for its "
            "output.",
            exposure,
        )
    try:
        return output_cls.model_validate_json(text)
    except ValidationError as error:
        wrong = _described(output_cls, error)
    raise UnparsableAnswerError(
        f"The answer does not fit {output_cls.__name__}: {wrong}.",
        exposure,
    )


def _check_end(response: ChatResponse, exposure: Exposure) -> None:
    """Refuse half an object: core would complete it."""
    choices = (response.raw or {}).get("choices") or [{}]
    refusal = response.message.additional_kwargs.get("refusal")
    check_output(choices[0].get("finish_reason"), refusal, exposure)


def _described(output_cls: type[BaseModel], error: ValidationError) -> str:
    """Name what is wrong, but nothing that the model has written."""
    found = set()
    for one in error.errors(
        include_url=False, include_context=False, include_input=False
    ):
        field = one["loc"][0] if one["loc"] else None
        known = field in output_cls.model_fields
        found.add(f"{field} ({one['type']})" if known else one["type"])
    return ", ".join(sorted(found))
