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
from llama_index.core.llms.callbacks import llm_chat_callback
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.prompts.base import ChatPromptTemplate
from pydantic import BaseModel

from atoma_confidential import Verdict

from ._guarded import closed_by_caller, guarded
from ._quiet import QuietPrompts
from ._structured import noted_about
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

    @property
    def last_verdict(self) -> Verdict | None:
        """What was checked for the last answer of the model within."""
        return self.llm.last_verdict

    # Core's own tell nothing of the answer.

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Return an answer; `raw` is the instance."""
        return self._chat(messages, **kwargs)

    @llm_chat_callback()
    async def achat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponse:
        """Return an answer; see `chat`."""
        return await self._achat(messages, **kwargs)

    @llm_chat_callback()
    def stream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> Generator[ChatResponse, None, None]:
        """Yield what has come of an instance; the last item is all of it."""
        return self._stream_chat(messages, **kwargs)

    @llm_chat_callback()
    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> AsyncGenerator[ChatResponse, None]:
        """Return a generator of what comes; see `stream_chat`."""
        return await self._astream_chat(messages, **kwargs)

    def _guard(self) -> bool:
        managers = (self.callback_manager, self.llm.callback_manager)
        handlers = [one for manager in managers for one in manager.handlers]
        return guard(self.llm.tracing_policy, handlers)

    def _chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        asked = self._asked(messages, kwargs)
        with noted_about() as about:
            found = self.llm.structured_predict(**asked)
        return _response(found, about)

    async def _achat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponse:
        asked = self._asked(messages, kwargs)
        with noted_about() as about:
            found = await self.llm.astructured_predict(**asked)
        return _response(found, about)

    def _stream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> Generator[ChatResponse, None, None]:
        parts = self.llm.stream_structured_predict(**self._asked(messages, kwargs))

        def responses() -> Generator[ChatResponse, None, None]:
            with closing(parts):
                while True:
                    # Not around the `yield`: what reads may be within such a block.
                    with noted_about() as about:
                        part = next(parts, None)
                    if part is None:
                        return
                    yield _response(part, about)

        return closed_by_caller(responses())

    async def _astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> AsyncGenerator[ChatResponse, None]:
        asked = self._asked(messages, kwargs)
        parts = await self.llm.astream_structured_predict(**asked)

        async def responses() -> AsyncGenerator[ChatResponse, None]:
            async with aclosing(parts):
                while True:
                    with noted_about() as about:
                        part = await anext(parts, None)
                    if part is None:
                        return
                    yield _response(part, about)

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


def _response(found: BaseModel, about: dict[str, Any]) -> ChatResponse:
    message = ChatMessage(role=MessageRole.ASSISTANT, content=found.model_dump_json())
    return ChatResponse(message=message, raw=found, additional_kwargs=about)
