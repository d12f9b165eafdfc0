"""What the commands talk to: their options, and the models made from them."""

from __future__ import annotations

import enum
import ipaddress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_atoma import AtomaChatModel, AtomaEmbeddings

__all__ = [
    "CHAT_MODEL",
    "EMBEDDING_MODEL",
    "Endpoint",
    "Nonces",
    "StreamMode",
    "is_loopback",
]

CHAT_MODEL = "meta-llama/Llama-3.3-70B-Instruct"
EMBEDDING_MODEL = "intfloat/multilingual-e5-large-instruct"

# As the model card of EMBEDDING_MODEL asks for; passages go without.
_E5_QUERY = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the "
    "query\nQuery: "
)

# A batch of the index then takes a few requests, side by side.
_TEXTS_A_REQUEST = 64


class StreamMode(enum.StrEnum):
    """How an answer travels; docs/langchain.md says what each protects."""

    AUTO = "auto"
    LIVE = "live"
    BUFFERED = "buffered"


class Nonces(enum.StrEnum):
    """Whether the pieces of a stream have a nonce each, or share one."""

    FRESH = "fresh"
    REUSED = "reused"


def is_loopback(host: str) -> bool:
    """Tell whether only this machine can connect to `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Which models to use, and how; address and key come from the environment."""

    chat_model: str = CHAT_MODEL
    embedding_model: str = EMBEDDING_MODEL
    stream_mode: StreamMode = StreamMode.AUTO
    confidential: bool = True
    base_url: str | None = None
    api_key: str | None = None

    def chat(self) -> AtomaChatModel:
        """Make the chat model; nothing is sent."""
        from langchain_atoma import AtomaChatModel  # noqa: PLC0415  heavy

        return AtomaChatModel(
            model=self.chat_model,
            stream_mode=self.stream_mode.value,
            **self._connection(),
        )

    def embeddings(self) -> AtomaEmbeddings:
        """Make the embedding model, with the query prefix it was trained with."""
        from langchain_atoma import AtomaEmbeddings  # noqa: PLC0415  heavy

        is_e5 = "e5" in self.embedding_model and "instruct" in self.embedding_model
        return AtomaEmbeddings(
            model=self.embedding_model,
            query_instruction=_E5_QUERY if is_e5 else "",
            chunk_size=_TEXTS_A_REQUEST,
            **self._connection(),
        )

    def _connection(self) -> dict[str, Any]:
        # The commands call the models themselves, so nothing around them is traced
        # either: with this, LangSmith gets nothing, whatever the environment says.
        settings: dict[str, Any] = {
            "confidential": self.confidential,
            "tracing_policy": "suppress",
            "base_url": self.base_url,
            "api_key": self.api_key,
        }
        return {name: value for name, value in settings.items() if value is not None}
