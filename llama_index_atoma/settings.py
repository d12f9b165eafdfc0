"""LlamaIndex's global settings."""

from __future__ import annotations

from typing import Any

from llama_index.core.settings import Settings

from atoma_confidential.errors import InvalidInputError
from atoma_confidential.known_models import CHAT_MODEL, EMBEDDING_MODEL

from .embeddings import AtomaEmbeddings
from .llms import AtomaChatModel

__all__ = ["use_atoma"]


def use_atoma(
    *,
    llm: AtomaChatModel | str = CHAT_MODEL,
    embed_model: AtomaEmbeddings | str = EMBEDDING_MODEL,
    **connection: Any,
) -> None:
    """Make Atoma what LlamaIndex falls back to, for chat and for embeddings.

    Where a component is given no model, LlamaIndex takes the global one, which is
    OpenAI's until it is set: to set one of the two is to send plaintext with the other.

    Args:
        llm: A model, or its name.
        embed_model: A model, or its name.
        **connection: For models given by name: what both have, such as `base_url`.

    Raises:
        InvalidInputError: A model is not of this package, or a setting cannot be used;
            nothing was changed.
        MissingCredentialsError: There is no API key; nothing was changed.
    """
    # Before either is set: what came later would leave one of the two as it was.
    _check("llm", llm, AtomaChatModel)
    _check("embed_model", embed_model, AtomaEmbeddings)
    if connection and not (isinstance(llm, str) or isinstance(embed_model, str)):
        raise InvalidInputError(
            f"Both models are there already, so {', '.join(sorted(connection))} would "
            "have no effect; set it on the models."
        )
    if isinstance(llm, str):
        llm = AtomaChatModel(model=llm, **connection)
    if isinstance(embed_model, str):
        embed_model = AtomaEmbeddings(model_name=embed_model, **connection)
    Settings.llm = llm
    Settings.embed_model = embed_model


def _check(name: str, model: object, wanted: type) -> None:
    if not isinstance(model, str | wanted):
        raise InvalidInputError(
            f"{name} is a name or of class {wanted.__name__}, not "
            f"{type(model).__name__}; nothing was changed."
        )
