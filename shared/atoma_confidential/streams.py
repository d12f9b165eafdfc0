"""The chunks of one chat answer, as they come, from either client."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Callable, Generator, Iterator
from types import TracebackType
from typing import Any, Self

from .attestation import AttestationResult
from .verdict import Verdict

__all__ = ["AsyncChatStream", "ChatStream"]


class ChatStream:
    """The chunks of one chat answer, as OpenAI's `chat.completion.chunk` objects.

    Closing it, or leaving its `with` block, hangs up.

    Attributes:
        verdict: What was checked; None until the end has been reached.
        attestation: Why the node's key was accepted, likewise.
    """

    def __init__(
        self, start: Callable[[ChatStream], Generator[dict[str, Any], None, None]]
    ) -> None:
        self.verdict: Verdict | None = None
        self.attestation: AttestationResult | None = None
        self._chunks = start(self)

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
    """The chunks of one chat answer; see `ChatStream`.

    Attributes:
        verdict: What was checked; None until the end has been reached.
        attestation: Why the node's key was accepted, likewise.
    """

    def __init__(
        self, start: Callable[[AsyncChatStream], AsyncGenerator[dict[str, Any], None]]
    ) -> None:
        self.verdict: Verdict | None = None
        self.attestation: AttestationResult | None = None
        self._chunks = start(self)

    def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        return self

    async def __anext__(self) -> dict[str, Any]:
        return await anext(self._chunks)

    async def aclose(self) -> None:
        """Hang up, silently: to stop early is no truncation."""
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
