"""A large corpus through LangChain's indexing API: read, embedded, handed on."""

from __future__ import annotations

import os
import resource
import sys
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from langchain_core.documents import Document
from langchain_core.indexing import RecordManager, index
from langchain_core.vectorstores import VectorStore

from langchain_atoma import AtomaEmbeddings

from . import wants

STATM = Path("/proc/self/statm")


class Sink(VectorStore):
    """Embeds what it gets and forgets it, as a store on another machine would."""

    def __init__(self, embeddings: AtomaEmbeddings) -> None:
        self._embeddings = embeddings
        self.stored = 0

    def add_documents(self, documents: list[Document], **kwargs: Any) -> list[str]:
        del kwargs
        texts = [document.page_content for document in documents]
        self.stored += len(self._embeddings.embed_documents(texts))
        return [str(uuid.uuid4()) for _ in documents]

    def delete(self, ids: list[str] | None = None, **kwargs: Any) -> bool:
        del ids, kwargs
        return True

    def similarity_search(self, *_args: Any, **_kwargs: Any) -> list[Document]:
        return []

    @classmethod
    def from_texts(cls, *_args: Any, **_kwargs: Any) -> Sink:
        raise NotImplementedError  # core's class demands it; indexing does without


class Forgetful(RecordManager):
    """Knows of no document: what it kept would be its own memory, not ours."""

    def create_schema(self) -> None:
        pass

    async def acreate_schema(self) -> None:
        pass

    def get_time(self) -> float:
        return 0.0

    async def aget_time(self) -> float:
        return 0.0

    def update(self, keys: Sequence[str], **kwargs: Any) -> None:
        pass

    async def aupdate(self, keys: Sequence[str], **kwargs: Any) -> None:
        pass

    def exists(self, keys: Sequence[str]) -> list[bool]:
        return [False] * len(keys)

    async def aexists(self, keys: Sequence[str]) -> list[bool]:
        return self.exists(keys)

    def list_keys(self, **kwargs: Any) -> list[str]:
        del kwargs
        return []

    async def alist_keys(self, **kwargs: Any) -> list[str]:
        del kwargs
        return []

    def delete_keys(self, keys: Sequence[str]) -> None:
        pass

    async def adelete_keys(self, keys: Sequence[str]) -> None:
        pass


class Corpus:
    def __init__(self, url: str, key: str) -> None:
        where = {"base_url": url, "api_key": key}
        self._sink = Sink(AtomaEmbeddings(model=wants.MODEL, **where))
        self._megabytes: list[float] = []

    def indexed(self, texts: int, marks: int) -> list[float]:
        """Index so many texts; return the memory in MB after each part of them."""
        self._sink.stored, self._megabytes = 0, []
        index(
            self._documents(texts, texts // marks),
            Forgetful("benchmark"),
            self._sink,
            batch_size=2048,  # as many requests as may be under way, of 256 each
            cleanup=None,
            key_encoder="sha256",
        )
        if self._sink.stored != texts:
            raise SystemExit(f"Of {texts} texts, {self._sink.stored} were stored.")
        return [*self._megabytes, _megabytes()]

    def _documents(self, texts: int, each: int) -> Iterator[Document]:
        for start in range(0, texts, each):
            if start:
                self._megabytes.append(_megabytes())
            for text in wants.batch(min(each, texts - start), start):
                yield Document(text)


def _megabytes() -> float:
    """Return the memory in use; the most that ever was, where that cannot be had."""
    if STATM.exists():
        pages = int(STATM.read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / (2**20 if sys.platform == "darwin" else 2**10)


def make(url: str, key: str, kind: str) -> Corpus:
    del kind
    return Corpus(url, key)
