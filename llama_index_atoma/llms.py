"""Chat models of the Atoma network, sealed end to end."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    LLMMetadata,
)
from llama_index.core.llms.callbacks import llm_chat_callback, llm_completion_callback
from llama_index.core.llms.llm import ToolSelection
from llama_index.core.llms.structured_llm import StructuredLLM
from llama_index.core.tools.types import BaseTool
from pydantic import BaseModel

from atoma_confidential.known_models import context_window_of

from ._guarded import guarded
from ._quiet import QuietChatModel
from ._structured_llm import GuardedStructuredLLM
from ._tools import (
    first_call_only,
    prepared_messages,
    selections_of,
    tool_choice_of,
    tools_of,
)

__all__ = ["Atoma", "AtomaChatModel"]

# LlamaIndex's own default of 3900 silently cuts memory and context; too high a guess is
# told by the engine.
_UNKNOWN_CONTEXT_WINDOW = 32_768

_ENDPOINTS = {
    "achat": "_achat",
    "acomplete": "_acomplete",
    "astream_chat": "_astream_chat",
    "astream_complete": "_astream_complete",
    "chat": "_chat",
    "complete": "_complete",
    "stream_chat": "_stream_chat",
    "stream_complete": "_stream_complete",
}

# What calls an endpoint, which takes its turn with the rate limiter.
_BUILT_ON_ENDPOINTS = {
    "_prepare_chat_with_tools": "",
    "apredict": "_apredict",
    "apredict_and_call": "",
    "astream": "_astream",
    "astream_structured_predict": "_structured_astream_call",
    "astructured_predict": "_astructured",
    "predict": "_predict",
    "predict_and_call": "",
    "stream": "_stream",
    "stream_structured_predict": "_structured_stream_call",
    "structured_predict": "_structured",
}


@guarded(_BUILT_ON_ENDPOINTS)
@guarded(_ENDPOINTS, limited=True)
class AtomaChatModel(QuietChatModel):
    """A chat model whose prompts and answers cross the network only sealed.

        from llama_index_atoma import AtomaChatModel

        model = AtomaChatModel(model="meta-llama/Llama-3.3-70B-Instruct")
        answer = model.complete("What is confidential computing?")
        print(answer.text, answer.additional_kwargs["atoma"])

    Each answer says in `additional_kwargs["atoma"]` what was checked for it. Every
    parameter of the API is a field, or can be passed to a call; parameters of the
    engine go into `extra_body`.
    """

    @classmethod
    def class_name(cls) -> str:
        """Return the name that serialised models carry."""
        return "AtomaChatModel"

    @property
    def metadata(self) -> LLMMetadata:
        """What LlamaIndex asks before each call; nothing is looked up for it."""
        known = self.context_window or context_window_of(self.model)
        return LLMMetadata(
            context_window=known or _UNKNOWN_CONTEXT_WINDOW,
            num_output=self.max_tokens or self.max_completion_tokens or -1,
            is_chat_model=True,
            is_function_calling_model=self.is_function_calling_model,
            model_name=self.model,
        )

    def to_payload(self) -> dict[str, Any]:
        """Return what events say of the model."""
        return {
            **super().to_payload(),
            "model": self.model,
            "temperature": self.temperature,
        }

    @llm_chat_callback()
    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        """Return an answer.

        Args:
            messages: The conversation; it is not changed.
            **kwargs: Parameters of the call, over those of the model.

        Raises:
            ConfidentialError: Each class says what had left the process.
        """
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
        """Yield an answer as it grows; the last item is all of it.

        Takes what `chat` takes. Closing the generator, or leaving it, hangs up.
        """
        return self._stream_chat(messages, **kwargs)

    @llm_chat_callback()
    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> AsyncGenerator[ChatResponse, None]:
        """Return a generator of a growing answer; see `stream_chat`."""
        return await self._astream_chat(messages, **kwargs)

    @llm_completion_callback()
    def complete(
        self,
        prompt: str,
        formatted: bool = False,
        **kwargs: Any,
    ) -> CompletionResponse:
        """Return the answer to one prompt.

        Args:
            prompt: What to ask.
            formatted: Whether `completion_to_prompt` has been applied already.
            **kwargs: Parameters of the call, over those of the model.
        """
        return self._complete(prompt, formatted, **kwargs)

    @llm_completion_callback()
    async def acomplete(
        self,
        prompt: str,
        formatted: bool = False,
        **kwargs: Any,
    ) -> CompletionResponse:
        """Return the answer to one prompt; see `complete`."""
        return await self._acomplete(prompt, formatted, **kwargs)

    @llm_completion_callback()
    def stream_complete(
        self,
        prompt: str,
        formatted: bool = False,
        **kwargs: Any,
    ) -> Generator[CompletionResponse, None, None]:
        """Yield the answer to one prompt as it grows; see `stream_chat`."""
        return self._stream_complete(prompt, formatted, **kwargs)

    @llm_completion_callback()
    async def astream_complete(
        self,
        prompt: str,
        formatted: bool = False,
        **kwargs: Any,
    ) -> AsyncGenerator[CompletionResponse, None]:
        """Return a generator of a growing answer; see `stream_chat`."""
        return await self._astream_complete(prompt, formatted, **kwargs)

    def as_structured_llm(
        self, output_cls: type[BaseModel], **kwargs: Any
    ) -> StructuredLLM:
        """Return the model with its answers made instances of a class.

        Args:
            output_cls: The pydantic class.
            **kwargs: Fields of core's `StructuredLLM`.
        """
        return GuardedStructuredLLM(llm=self, output_cls=output_cls, **kwargs)

    def get_tool_calls_from_response(
        self,
        response: ChatResponse,
        error_on_no_tool_call: bool = True,
        **kwargs: Any,
    ) -> list[ToolSelection]:
        """Return the tool calls of an answer; while they come, without arguments.

        Raises:
            ValueError: There is none, and that is an error.
        """
        del kwargs
        selections = selections_of(response)
        if not selections and error_on_no_tool_call:
            raise ValueError("Expected at least one tool call, but got 0 tool calls.")
        return selections

    def _prepare_chat_with_tools(  # noqa: PLR0917 - core's signature
        self,
        tools: Sequence[BaseTool],
        user_msg: str | ChatMessage | None = None,
        chat_history: list[ChatMessage] | None = None,
        verbose: bool = False,  # noqa: ARG002 - core's signature
        allow_parallel_tool_calls: bool = False,
        tool_required: bool = False,
        tool_choice: str | dict[str, Any] | None = None,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> dict[str, Any]:
        messages = prepared_messages(chat_history, user_msg)
        if not tools:
            return {"messages": messages, **kwargs}
        wired = tools_of(tools, strict=self.strict if strict is None else strict)
        return {
            "messages": messages,
            "tools": wired,
            "tool_choice": tool_choice_of(
                tool_choice, wired, tool_required=tool_required
            ),
            "parallel_tool_calls": allow_parallel_tool_calls,
            **kwargs,
        }

    def _validate_chat_with_tools_response(
        self,
        response: ChatResponse,
        tools: Sequence[BaseTool],  # noqa: ARG002 - core's signature
        allow_parallel_tool_calls: bool = False,
        **kwargs: Any,
    ) -> ChatResponse:
        del kwargs
        return response if allow_parallel_tool_calls else first_call_only(response)


Atoma = AtomaChatModel
"""The name by LlamaIndex's convention."""
