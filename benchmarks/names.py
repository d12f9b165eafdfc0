"""What contenders are called on the page, and whose they are."""

from __future__ import annotations

__all__ = ["NAMES", "is_ours", "name_of"]

NAMES = {
    "raw": "httpx alone, plain",
    "openai_sdk": "OpenAI SDK, plain",
    "official_sdk": "atoma-sdk, sealed",
    "core": "our client, sealed",
    "core:plain": "our client, plain",
    "langchain_openai": "langchain-openai, plain",
    "langchain_atoma": "langchain_atoma, sealed",
    "langchain_atoma:ahead": "langchain_atoma, sealed, `lock_ahead`",
    "langchain_atoma:plain": "langchain_atoma, plain",
    "llama_index_openai": "llama-index-openai, plain",
    "llama_index_atoma": "llama_index_atoma, sealed",
    "llama_index_atoma:ahead": "llama_index_atoma, sealed, `lock_ahead`",
    "llama_index_atoma:plain": "llama_index_atoma, plain",
}


def name_of(contender: str) -> str:
    """Return the name for readers; what has none is called what it is."""
    return NAMES.get(contender, contender)


def is_ours(contender: str) -> bool:
    """Whether it is ours and sealed: the bars that matter."""
    return contender in {"core", "langchain_atoma", "llama_index_atoma"}
