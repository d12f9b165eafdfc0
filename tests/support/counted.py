"""Embeddings of both frameworks that remember what they were asked to embed."""

from langchain_core.embeddings import DeterministicFakeEmbedding
from llama_index.core.embeddings import MockEmbedding

from atoma_cli._passages import Passage


class Counted:
    """Remembers what it was asked to embed; can fail after some batches."""

    def __init__(self, size=8, fail_after=1000):
        self.size = size
        self.fail_after = fail_after
        self.seen = []

    def see(self, texts):
        if len(self.seen) == self.fail_after:
            raise InterruptedError
        self.seen.append(texts)


def for_langchain(counted):
    class Embeddings(DeterministicFakeEmbedding):
        def embed_documents(self, texts):
            counted.see(texts)
            return super().embed_documents(texts)

    return Embeddings(size=counted.size)


def for_llama_index(counted):
    class Embeddings(MockEmbedding):
        def get_text_embedding_batch(self, texts, show_progress=False, **kwargs):
            if texts:
                counted.see(texts)
            return super().get_text_embedding_batch(texts, show_progress, **kwargs)

    return Embeddings(embed_dim=counted.size)


def passages(*texts, source="a.md"):
    return [Passage(text, source, n) for n, text in enumerate(texts, start=1)]
