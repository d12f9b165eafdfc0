"""Atoma's chat model, where LlamaIndex's integrations are looked for."""

from llama_index_atoma.llms import Atoma, AtomaChatModel

__all__ = ["Atoma", "AtomaChatModel"]
