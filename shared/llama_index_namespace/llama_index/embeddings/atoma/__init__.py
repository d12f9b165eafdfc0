"""Atoma's embeddings, where LlamaIndex's integrations are looked for."""

from llama_index_atoma.embeddings import AtomaEmbedding, AtomaEmbeddings

__all__ = ["AtomaEmbedding", "AtomaEmbeddings"]
