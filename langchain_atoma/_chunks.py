"""The chunks of a streamed answer, as LangChain's `ChatGenerationChunk`s. Pure.

Core adds chunks up: it joins strings, sums integers and refuses other differences. So
what is said once of an answer (why it ended, which model, usage, the verdict) is kept
back and said by one last chunk, whatever the engine repeats.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessageChunk
from langchain_core.messages.tool import tool_call_chunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_core.utils.json import parse_partial_json

from atoma_confidential.answers import AnswerReader, cut_off_call, said
from atoma_confidential.errors import Exposure

from ._content import PROVIDER
from ._parse import answer_metadata, usage_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.messages.tool import ToolCallChunk

    from atoma_confidential import Verdict
    from atoma_confidential.tool_calls import Call, CallDelta

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
        self._answer = AnswerReader(keep_truncated=keep_truncated)
        self._function_name_told = False

    def read(self, body: Mapping[str, Any]) -> ChatGenerationChunk | None:
        """Return what an engine's chunk adds to the answer; None if that is nothing."""
        delta = self._answer.read(body)
        extra: dict[str, Any] = {}
        if delta.thought:
            extra["reasoning_content"] = delta.thought
        if delta.function_call is not None:
            extra["function_call"] = self._function_call(delta.function_call)
        if not (extra or delta.calls or delta.logprobs):
            return _text_chunk(delta.text) if delta.text else None
        message = AIMessageChunk(
            # Text stays a string: core drops what follows a list.
            content=delta.text,
            additional_kwargs=extra,
            tool_call_chunks=[_call_chunk(call) for call in delta.calls],
            response_metadata={"model_provider": PROVIDER},
        )
        return ChatGenerationChunk(
            message=message,
            # Lists, which core joins.
            generation_info={"logprobs": delta.logprobs} if delta.logprobs else None,
        )

    def finish(self, verdict: Verdict) -> ChatGenerationChunk:
        """Return the last chunk, which says everything that is said once.

        Raises:
            TruncatedAnswerError: The arguments of a tool call are cut off; core would
                complete them to a call that looks valid.
            RemoteProtocolError: There was no choice 0, or a tool call has no name.
        """
        answer = self._answer
        exposure = Exposure.of_request(sealed=verdict.sealed)
        answer.finish(exposure)
        if not self._keep_truncated and any(map(_is_completed, answer.calls)):
            raise cut_off_call(exposure)
        return ChatGenerationChunk(
            message=AIMessageChunk(
                content="",
                additional_kwargs={"refusal": answer.refusal} if answer.refusal else {},
                response_metadata=answer_metadata(answer.head, verdict),
                usage_metadata=usage_of(answer.usage),
                chunk_position="last",
            ),
            generation_info=answer.end,
        )

    def _function_call(self, legacy: Mapping[str, Any]) -> dict[str, str]:
        call = {"arguments": said(legacy.get("arguments"))}
        if not self._function_name_told and isinstance(legacy.get("name"), str):
            self._function_name_told = True
            call["name"] = legacy["name"]
        return call


_TEXT = ChatGenerationChunk(
    message=AIMessageChunk(content="", response_metadata={"model_provider": PROVIDER})
)


def _text_chunk(text: str) -> ChatGenerationChunk:
    """Return what nearly all chunks are: copied, for validation takes twice as long."""
    fresh: dict[str, Any] = {
        "content": text,
        "additional_kwargs": {},
        "response_metadata": {"model_provider": PROVIDER},
        "tool_calls": [],
        "invalid_tool_calls": [],
        "tool_call_chunks": [],
    }
    message = _TEXT.message.model_copy(update=fresh)
    return _TEXT.model_copy(update={"text": text, "message": message})


def _call_chunk(delta: CallDelta) -> ToolCallChunk:
    return tool_call_chunk(
        name=delta.name or None,
        args=delta.arguments,
        id=delta.call_id,
        index=delta.number,
    )


def _is_completed(call: Call) -> bool:
    """Return whether core would repair what came of a call, wherever it was cut."""
    try:
        return call.is_garbled and isinstance(parse_partial_json(call.arguments), dict)
    except ValueError:
        return False
    except RecursionError:
        return True  # too deep for core, which must not see it
