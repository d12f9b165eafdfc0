"""A chat model that emits nothing: what the public one does between its events.

`complete` and its kin use this, and not the public `chat`: each call would then be
counted twice.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import aclosing, closing
from typing import Any, cast

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    MessageRole,
)
from llama_index.core.llms.llm import LLM
from llama_index.core.prompts import BasePromptTemplate
from pydantic import PrivateAttr

from atoma_confidential import AsyncChatStream, ChatStream, Verdict

from ._answer import AnswerReader, as_completion
from ._guarded import closed_by_caller
from ._parameters import ChatParameters
from ._structured import StructuredPrediction

__all__ = ["QuietChatModel", "QuietPrompts"]


class QuietPrompts(LLM, ABC):
    """What is asked through prompt templates, without events and spans."""

    def _predict(self, prompt: BasePromptTemplate, **prompt_args: Any) -> str:
        response = self.chat(self._get_messages(prompt, **prompt_args))
        return self._parse_output(response.message.content or "")

    async def _apredict(self, prompt: BasePromptTemplate, **prompt_args: Any) -> str:
        response = await self.achat(self._get_messages(prompt, **prompt_args))
        return self._parse_output(response.message.content or "")

    def _stream(
        self, prompt: BasePromptTemplate, **prompt_args: Any
    ) -> Generator[str, None, None]:
        self._refuse_parser(prompt)
        responses = self.stream_chat(self._get_messages(prompt, **prompt_args))

        def tokens() -> Generator[str, None, None]:
            with closing(responses):
                for response in responses:
                    yield response.delta or ""

        return tokens()

    async def _astream(
        self, prompt: BasePromptTemplate, **prompt_args: Any
    ) -> AsyncGenerator[str, None]:
        self._refuse_parser(prompt)
        responses = await self.astream_chat(self._get_messages(prompt, **prompt_args))

        async def tokens() -> AsyncGenerator[str, None]:
            async with aclosing(responses):
                async for response in responses:
                    yield response.delta or ""

        return tokens()

    def _refuse_parser(self, prompt: BasePromptTemplate) -> None:
        if prompt.output_parser is not None or self.output_parser is not None:
            raise NotImplementedError("Output parser is not supported for streaming.")


class QuietChatModel(QuietPrompts, ChatParameters, StructuredPrediction, ABC):
    """The exchanges of a chat model, without events, spans and rate limits."""

    _verdict: Verdict | None = PrivateAttr(default=None)

    @property
    def last_verdict(self) -> Verdict | None:
        """What was checked for the last whole answer; None before one.

        For what hands on text or objects alone. Of calls at once, each answer's own is
        in its `additional_kwargs`.
        """
        return self._verdict

    def _chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        request = self._request(messages, kwargs)
        reply = self._clients().sync.chat(**request)
        self._verdict = reply.verdict
        return self._reader(request).whole(reply.body, reply.verdict)

    async def _achat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponse:
        request = self._request(messages, kwargs)
        reply = await self._clients().asynchronous.chat(**request)
        self._verdict = reply.verdict
        return self._reader(request).whole(reply.body, reply.verdict)

    def _stream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> Generator[ChatResponse, None, None]:
        request = self._request(messages, kwargs)
        stream = self._clients().sync.stream_chat(**request)
        return closed_by_caller(self._responses(stream, self._reader(request)))

    async def _astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> AsyncGenerator[ChatResponse, None]:
        request = self._request(messages, kwargs)
        stream = self._clients().asynchronous.stream_chat(**request)
        return closed_by_caller(self._aresponses(stream, self._reader(request)))

    def _complete(
        self,
        prompt: str,
        formatted: bool = False,
        **kwargs: Any,
    ) -> CompletionResponse:
        messages = self._prompted(prompt, formatted=formatted)
        return as_completion(self._chat(messages, **kwargs))

    async def _acomplete(
        self,
        prompt: str,
        formatted: bool = False,
        **kwargs: Any,
    ) -> CompletionResponse:
        messages = self._prompted(prompt, formatted=formatted)
        return as_completion(await self._achat(messages, **kwargs))

    def _stream_complete(
        self,
        prompt: str,
        formatted: bool = False,
        **kwargs: Any,
    ) -> Generator[CompletionResponse, None, None]:
        messages = self._prompted(prompt, formatted=formatted)
        responses = self._stream_chat(messages, **kwargs)

        def completions() -> Generator[CompletionResponse, None, None]:
            with closing(responses):
                for response in responses:
                    yield as_completion(response)

        return closed_by_caller(completions())

    async def _astream_complete(
        self,
        prompt: str,
        formatted: bool = False,
        **kwargs: Any,
    ) -> AsyncGenerator[CompletionResponse, None]:
        messages = self._prompted(prompt, formatted=formatted)
        responses = await self._astream_chat(messages, **kwargs)

        async def completions() -> AsyncGenerator[CompletionResponse, None]:
            async with aclosing(responses):
                async for response in responses:
                    yield as_completion(response)

        return closed_by_caller(completions())

    def _prompted(self, prompt: str, *, formatted: bool) -> list[ChatMessage]:
        if not formatted and self.completion_to_prompt is not None:
            prompt = self.completion_to_prompt(prompt)
        return [ChatMessage(role=MessageRole.USER, content=prompt)]

    def _responses(
        self, stream: ChatStream, reader: AnswerReader
    ) -> Generator[ChatResponse, None, None]:
        with stream:
            for chunk in stream:
                if (response := reader.read(chunk)) is not None:
                    yield response
        self._verdict = verdict = cast("Verdict", stream.verdict)
        yield reader.finish(verdict)

    async def _aresponses(
        self, stream: AsyncChatStream, reader: AnswerReader
    ) -> AsyncGenerator[ChatResponse, None]:
        async with stream:
            async for chunk in stream:
                if (response := reader.read(chunk)) is not None:
                    yield response
        self._verdict = verdict = cast("Verdict", stream.verdict)
        yield reader.finish(verdict)
