"""LangChain chat models and embeddings that are sealed to an Atoma node's key.

    from langchain_atoma import AtomaChatModel, AtomaEmbeddings

Names are loaded when they are first used: an indexing job that only embeds does not pay
for chat models.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ._version import __version__

if TYPE_CHECKING:
    from atoma_confidential import errors

    from ._errors import RefusedAnswerError, TruncatedAnswerError
    from ._tracing import (
        PlaintextEgressError,
        PlaintextEgressWarning,
        assert_no_plaintext_egress,
    )
    from .chat_models import AtomaChatModel, ChatAtoma
    from .embeddings import AtomaEmbeddings

__all__ = [
    "AtomaChatModel",
    "AtomaEmbeddings",
    "ChatAtoma",
    "PlaintextEgressError",
    "PlaintextEgressWarning",
    "RefusedAnswerError",
    "TruncatedAnswerError",
    "__version__",
    "assert_no_plaintext_egress",
    "errors",
]

_HOMES = {
    "AtomaChatModel": ".chat_models",
    "AtomaEmbeddings": ".embeddings",
    "ChatAtoma": ".chat_models",
    "PlaintextEgressError": "._tracing",
    "PlaintextEgressWarning": "._tracing",
    "RefusedAnswerError": "._errors",
    "TruncatedAnswerError": "._errors",
    "assert_no_plaintext_egress": "._tracing",
}


def __getattr__(name: str) -> Any:
    if name == "errors":
        return importlib.import_module("atoma_confidential.errors")
    if (home := _HOMES.get(name)) is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(home, __name__), name)


def __dir__() -> list[str]:
    return __all__
