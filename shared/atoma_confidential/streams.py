"""The chunks of one chat answer, as they come, from either client."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from types import AsyncGeneratorType, TracebackType
from typing import Any, Protocol, Self, cast

from .attestation import AttestationResult
from .verdict import Verdict

__all__ = ["AsyncChatStream", "ChatStream", "Outcome"]


class _Source(Protocol):
    async def aclose(self) -> None: ...


class Outcome:
    """What is known of a stream once its end has been reached.

    Apart from the stream, which would otherwise hold itself through its generator: one
    that is forgotten is to hang up at once, and not when a cycle is found.

    Attributes:
        source: What an asynchronous stream is read from; None before that has begun.
        closed: Whether nobody wants what is still to come.
    """

    def __init__(self) -> None:
        self.verdict: Verdict | None = None
        self.attestation: AttestationResult | None = None
        self.source: _Source | None = None
        self.closed = False


class _Stream:
    """What both kinds of streams say of themselves."""

    def __init__(self) -> None:
        self._outcome = Outcome()

    @property
    def verdict(self) -> Verdict | None:
        """What was checked; None until the end has been reached."""
        return self._outcome.verdict

    @property
    def attestation(self) -> AttestationResult | None:
        """Why the node's key was accepted; None until the end has been reached."""
        return self._outcome.attestation


class ChatStream(_Stream):
    """The chunks of one chat answer, as OpenAI's `chat.completion.chunk` objects.

    Closing it, leaving its `with` block, or forgetting it hangs up.
    """

    def __init__(
        self, start: Callable[[Outcome], Generator[dict[str, Any], None, None]]
    ) -> None:
        super().__init__()
        self._chunks = start(self._outcome)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self

    def __next__(self) -> dict[str, Any]:
        return next(self._chunks)

    def close(self) -> None:
        """Hang up, silently: to stop early is no truncation."""
        self._chunks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()


class AsyncChatStream(_Stream):
    """The chunks of one chat answer; see `ChatStream`."""

    def __init__(
        self, start: Callable[[Outcome], AsyncGenerator[dict[str, Any], None]]
    ) -> None:
        super().__init__()
        self._chunks = start(self._outcome)

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        return self

    async def __anext__(self) -> dict[str, Any]:
        return await anext(self._chunks)

    async def aclose(self) -> None:
        """Hang up, silently: to stop early is no truncation."""
        self._outcome.closed = True
        source = self._outcome.source
        if source is not None:
            # Before the generator, which then closes without a pause: a loop that ends
            # closes all generators at once, and complains of one that is closing.
            await source.aclose()
        if not cast("AsyncGeneratorType[Any, Any]", self._chunks).ag_running:
            await self._chunks.aclose()  # else another task reads it, and finds the end

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
