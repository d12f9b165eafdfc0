"""The models of `langchain_atoma`, as the commands use them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from langchain_atoma import AtomaChatModel, AtomaEmbeddings

from ._backend import Piece
from ._endpoint import TEXTS_A_REQUEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ._backend import Message
    from ._endpoint import Endpoint
    from ._index import OpenStore

__all__ = ["LangChain"]


class LangChain:
    """LangChain as a `Backend`."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._chat = AtomaChatModel(
            model=endpoint.chat_model,
            stream_mode=endpoint.stream_mode.value,
            **endpoint.connection(),
        )
        self._embeddings = AtomaEmbeddings(
            model=endpoint.embedding_model,
            chunk_size=TEXTS_A_REQUEST,
            **endpoint.connection(),
        )

    def stream(self, messages: Sequence[Message]) -> Iterator[Piece]:
        """Ask the chat model."""
        for chunk in self._chat.stream([*messages]):
            yield Piece(chunk.text, chunk.response_metadata.get("atoma"))

    def embed_query(self, question: str) -> list[float]:
        """Ask the embedding model."""
        return self._embeddings.embed_query(question)

    @property
    def open_store(self) -> OpenStore:
        """Where its passages are kept."""
        from ._langchain_store import open_store  # noqa: PLC0415  not for a chat

        return functools.partial(open_store, embeddings=self._embeddings)
