"""What can be asked of a chat model, and how a call becomes a request."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage
from pydantic import Field

import atoma_confidential as core
from atoma_confidential.messages import ReasoningPassback
from atoma_confidential.parameters import chosen, merged
from atoma_confidential.tool_calls import OnTruncatedToolCall

from ._answer import AnswerReader
from ._connection import AtomaConnection
from ._convert import to_wire

__all__ = ["ChatParameters"]


class ChatParameters(AtomaConnection):
    """The fields of a chat model."""

    model: str
    """The engine's model, in its exact case."""

    base_url: str | None = None
    """By default `ATOMA_BASE_URL`, then `ATOMA_API_BASE`, then the public network."""

    confidential: bool = True
    """False sends everything in clear, to the plain endpoints."""

    attestation_url: str | None = None
    """By default `ATOMA_ATTESTATION_URL`, then the public network's place."""

    frequency_penalty: float | None = None
    logit_bias: dict[str, float] | None = None
    logprobs: bool | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    presence_penalty: float | None = None
    seed: int | None = None
    stop: list[str] | str | None = None
    temperature: float | None = None
    top_logprobs: int | None = None
    top_p: float | None = None
    user: str | None = None

    additional_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Further parameters of the API, sent with each call."""

    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the engine, such as `top_k` or `chat_template_kwargs`."""

    context_window: int | None = Field(default=None, gt=0)
    """Tokens of prompt and answer together; by default what is known of the model.
    Memories and synthesizers cut to it."""

    is_function_calling_model: bool = True
    """Whether the engine is set up to call tools; agents ask for it."""

    stream_mode: core.StreamMode = "auto"
    """`auto` streams live only toward a node that has shown fresh nonces; `buffered`
    never does; `live` always does, and warns where that is not confidential."""

    stream_idle_timeout: float = 120.0
    """Seconds between two events of a stream."""

    lock_ahead: bool = False
    """Whether the lock for a further answer is taken while one is being given, which
    saves an agent a round trip for each. The last one holds units for a minute."""

    # As LlamaIndex's OpenAI-shaped providers do, whose place this takes.
    reasoning_passback: ReasoningPassback = "never"
    """Which of its own reasoning the model is shown again: none, that of the current
    tool loop (since the last user message), or all."""

    remote_images: bool = True
    """Whether an image may be a URL, which the node fetches; nothing here ever does."""

    on_truncated_tool_call: OnTruncatedToolCall = "raise"
    """What to do with a tool call whose arguments met the token limit. Kept, it has
    none."""

    @property
    def _engine_model(self) -> str:
        return self.model

    def _request(
        self, messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Return the arguments of the core's call; what is passed wins."""
        call = merged(
            {**self._parameters(), **kwargs},
            model=self.model,
            extra_body=self.extra_body,
            adopt_unknown=False,  # it may be misspelt
        )
        return {
            **call,
            "messages": to_wire(
                messages,
                reasoning=self.reasoning_passback,
                remote_images=self.remote_images,
            ),
        }

    def _reader(self, request: Mapping[str, Any]) -> AnswerReader:
        return AnswerReader(
            names=getattr(request.get("tools"), "names", None),
            one_call=request.get("parallel_tool_calls") is False,
            on_truncated=self.on_truncated_tool_call,
        )

    def _parameters(self) -> dict[str, Any]:
        return {**chosen(vars(self), core.ChatParameters), **self.additional_kwargs}

    def _settings(self) -> core.ClientSettings:
        settings = super()._settings()
        settings["stream_mode"] = self.stream_mode
        settings["stream_idle_timeout"] = self.stream_idle_timeout
        settings["lock_ahead"] = self.lock_ahead
        return settings
