"""Structured prediction: by a schema, by a forced tool call, or asked for in words.

Core's own programs forget `tool_required` where they stream, and the system prompt
where they are async; so all modes are written out here.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from contextlib import aclosing, closing, contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from llama_index.core.base.llms.types import ChatMessage, ChatResponse, TextBlock
from llama_index.core.instrumentation.events.llm import (
    LLMStructuredPredictEndEvent,
    LLMStructuredPredictInProgressEvent,
    LLMStructuredPredictStartEvent,
)
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.output_parsers import PydanticOutputParser
from llama_index.core.program.function_program import get_function_tool
from llama_index.core.prompts import BasePromptTemplate
from llama_index.core.types import PydanticProgramMode
from llama_index_instrumentation import get_dispatcher
from pydantic import BaseModel

from atoma_confidential.errors import InvalidInputError

from ._outputs import Mode, PartialOutput, parsed
from ._schema import response_format_of
from ._tools import tool_choice_of, tools_of

__all__ = ["StructuredPrediction", "noted_about"]

M = TypeVar("M", bound=BaseModel)

# How the function is called is no matter of `llm_kwargs`; nor for core's programs.
_DECIDED_HERE = frozenset({"allow_parallel_tool_calls", "tool_choice", "tool_required"})

_dispatcher = get_dispatcher(__name__)

_about: ContextVar[dict[str, Any] | None] = ContextVar("_about", default=None)


@contextmanager
def noted_about() -> Iterator[dict[str, Any]]:
    """Give what is told of the answer that an object is made of within the block.

    An object of the caller's own class has no place for it.
    """
    about: dict[str, Any] = {}
    token = _about.set(about)
    try:
        yield about
    finally:
        _about.reset(token)


class StructuredPrediction(FunctionCallingLLM, ABC):
    """The structured half of a chat model."""

    should_use_structured_outputs: bool = False
    """Ask for JSON of a schema instead of a forced tool call."""

    strict: bool | None = None
    """Ask the engine to keep to the schemas of tools and outputs exactly."""

    def structured_predict(
        self,
        output_cls: type[M],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> M:
        """Return an answer as an instance of a class.

        Args:
            output_cls: The pydantic class.
            prompt: What to ask.
            llm_kwargs: Parameters of the call.
            **prompt_args: What to put into the prompt.

        Raises:
            UnparsableAnswerError: The answer does not fit the class.
            RefusedAnswerError: The model refused, or a filter withheld the answer.
            TruncatedAnswerError: The answer met its token limit.
        """
        _started(output_cls, prompt, prompt_args)
        found = self._structured(output_cls, prompt, llm_kwargs, **prompt_args)
        _dispatcher.event(LLMStructuredPredictEndEvent(output=found))
        return found

    async def astructured_predict(
        self,
        output_cls: type[M],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> M:
        """Return an answer as an instance of a class; see `structured_predict`."""
        _started(output_cls, prompt, prompt_args)
        found = await self._astructured(output_cls, prompt, llm_kwargs, **prompt_args)
        _dispatcher.event(LLMStructuredPredictEndEvent(output=found))
        return found

    def stream_structured_predict(
        self,
        output_cls: type[M],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Any, None, None]:
        """Yield what has come of an answer; the last item is a whole instance.

        Takes and raises what `structured_predict` does.
        """
        _started(output_cls, prompt, prompt_args)
        found = None
        parts = self._structured_stream_call(
            output_cls, prompt, llm_kwargs, **prompt_args
        )
        with closing(parts):
            for found in parts:
                _dispatcher.event(LLMStructuredPredictInProgressEvent(output=found))
                yield found
        _dispatcher.event(LLMStructuredPredictEndEvent(output=found))

    async def astream_structured_predict(
        self,
        output_cls: type[M],
        prompt: BasePromptTemplate,
        llm_kwargs: dict[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Any, None]:
        """Return a generator of what comes; see `stream_structured_predict`."""

        async def announced() -> AsyncGenerator[Any, None]:
            _started(output_cls, prompt, prompt_args)
            found = None
            parts = await self._structured_astream_call(
                output_cls, prompt, llm_kwargs, **prompt_args
            )
            async with aclosing(parts):
                async for found in parts:
                    _dispatcher.event(LLMStructuredPredictInProgressEvent(output=found))
                    yield found
            _dispatcher.event(LLMStructuredPredictEndEvent(output=found))

        return announced()

    def _structured(
        self,
        output_cls: type[M],
        prompt: BasePromptTemplate,
        llm_kwargs: Mapping[str, Any] | None = None,
        **prompt_args: Any,
    ) -> M:
        mode = self._mode()
        messages = self._asked(mode, output_cls, prompt, prompt_args)
        asked = self._asking(mode, output_cls, llm_kwargs)
        response = _noted(self.chat(messages, **asked))
        return parsed(output_cls, response, mode)

    async def _astructured(
        self,
        output_cls: type[M],
        prompt: BasePromptTemplate,
        llm_kwargs: Mapping[str, Any] | None = None,
        **prompt_args: Any,
    ) -> M:
        mode = self._mode()
        messages = self._asked(mode, output_cls, prompt, prompt_args)
        asked = self._asking(mode, output_cls, llm_kwargs)
        response = _noted(await self.achat(messages, **asked))
        return parsed(output_cls, response, mode)

    def _structured_stream_call(
        self,
        output_cls: type[M],
        prompt: BasePromptTemplate,
        llm_kwargs: Mapping[str, Any] | None = None,
        **prompt_args: Any,
    ) -> Generator[Any, None, None]:
        mode = self._mode()
        messages = self._asked(mode, output_cls, prompt, prompt_args)
        asked = self._asking(mode, output_cls, llm_kwargs)
        partial = PartialOutput(output_cls, mode)
        with closing(self.stream_chat(messages, **asked)) as responses:
            for response in responses:
                if partial.grows(response):
                    yield partial.found
        # A stream has at least one item: the last, which is all of the answer.
        yield parsed(output_cls, _noted(response), mode)

    async def _structured_astream_call(
        self,
        output_cls: type[M],
        prompt: BasePromptTemplate,
        llm_kwargs: Mapping[str, Any] | None = None,
        **prompt_args: Any,
    ) -> AsyncGenerator[Any, None]:
        mode = self._mode()
        messages = self._asked(mode, output_cls, prompt, prompt_args)
        asked = self._asking(mode, output_cls, llm_kwargs)

        async def parts() -> AsyncGenerator[Any, None]:
            partial = PartialOutput(output_cls, mode)
            async with aclosing(await self.astream_chat(messages, **asked)) as answers:
                async for response in answers:
                    if partial.grows(response):
                        yield partial.found
            yield parsed(output_cls, _noted(response), mode)

        return parts()

    def _mode(self) -> Mode:
        match self.pydantic_program_mode:
            case PydanticProgramMode.FUNCTION:
                return "tools"
            case PydanticProgramMode.LLM:
                return "text"
            case PydanticProgramMode.DEFAULT if self.should_use_structured_outputs:
                return "json_schema"
            case PydanticProgramMode.DEFAULT:
                return "tools" if self.metadata.is_function_calling_model else "text"
        raise InvalidInputError(
            f"pydantic_program_mode {self.pydantic_program_mode.value!r} is another "
            "provider's."
        )

    def _asked(
        self,
        mode: Mode,
        output_cls: type[BaseModel],
        prompt: BasePromptTemplate,
        prompt_args: Mapping[str, Any],
    ) -> list[ChatMessage]:
        messages = prompt.format_messages(llm=self, **prompt_args)
        if mode == "text" and messages:
            parser: PydanticOutputParser[Any] = PydanticOutputParser(output_cls)
            wish = TextBlock(text=parser.get_format_string(escape_json=False))
            last = messages[-1]  # may be the template's own
            blocks = [*last.blocks, wish]
            messages = [*messages[:-1], last.model_copy(update={"blocks": blocks})]
        return self._extend_messages(messages)

    def _asking(
        self,
        mode: Mode,
        output_cls: type[BaseModel],
        llm_kwargs: Mapping[str, Any] | None,
    ) -> dict[str, Any]:
        given = {k: v for k, v in (llm_kwargs or {}).items() if k not in _DECIDED_HERE}
        if mode == "json_schema":
            form = response_format_of(output_cls, strict=self.strict)
            return {**given, "response_format": form}
        if mode == "text":
            return given
        tools = tools_of([get_function_tool(output_cls)], strict=self.strict)
        (name,) = tools.names
        return {
            **given,
            "tools": tools,
            # By name: more engines honour that than "required".
            "tool_choice": tool_choice_of(name, tools, tool_required=True),
            "parallel_tool_calls": False,
        }


def _noted(response: ChatResponse) -> ChatResponse:
    about = _about.get()
    if about is not None:
        about.update(response.additional_kwargs)
    return response


def _started(
    output_cls: type[BaseModel], prompt: BasePromptTemplate, args: dict[str, Any]
) -> None:
    _dispatcher.event(
        LLMStructuredPredictStartEvent(
            output_cls=output_cls, template=prompt, template_args=args
        )
    )
