"""LangChain's OpenAI classes, in clear."""

from __future__ import annotations

from langchain_openai import ChatOpenAI, OpenAIEmbeddings

from . import wants
from .langchain import LangChain


def make(url: str, key: str, kind: str) -> LangChain:
    del kind
    where = {"base_url": f"{url}/openai/v1", "api_key": key}
    return LangChain(
        ChatOpenAI(model=wants.MODEL, **where),
        {
            batch: OpenAIEmbeddings(
                model=wants.MODEL,
                check_embedding_ctx_length=False,  # else it downloads a tokenizer
                **({} if batch is None else {"chunk_size": batch}),
                **where,
            )
            for batch in (None, 100)
        },
    )
