"""How long prompts may be, by the exact name of the model.

Only what a model's own card says. `context_window=` overrides an entry, and stands in
for a missing one.
"""

from __future__ import annotations

__all__ = ["UNKNOWN_CONTEXT_WINDOW", "context_window_of"]

UNKNOWN_CONTEXT_WINDOW = 32_768
"""Assumed where nothing is known.

LlamaIndex's own default of 3900 silently cuts memory and context; too high a guess is
told by the engine.
"""

_CONTEXT_WINDOWS = {
    "meta-llama/Llama-3.1-8B-Instruct": 131_072,
    "meta-llama/Llama-3.1-70B-Instruct": 131_072,
    "meta-llama/Llama-3.1-405B-Instruct": 131_072,
    "meta-llama/Llama-3.2-3B-Instruct": 131_072,
    "meta-llama/Llama-3.3-70B-Instruct": 131_072,
    "deepseek-ai/DeepSeek-R1": 131_072,
    "mistralai/Mistral-Nemo-Instruct-2407": 131_072,
}


def context_window_of(model: str) -> int:
    """Return how many tokens prompt and answer may have together."""
    return _CONTEXT_WINDOWS.get(model, UNKNOWN_CONTEXT_WINDOW)
