"""Chat models of the Atoma network, sealed end to end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from langchain_core.language_models.chat_models import BaseChatModel
from pydantic import ConfigDict, model_validator

from atoma_confidential.attestation import TrustPolicy

from ._chunks import ChunkReader
from ._content import PROVIDER, register
from ._errors import model_errors
from ._parameters import ChatParameters
from ._parse import add_up, chat_result
from ._profiles import profile_of
from ._suppress import SuppressibleRuns
from ._tools import response_format_of, tool_choice_of, tools_of
from ._tracing import guard
from ._version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence

    from langchain_core.callbacks import (
        AsyncCallbackManagerForLLMRun,
        CallbackManagerForLLMRun,
    )
    from langchain_core.language_models.base import LangSmithParams, LanguageModelInput
    from langchain_core.language_models.model_profile import ModelProfile
    from langchain_core.load.serializable import (
        SerializedConstructor,
        SerializedNotImplemented,
    )
    from langchain_core.messages import AIMessage, BaseMessage
    from langchain_core.outputs import ChatGenerationChunk, ChatResult
    from langchain_core.runnables import Runnable
    from langchain_core.tools import BaseTool

    from atoma_confidential import Verdict

    from ._structured import Method

__all__ = ["AtomaChatModel", "ChatAtoma"]

register()


class AtomaChatModel(ChatParameters, SuppressibleRuns, BaseChatModel):
    """A chat model whose prompts and answers cross the network only sealed.

        from langchain_atoma import AtomaChatModel

        model = AtomaChatModel(model="meta-llama/Llama-3.3-70B-Instruct")
        answer = model.invoke("What is confidential computing?")
        print(answer.text, answer.response_metadata["atoma"])

    Each answer says in `response_metadata["atoma"]` what was checked for it. Every
    parameter of the API is a field, or can be bound or passed to a call; parameters of
    the engine go into `extra_body`.
    """

    model_config = ConfigDict(defer_build=False)

    @model_validator(mode="after")
    def _set_atoma_version(self) -> AtomaChatModel:
        self._add_version("langchain-atoma", __version__)
        seen = {"atoma_confidential": self.confidential, **(self.metadata or {})}
        self.metadata = seen
        return self

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: dict[str, Any] | str | bool | None = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        response_format: dict[str, Any] | type | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Return the model with tools that it may call.

        Args:
            tools: Anything LangChain takes for a tool; may be empty.
            tool_choice: `"auto"`, `"none"`, `"any"` or True for some tool, a tool's
                name, or the wire's own value.
            strict: Ask the engine to keep to the tools' schemas exactly.
            parallel_tool_calls: Whether one answer may hold several calls.
            response_format: A schema, or the wire's own value, for the final answer.
            **kwargs: Further parameters of the call.

        Raises:
            InvalidInputError: A tool has no name, or holds something that is not JSON.
        """
        wired = tools_of(tools, strict=strict)
        if response_format is not None:
            kwargs["response_format"] = response_format_of(
                response_format, strict=strict
            )
        bound = {
            "tools": wired or None,
            "tool_choice": tool_choice_of(tool_choice, wired),
            "parallel_tool_calls": parallel_tool_calls,
            **kwargs,
        }
        return self.bind(**{k: v for k, v in bound.items() if v is not None})

    def with_structured_output(
        self,
        schema: dict[str, Any] | type | None = None,
        *,
        method: Method = "json_schema",
        include_raw: bool = False,
        strict: bool | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, Any]:
        """Return the model with its answers parsed to a schema.

        Args:
            schema: A pydantic class, `TypedDict`, JSON schema or OpenAI function. Only
                JSON mode does without.
            method: Ask by schema, by a forced tool call, or for any JSON.
            include_raw: Return `raw`, `parsed` and `parsing_error`, and raise nothing.
            strict: Ask the engine to keep to the schema exactly.
            **kwargs: Further parameters of the call.

        Raises:
            InvalidInputError: Schema, method and `strict` do not go together.
        """
        from ._structured import structured  # noqa: PLC0415 - its parsers load slowly

        return structured(
            self,
            schema,
            method=method,
            include_raw=include_raw,
            strict=strict,
            bound=kwargs,
        )

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> ChatResult:
        with model_errors():
            reply = self._clients().sync.chat(**self._request(messages, stop, kwargs))
            return chat_result(
                reply.body, reply.verdict, keep_truncated=self._keeps_truncated
            )

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> ChatResult:
        with model_errors():
            request = self._request(messages, stop, kwargs)
            reply = await self._clients().asynchronous.chat(**request)
            return chat_result(
                reply.body, reply.verdict, keep_truncated=self._keeps_truncated
            )

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        reader = ChunkReader(keep_truncated=self._keeps_truncated)
        with model_errors():
            request = self._request(messages, stop, kwargs)
            with self._clients().sync.stream_chat(**request) as stream:
                for body in stream:
                    if (chunk := reader.read(body)) is not None:
                        if run_manager:
                            run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                        yield chunk
            last = reader.finish(cast("Verdict", stream.verdict))
        if run_manager:
            run_manager.on_llm_new_token("", chunk=last)
        yield last

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        reader = ChunkReader(keep_truncated=self._keeps_truncated)
        with model_errors():
            request = self._request(messages, stop, kwargs)
            async with self._clients().asynchronous.stream_chat(**request) as stream:
                async for body in stream:
                    if (chunk := reader.read(body)) is not None:
                        if run_manager:
                            await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                        yield chunk
            last = reader.finish(cast("Verdict", stream.verdict))
        if run_manager:
            await run_manager.on_llm_new_token("", chunk=last)
        yield last

    @property
    def _keeps_truncated(self) -> bool:
        return self.on_truncated_tool_call == "keep"

    @property
    def _suppresses_tracing(self) -> bool:
        return self.tracing_policy == "suppress"

    def _guard(self, bound: Mapping[str, Any] | None = None) -> None:
        guard(self.tracing_policy, cache=self.cache, bound=bound)

    @property
    def _llm_type(self) -> str:
        return "atoma-chat"

    @property
    def lc_secrets(self) -> dict[str, str]:
        """Where a serialised model's key is found when it is loaded."""
        return {"atoma_api_key": "ATOMA_API_KEY"}

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Let LangChain serialise the model; its key is left out."""
        return True

    @classmethod
    def get_lc_namespace(cls) -> list[str]:
        """Return the namespace to allow when loading a serialised model."""
        return ["langchain_atoma", "chat_models"]

    def to_json(self) -> SerializedConstructor | SerializedNotImplemented:
        """Return the serialised model; one with a trust policy is not serialised.

        Loaded again, it would be without its policy, and accept any key.
        """
        if self.trust is not None:
            return self.to_json_not_implemented()
        return super().to_json()

    @property
    def _identifying_params(self) -> Mapping[str, Any]:
        sent = {**self._parameters(), "extra_body": self.extra_body}
        return {"model_name": self.model_name, **sent}

    def _resolve_model_profile(self) -> ModelProfile | None:
        return profile_of(self.model_name)

    def _get_ls_params(
        self, stop: list[str] | None = None, **kwargs: Any
    ) -> LangSmithParams:
        params = super()._get_ls_params(stop=stop, **kwargs)
        params["ls_provider"] = PROVIDER
        params["ls_model_name"] = kwargs.get("model", self.model_name)
        if stop := _as_list(stop or self.stop):
            params["ls_stop"] = stop
        return params

    def _get_invocation_params(
        self, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        # Of all that core calls, this alone comes before anything is traced, on each
        # of its six paths.
        params = super()._get_invocation_params(stop=stop, **kwargs)
        self._guard({**params, "stop": stop or self.stop})
        return params

    def _get_llm_string(self, stop: list[str] | None = None, **kwargs: Any) -> str:
        # Core's own is made once; for a model with a policy, it is only the class name.
        needed = {
            **self._identifying_params,
            "atoma_api_base": self.atoma_api_base,
            "confidential": self.confidential,
            "signatures": self.signatures,
            "trust": _identity_of(self.trust),
        }
        own = super()._get_llm_string(stop=stop, **kwargs)
        return f"{own}---{sorted(needed.items())}"

    def _combine_llm_outputs(
        self, llm_outputs: list[dict[str, Any] | None], /
    ) -> dict[str, Any]:
        return add_up(llm_outputs)

    def get_token_ids(self, text: str) -> list[int]:
        """Return the ids that `custom_get_token_ids` gives.

        Raises:
            NotImplementedError: There is no such encoder: none is ever downloaded.
        """
        if self.custom_get_token_ids is None:
            raise NotImplementedError(
                "Token ids need the model's tokenizer; pass custom_get_token_ids=."
            )
        return self.custom_get_token_ids(text)

    def get_num_tokens(self, text: str) -> int:
        """Return the number of tokens; an approximation without an encoder."""
        if self.custom_get_token_ids is not None:
            return len(self.custom_get_token_ids(text))
        from langchain_core.messages import HumanMessage  # noqa: PLC0415

        return self.get_num_tokens_from_messages([HumanMessage(text)])

    def get_num_tokens_from_messages(
        self,
        messages: list[BaseMessage],
        tools: Sequence[Mapping[str, Any] | type | Callable[..., Any] | BaseTool]
        | None = None,
    ) -> int:
        """Return an approximate number of tokens; nothing is downloaded or fetched."""
        from langchain_core.messages.utils import (  # noqa: PLC0415
            count_tokens_approximately,
        )

        return count_tokens_approximately(
            messages, tools=cast("list[Any]", tools_of(tools)) if tools else None
        )


def _identity_of(trust: TrustPolicy | None) -> str:
    return (TrustPolicy.proxy_asserted() if trust is None else trust).identity


def _as_list(stop: list[str] | str | None) -> list[str]:
    return [stop] if isinstance(stop, str) else stop or []


ChatAtoma = AtomaChatModel
"""The name by LangChain's convention."""
