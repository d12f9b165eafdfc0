"""What `as_structured_llm` returns: core's, guarded as the model within it is.

Core's own hands messages to handlers before the model's guard is reached. As there, a
method without a public name emits nothing.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any

from llama_index.core.base.llms.generic_utils import (
    achat_to_completion_decorator,
    chat_to_completion_decorator,
)
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    MessageRole,
)
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.prompts.base import ChatPromptTemplate
from pydantic import BaseModel

from ._guarded import closed_by_caller, guarded
from ._quiet import QuietPrompts
from ._tracing import guard

if TYPE_CHECKING:
    from .llms import AtomaChatModel

__all__ = ["GuardedStructuredLLM"]

_GUARDED = {
    "achat": "_achat",
    "acomplete": "_acomplete",
    "apredict": "_apredict",
    "apredict_and_call": "",
    "astream": "_astream",
    "astream_chat": "_astream_chat",
    "astream_complete": "_astream_complete",
    "astream_structured_predict": "_astream_structured",
    "astructured_predict": "_astructured",
    "chat": "_chat",
    "complete": "_complete",
    "predict": "_predict",
    "predict_and_call": "",
    "stream": "_stream",
    "stream_chat": "_stream_chat",
    "stream_complete": "_stream_complete",
    "stream_structured_predict": "_stream_structured",
    "structured_predict": "_structured",
}


@guarded(_GUARDED)
class GuardedStructuredLLM(QuietPrompts, StructuredLLM):
    """A model whose answers are instances of a class."""

    if TYPE_CHECKING:
        llm: AtomaChatModel

    def _guard(self) -> bool:
        managers = (self.callback_manager, self.llm.callback_manager)
        handlers = [one for manager in managers for one in manager.handlers]
        return guard(self.llm.tracing_policy, handlers)

    def _chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        asked = self._asked(messages, kwargs)
        return _response(self.llm.structured_predict(**asked))

    async def _achat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponse:
        asked = self._asked(messages, kwargs)
        return _response(await self.llm.astructured_predict(**asked))

    def _stream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> Generator[ChatResponse, None, None]:
        parts = self.llm.stream_structured_predict(**self._asked(messages, kwargs))

        def responses() -> Generator[ChatResponse, None, None]:
            with closing(parts):
                yield from map(_response, parts)

        return closed_by_caller(responses())

    async def _astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> AsyncGenerator[ChatResponse, None]:
        asked = self._asked(messages, kwargs)
        parts = await self.llm.astream_structured_predict(**asked)

        async def responses() -> AsyncGenerator[ChatResponse, None]:
            async with aclosing(parts):
                async for part in parts:
                    yield _response(part)

        return closed_by_caller(responses())

    def _complete(self, prompt: str, *_: Any, **kwargs: Any) -> CompletionResponse:
        kwargs.pop("formatted", None)
        return chat_to_completion_decorator(self.chat)(prompt, **kwargs)

    async def _acomplete(
        self, prompt: str, *_: Any, **kwargs: Any
    ) -> CompletionResponse:
        kwargs.pop("formatted", None)
        return await achat_to_completion_decorator(self.achat)(prompt, **kwargs)

    def _stream_complete(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError("stream_complete is not supported by default.")

    async def _astream_complete(self, *_: Any, **__: Any) -> None:
        raise NotImplementedError("astream_complete is not supported by default.")

    def _structured(self, *args: Any, **kwargs: Any) -> Any:
        return self.llm.structured_predict(*args, **kwargs)

    async def _astructured(self, *args: Any, **kwargs: Any) -> Any:
        return await self.llm.astructured_predict(*args, **kwargs)

    def _stream_structured(self, *args: Any, **kwargs: Any) -> Any:
        return self.llm.stream_structured_predict(*args, **kwargs)

    async def _astream_structured(self, *args: Any, **kwargs: Any) -> Any:
        return await self.llm.astream_structured_predict(*args, **kwargs)

    def _asked(
        self, messages: Sequence[ChatMessage], kwargs: dict[str, Any]
    ) -> dict[str, Any]:
        return {
            "output_cls": self.output_cls,
            "prompt": ChatPromptTemplate(message_templates=list(messages)),
            "llm_kwargs": kwargs,
        }


def _response(found: BaseModel) -> ChatResponse:
    message = ChatMessage(role=MessageRole.ASSISTANT, content=found.model_dump_json())
    return ChatResponse(message=message, raw=found)
