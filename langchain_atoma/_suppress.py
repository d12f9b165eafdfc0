"""A chat model whose own runs can be kept from LangSmith.

Core reads the tracing switches when a run starts: that is what is wrapped here, on each
way into a chat model. Runs around the model have started before, and are traced.
"""

from __future__ import annotations

from contextlib import aclosing, nullcontext
from typing import TYPE_CHECKING, Any

from langchain_core.runnables.config import ensure_config

from ._tracing import untraced, without_tracers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from contextlib import AbstractContextManager

    from langchain_core.language_models.chat_models import BaseChatModel
    from langchain_core.messages import AIMessageChunk
    from langchain_core.outputs import LLMResult

    _Base = BaseChatModel
else:
    _Base = object  # a mixin that is no pydantic model costs nothing to build

__all__ = ["SuppressibleRuns"]


class SuppressibleRuns(_Base):
    """Starts its runs untraced where `_suppresses_tracing` says so."""

    if TYPE_CHECKING:

        @property
        def _suppresses_tracing(self) -> bool: ...

        def _guard(self) -> None: ...

    def generate(self, *args: Any, **kwargs: Any) -> LLMResult:
        """Return answers to some conversations; see the base class."""
        with self._start():
            return super().generate(*args, **kwargs)

    async def agenerate(self, *args: Any, **kwargs: Any) -> LLMResult:
        """Return answers to some conversations; see the base class."""
        with self._start():
            return await super().agenerate(*args, **kwargs)

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[AIMessageChunk]:
        """Yield an answer as it is written; see the base class."""
        chunks = super().stream(*args, **kwargs)
        return _untraced(chunks) if self._suppresses_tracing else chunks

    def astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[AIMessageChunk]:
        """Yield an answer as it is written; see the base class."""
        chunks = super().astream(*args, **kwargs)
        return _auntraced(chunks) if self._suppresses_tracing else chunks

    def stream_events(
        self,
        input: Any,  # noqa: A002 - core's name, which callers may use
        config: Any = None,
        *,
        version: Any = "v2",
        **kwargs: Any,
    ) -> Any:
        """Return the events of an answer; see the base class."""
        if version == "v3" and self._suppresses_tracing:
            config = _without_tracers(config)
            with untraced():
                return super().stream_events(input, config, version="v3", **kwargs)
        return super().stream_events(input, config, version=version, **kwargs)

    def astream_events(
        self,
        input: Any,  # noqa: A002 - core's name, which callers may use
        config: Any = None,
        *,
        version: Any = "v2",
        **kwargs: Any,
    ) -> Any:
        """Return the events of an answer; see the base class."""
        if version == "v3" and self._suppresses_tracing:
            return self._untraced_events(input, _without_tracers(config), **kwargs)
        return super().astream_events(input, config, version=version, **kwargs)

    async def _untraced_events(self, asked: Any, config: Any, **kwargs: Any) -> Any:
        with untraced():
            return await super().astream_events(asked, config, version="v3", **kwargs)

    def _start(self) -> AbstractContextManager[None]:
        return untraced() if self._suppresses_tracing else nullcontext()


def _without_tracers(config: Any) -> Any:
    """These runs start only when they are read from, outside of any context of ours."""
    config = ensure_config(config)
    return {**config, "callbacks": without_tracers(config.get("callbacks"))}


def _untraced(chunks: Iterator[AIMessageChunk]) -> Iterator[AIMessageChunk]:
    # Not around a yield: the caller's own runs would be suppressed in between.
    with untraced():
        first = next(chunks)  # core fails where there is none
    yield first
    yield from chunks


async def _auntraced(
    chunks: AsyncIterator[AIMessageChunk],
) -> AsyncIterator[AIMessageChunk]:
    async with aclosing(chunks):  # type: ignore[type-var]  # core's is a generator
        with untraced():
            first = await anext(chunks)
        yield first
        async for chunk in chunks:
            yield chunk
