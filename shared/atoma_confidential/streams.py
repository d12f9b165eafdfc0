"""The chunks of one chat answer, as they come, from either client."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Iterator
from types import AsyncGeneratorType, TracebackType
from typing import Any, Self

from .attestation import AttestationResult
from .verdict import Verdict

__all__ = ["AsyncChatStream", "ChatStream", "Outcome"]


class Outcome:
    """What is known of a stream once its end has been reached.

    Apart from the stream, which would otherwise hold itself through its generator: one
    that is forgotten is to hang up at once, and not when a cycle is found.
    """

    def __init__(self) -> None:
        self.verdict: Verdict | None = None
        self.attestation: AttestationResult | None = None


class ChatStream:
    """The chunks of one chat answer, as OpenAI's `chat.completion.chunk` objects.

    Closing it, leaving its `with` block, or forgetting it hangs up.
    """

    def __init__(
        self, start: Callable[[Outcome], Generator[dict[str, Any], None, None]]
    ) -> None:
        self._outcome = Outcome()
        self._chunks = start(self._outcome)

    @property
    def verdict(self) -> Verdict | None:
        """What was checked; None until the end has been reached."""
        return self._outcome.verdict

    @property
    def attestation(self) -> AttestationResult | None:
        """Why the node's key was accepted; None until the end has been reached."""
        return self._outcome.attestation

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


class AsyncChatStream:
    """The chunks of one chat answer; see `ChatStream`."""

    def __init__(
        self, start: Callable[[Outcome], AsyncGeneratorType[dict[str, Any], None]]
    ) -> None:
        self._outcome = Outcome()
        self._reading = False
        self._chunks = start(self._outcome)

    @property
    def verdict(self) -> Verdict | None:
        """What was checked; None until the end has been reached."""
        return self._outcome.verdict

    @property
    def attestation(self) -> AttestationResult | None:
        """Why the node's key was accepted; None until the end has been reached."""
        return self._outcome.attestation

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        return self

    async def __anext__(self) -> dict[str, Any]:
        self._reading = True
        try:
            return await anext(self._chunks)
        finally:
            self._reading = False

    async def aclose(self) -> None:
        """Hang up, silently: to stop early is no truncation."""
        if self._chunks.ag_running and not self._reading:
            return  # a loop that ends is closing it, at the same time as all others
        await self._chunks.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()
