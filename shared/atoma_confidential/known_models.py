"""What models' own cards say of them, by the exact name of the model.

Where a card says nothing, nothing is guessed.
"""

from __future__ import annotations

__all__ = [
    "CHAT_MODEL",
    "EMBEDDING_MODEL",
    "context_window_of",
    "query_instruction_of",
]

CHAT_MODEL = "meta-llama/Llama-3.3-70B-Instruct"
"""Asked for where none is named."""

EMBEDDING_MODEL = "intfloat/multilingual-e5-large-instruct"
"""Likewise."""

_E5_QUERY = (
    "Instruct: Given a web search query, retrieve relevant passages that answer the "
    "query\nQuery: "
)
_QUERY_INSTRUCTIONS = {"intfloat/multilingual-e5-large-instruct": _E5_QUERY}

_CONTEXT_WINDOWS = {
    "meta-llama/Llama-3.1-8B-Instruct": 131_072,
    "meta-llama/Llama-3.1-70B-Instruct": 131_072,
    "meta-llama/Llama-3.1-405B-Instruct": 131_072,
    "meta-llama/Llama-3.2-3B-Instruct": 131_072,
    "meta-llama/Llama-3.3-70B-Instruct": 131_072,
    "deepseek-ai/DeepSeek-R1": 131_072,
    "mistralai/Mistral-Nemo-Instruct-2407": 131_072,
}


def query_instruction_of(model: str) -> str:
    """Return what a model was trained to read before a query; passages go without."""
    return _QUERY_INSTRUCTIONS.get(model, "")


def context_window_of(model: str) -> int | None:
    """Return how many tokens prompt and answer may have together."""
    return _CONTEXT_WINDOWS.get(model)
