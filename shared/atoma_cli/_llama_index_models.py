"""The models of `llama_index_atoma`, as the commands use them."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms import ChatMessage

from llama_index_atoma import AtomaChatModel, AtomaEmbeddings

from ._backend import Piece
from ._endpoint import TEXTS_A_REQUEST

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ._backend import Message
    from ._endpoint import Endpoint
    from ._index import OpenStore

__all__ = ["LlamaIndex", "silent_manager"]


class LlamaIndex:
    """LlamaIndex as a `Backend`."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._llm = AtomaChatModel(
            model=endpoint.chat_model,
            stream_mode=endpoint.stream_mode.value,
            callback_manager=silent_manager(),
            **endpoint.connection(),
        )
        self._embed_model = AtomaEmbeddings(
            model_name=endpoint.embedding_model,
            request_size=TEXTS_A_REQUEST,
            callback_manager=silent_manager(),
            **endpoint.connection(),
        )

    def stream(self, messages: Sequence[Message]) -> Iterator[Piece]:
        """Ask the chat model, and no query engine: its streams have no verdict."""
        asked = [ChatMessage(role=role, content=text) for role, text in messages]
        for item in self._llm.stream_chat(asked):
            yield Piece(item.delta or "", item.additional_kwargs.get("atoma"))

    def embed_query(self, question: str) -> list[float]:
        """Ask the embedding model."""
        return self._embed_model.get_query_embedding(question)

    @property
    def open_store(self) -> OpenStore:
        """Where its passages are kept."""
        from ._llama_index_store import open_store  # noqa: PLC0415  not for a chat

        return functools.partial(open_store, embeddings=self._embed_model)


def silent_manager() -> CallbackManager:
    """Return a manager that nobody listens to.

    One that is made without handlers takes those of the global settings.
    """
    manager = CallbackManager()
    manager.set_handlers([])
    return manager
