"""LlamaIndex's global settings."""

from __future__ import annotations

from typing import Any

from llama_index.core.settings import Settings

from .embeddings import AtomaEmbeddings
from .llms import AtomaChatModel

__all__ = ["use_atoma"]

_LLM = "meta-llama/Llama-3.3-70B-Instruct"
_EMBED_MODEL = "intfloat/multilingual-e5-large-instruct"


def use_atoma(
    *,
    llm: AtomaChatModel | str = _LLM,
    embed_model: AtomaEmbeddings | str = _EMBED_MODEL,
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
        InvalidInputError: A setting cannot be used; nothing was changed.
        MissingCredentialsError: There is no API key; nothing was changed.
    """
    if isinstance(llm, str):
        llm = AtomaChatModel(model=llm, **connection)
    if isinstance(embed_model, str):
        embed_model = AtomaEmbeddings(model_name=embed_model, **connection)
    Settings.llm = llm
    Settings.embed_model = embed_model
