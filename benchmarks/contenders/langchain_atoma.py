"""Ours, in LangChain; sealed or plain."""

from __future__ import annotations

from langchain_atoma import AtomaChatModel, AtomaEmbeddings

from . import wants
from .langchain import LangChain


def make(url: str, key: str, kind: str) -> LangChain:
    where = {"base_url": url, "api_key": key, "confidential": kind != "plain"}
    sizes = {None: {}} | {size: {"chunk_size": size} for size in (100, 2048)}
    return LangChain(
        AtomaChatModel(model=wants.MODEL, lock_ahead=kind == "ahead", **where),
        {
            batch: AtomaEmbeddings(model=wants.MODEL, **size, **where)
            for batch, size in sizes.items()
        },
    )
