"""What the commands need of a framework, and how they get it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from ._endpoint import Framework

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from ._endpoint import Endpoint
    from ._index import OpenStore

__all__ = ["Answerer", "Backend", "Message", "Piece", "Verdict", "connect"]

Message: TypeAlias = tuple[Literal["system", "user", "assistant"], str]
"""Who says it, and what."""

Verdict: TypeAlias = "Mapping[str, bool | int | str]"
"""What was checked for an answer, as its metadata holds it."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of an answer; the last one brings the verdict."""

    text: str
    verdict: Verdict | None


class Answerer(Protocol):
    """Somebody to talk to."""

    def stream(self, messages: Sequence[Message]) -> Iterator[Piece]:
        """Answer, piece by piece."""


class Backend(Answerer, Protocol):
    """A framework with its models; making one sends nothing."""

    def embed_query(self, question: str) -> list[float]:
        """Return the vector of a question."""

    @property
    def open_store(self) -> OpenStore:
        """Open where its passages are kept."""


def connect(framework: Framework, endpoint: Endpoint) -> Backend:
    """Load a framework and make its models; nothing is sent."""
    if framework is Framework.LLAMA_INDEX:
        from ._llama_index_models import LlamaIndex  # noqa: PLC0415  heavy

        return LlamaIndex(endpoint)
    from ._langchain_models import LangChain  # noqa: PLC0415  likewise

    return LangChain(endpoint)
