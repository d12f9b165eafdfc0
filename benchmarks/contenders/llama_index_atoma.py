"""Ours, in LlamaIndex; sealed or plain."""

from __future__ import annotations

from llama_index_atoma import AtomaChatModel, AtomaEmbeddings

from . import wants
from .llama_index import LlamaIndex


def make(url: str, key: str, kind: str) -> LlamaIndex:
    where = {"base_url": url, "api_key": key, "confidential": kind != "plain"}
    sizes = {None: {}, 100: {"request_size": 100}}
    return LlamaIndex(
        AtomaChatModel(model=wants.MODEL, lock_ahead=kind == "ahead", **where),
        {
            batch: AtomaEmbeddings(model=wants.MODEL, **size, **where)
            for batch, size in sizes.items()
        },
    )
