"""What can be asked of a chat model, and how a call becomes a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_core.utils.utils import _build_model_kwargs, get_pydantic_field_names
from pydantic import Field, model_validator

import atoma_confidential as core
from atoma_confidential.messages import ReasoningPassback
from atoma_confidential.parameters import chosen, merged
from atoma_confidential.tool_calls import OnTruncatedToolCall

from ._connection import AtomaConnection
from ._convert import to_wire
from ._tools import response_format_of, tool_choice_of, tools_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.messages import BaseMessage

__all__ = ["ChatParameters"]


class ChatParameters(AtomaConnection):
    """The fields of a chat model."""

    model_name: str = Field(alias="model")
    """The engine's model, in its exact case."""

    frequency_penalty: float | None = None
    logit_bias: dict[int, float] | None = None
    logprobs: bool | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    n: int | None = None
    parallel_tool_calls: bool | None = None
    presence_penalty: float | None = None
    response_format: dict[str, Any] | None = None
    seed: int | None = None
    stop: list[str] | str | None = Field(default=None, alias="stop_sequences")
    temperature: float | None = None
    top_logprobs: int | None = None
    top_p: float | None = None
    user: str | None = None

    extra_body: dict[str, Any] = Field(default_factory=dict)
    """Parameters of the engine, such as `top_k` or `chat_template_kwargs`."""

    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Further parameters: the API's, such as `tools`, and any other for the engine."""

    streaming: bool = False
    """Stream inside `invoke` as well, so that callbacks see each token."""

    stream_mode: core.StreamMode = "auto"
    """`auto` streams live only toward a node that has shown fresh nonces; `buffered`
    never does; `live` always does, and warns where that is not confidential."""

    stream_idle_timeout: float = 120.0
    """Seconds between two events of a stream."""

    lock_ahead: bool = False
    """Whether the lock for a further answer is taken while one is being given, which
    saves an agent a round trip for each. The last one holds units for a minute."""

    # What was thought before a call belongs to the turn that the model is still in.
    reasoning_passback: ReasoningPassback = "tool_loop"
    """Which of its own reasoning the model is shown again: none, that of the current
    tool loop (since the last human message), or all."""

    on_truncated_tool_call: OnTruncatedToolCall = "raise"
    """What to do with a tool call whose arguments met the token limit. Kept, it is an
    invalid call of a whole answer; of a stream, core completes its arguments."""

    @model_validator(mode="before")
    @classmethod
    def _build_extra(cls, values: dict[str, Any]) -> dict[str, Any]:
        given = {**values, "model_kwargs": dict(values.get("model_kwargs") or {})}
        return _build_model_kwargs(given, get_pydantic_field_names(cls))

    @property
    def _engine_model(self) -> str:
        return self.model_name

    def _request(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None,
        kwargs: Mapping[str, Any],
    ) -> dict[str, Any]:
        """Return the arguments of the core's call; what is bound or passed wins."""
        given = {**self._parameters(), **kwargs}
        given["stop"] = stop or given.get("stop") or None
        for name in ("stream", "stream_usage"):  # LangChain's, not the API's
            given.pop(name, None)
        given["tools"] = wired = tools_of(given.get("tools") or ())
        given["tool_choice"] = tool_choice_of(given.get("tool_choice"), wired)
        if response_format := given.get("response_format"):
            given["response_format"] = response_format_of(response_format)
        call = merged(
            given, model=self.model_name, extra_body=self.extra_body, adopt_unknown=True
        )
        return {
            **call,
            "messages": to_wire(messages, reasoning=self.reasoning_passback),
        }

    def _parameters(self) -> dict[str, Any]:
        return {**chosen(vars(self), core.ChatParameters), **self.model_kwargs}

    def _settings(self) -> core.ClientSettings:
        settings = super()._settings()
        settings["stream_mode"] = self.stream_mode
        settings["stream_idle_timeout"] = self.stream_idle_timeout
        settings["lock_ahead"] = self.lock_ahead
        return settings
