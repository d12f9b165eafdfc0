"""LlamaIndex's OpenAI classes, in clear."""

from __future__ import annotations

from llama_index.embeddings.openai import OpenAIEmbedding
from llama_index.llms.openai import OpenAI

from . import wants
from .llama_index import LlamaIndex


def make(url: str, key: str, kind: str) -> LlamaIndex:
    del kind
    where = {"api_base": f"{url}/openai/v1", "api_key": key}
    sizes = {None: {}, 100: {"embed_batch_size": 100}}
    return LlamaIndex(
        OpenAI(model=wants.MODEL, **where),
        {batch: OpenAIEmbedding(**size, **where) for batch, size in sizes.items()},
    )
