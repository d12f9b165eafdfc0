"""LangChain chat models and embeddings that are sealed to an Atoma node's key.

    from langchain_atoma import AtomaChatModel, AtomaEmbeddings

Names are loaded when they are first used: an indexing job that only embeds does not pay
for chat models.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from atoma_confidential import errors
from atoma_confidential._lazy import lazy
from atoma_confidential.errors import (
    PlaintextEgressError,
    PlaintextEgressWarning,
    RefusedAnswerError,
    TruncatedAnswerError,
    UnparsableAnswerError,
)

from ._version import __version__

if TYPE_CHECKING:
    from ._tracing import assert_no_plaintext_egress
    from .caches import EncryptedByteStore, EncryptedCache
    from .chat_models import AtomaChatModel, ChatAtoma
    from .embeddings import AtomaEmbeddings

__all__ = [
    "AtomaChatModel",
    "AtomaEmbeddings",
    "ChatAtoma",
    "EncryptedByteStore",
    "EncryptedCache",
    "PlaintextEgressError",
    "PlaintextEgressWarning",
    "RefusedAnswerError",
    "TruncatedAnswerError",
    "UnparsableAnswerError",
    "__version__",
    "assert_no_plaintext_egress",
    "errors",
]

__getattr__ = lazy(
    __name__,
    {
        "_tracing": ["assert_no_plaintext_egress"],
        "caches": ["EncryptedByteStore", "EncryptedCache"],
        "chat_models": ["AtomaChatModel", "ChatAtoma"],
        "embeddings": ["AtomaEmbeddings"],
    },
)


def __dir__() -> list[str]:
    return __all__
