"""LlamaIndex chat models and embeddings that are sealed to an Atoma node's key.

    from llama_index_atoma import AtomaChatModel, AtomaEmbeddings, use_atoma

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
    from .caches import EncryptedKVStore
    from .embeddings import AtomaEmbedding, AtomaEmbeddings
    from .llms import Atoma, AtomaChatModel
    from .settings import use_atoma

__all__ = [
    "Atoma",
    "AtomaChatModel",
    "AtomaEmbedding",
    "AtomaEmbeddings",
    "EncryptedKVStore",
    "PlaintextEgressError",
    "PlaintextEgressWarning",
    "RefusedAnswerError",
    "TruncatedAnswerError",
    "UnparsableAnswerError",
    "__version__",
    "assert_no_plaintext_egress",
    "errors",
    "use_atoma",
]

__getattr__ = lazy(
    __name__,
    {
        "_tracing": ["assert_no_plaintext_egress"],
        "caches": ["EncryptedKVStore"],
        "embeddings": ["AtomaEmbedding", "AtomaEmbeddings"],
        "llms": ["Atoma", "AtomaChatModel"],
        "settings": ["use_atoma"],
    },
)


def __dir__() -> list[str]:
    return __all__
