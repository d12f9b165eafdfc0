"""How LlamaIndex embeds many texts: batches, events, cache and rate limit.

Written out, and not inherited: core shares one cache entry between a query and a
document of the same text, keeps that text as the key, and where a batch fails leaves
its siblings running and their events open.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from abc import ABC
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.callbacks.schema import CBEventType, EventPayload
from llama_index.core.instrumentation.events.embedding import (
    EmbeddingEndEvent,
    EmbeddingStartEvent,
)
from llama_index.core.utils import get_tqdm_iterable
from llama_index_instrumentation import get_dispatcher
from pydantic import PrivateAttr

from atoma_confidential._batches import measure
from atoma_confidential._loops import LoopLocal
from atoma_confidential.errors import ConfidentialError

__all__ = ["BatchedEmbedding", "Role", "Vector"]

Role: TypeAlias = Literal["query", "text"]
Vector: TypeAlias = list[float]

_COLLECTION = "embeddings"
_DESCRIPTION = "Generating embeddings"

_dispatcher = get_dispatcher(__name__)


class BatchedEmbedding(BaseEmbedding, ABC):
    """Embeds texts in one of two roles, announced unless the guard objects."""

    _slots: LoopLocal[asyncio.Semaphore] = PrivateAttr(default_factory=LoopLocal)

    if TYPE_CHECKING:
        # Not abstract: core puts a span around what implements an abstract method.

        def _guard(self) -> bool:
            """Return whether nothing is to be announced."""

        def _vectors(self, texts: list[str], role: Role) -> list[Vector]:
            """Return one vector for each text."""

        async def _avectors(self, texts: list[str], role: Role) -> list[Vector]:
            """Return one vector for each text."""

        def _identity(self, role: Role) -> Sequence[Any]:
            """Return all that a vector depends on, besides the text."""

        @property
        def _batches_at_a_time(self) -> int:
            """How many batches may be under way in one event loop."""

    def _embed(
        self, texts: Sequence[str], role: Role, *, show_progress: bool = False
    ) -> list[Vector]:
        batches = self._batches(texts)
        silent = self._guard()
        found: list[Vector] = []
        for batch in get_tqdm_iterable(batches, show_progress, _DESCRIPTION):
            chunks = [texts[i] for i in batch]
            with _located(batch), self._announced(chunks, silent=silent) as vectors:
                vectors.extend(self._through_cache(chunks, role))
            found += vectors
        return found

    async def _aembed(
        self, texts: Sequence[str], role: Role, *, show_progress: bool = False
    ) -> list[Vector]:
        batches = self._batches(texts)
        silent = self._guard()
        workers = asyncio.Semaphore(self.num_workers or len(batches) or 1)

        async def embed(batch: range) -> list[Vector]:
            chunks = [texts[i] for i in batch]
            async with workers, self._slot():
                with _located(batch), self._announced(chunks, silent=silent) as vectors:
                    vectors.extend(await self._athrough_cache(chunks, role))
            return vectors

        tasks = [asyncio.ensure_future(embed(batch)) for batch in batches]
        try:
            bar = get_tqdm_iterable(batches, show_progress, _DESCRIPTION)
            for _, done in zip(bar, asyncio.as_completed(tasks), strict=True):
                await done
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return [vector for task in tasks for vector in task.result()]

    def _batches(self, texts: Sequence[str]) -> list[range]:
        """Return the indices of each batch; what cannot be embedded is told first."""
        measure(texts)
        size = self.embed_batch_size
        ends = range(0, len(texts), size)
        return [range(start, min(start + size, len(texts))) for start in ends]

    @contextmanager
    def _announced(self, chunks: list[str], *, silent: bool) -> Iterator[list[Vector]]:
        """Emit the events around the embedding of some texts; give their vectors."""
        vectors: list[Vector] = []
        if silent:
            yield vectors
            return
        payload = self.to_payload()
        _dispatcher.event(EmbeddingStartEvent(model_dict=payload))
        with self.callback_manager.event(
            CBEventType.EMBEDDING, payload={EventPayload.SERIALIZED: payload}
        ) as event:
            yield vectors
            event.on_end(
                payload={EventPayload.CHUNKS: chunks, EventPayload.EMBEDDINGS: vectors}
            )
        # To validate would copy each number.
        end = EmbeddingEndEvent.model_construct(chunks=chunks, embeddings=vectors)
        _dispatcher.event(end)

    def _through_cache(self, texts: list[str], role: Role) -> list[Vector]:
        cache = self.embeddings_cache
        if cache is None:
            return self._limited(texts, role)
        keys = [self._key(text, role) for text in texts]
        known = [_cached(cache.get(key=key, collection=_COLLECTION)) for key in keys]
        missing = [i for i, vector in enumerate(known) if vector is None]
        made = self._limited([texts[i] for i in missing], role) if missing else []
        for index, vector in zip(missing, made, strict=True):
            known[index] = vector
            cache.put(keys[index], {str(uuid.uuid4()): vector}, _COLLECTION)
        return [vector for vector in known if vector is not None]

    async def _athrough_cache(self, texts: list[str], role: Role) -> list[Vector]:
        cache = self.embeddings_cache
        if cache is None:
            return await self._alimited(texts, role)
        keys = [self._key(text, role) for text in texts]
        known = [
            _cached(await cache.aget(key=key, collection=_COLLECTION)) for key in keys
        ]
        missing = [i for i, vector in enumerate(known) if vector is None]
        wanted = [texts[i] for i in missing]
        made = await self._alimited(wanted, role) if missing else []
        for index, vector in zip(missing, made, strict=True):
            known[index] = vector
            await cache.aput(keys[index], {str(uuid.uuid4()): vector}, _COLLECTION)
        return [vector for vector in known if vector is not None]

    def _limited(self, texts: list[str], role: Role) -> list[Vector]:
        if self.rate_limiter is not None:
            self.rate_limiter.acquire()
        return self._vectors(texts, role)

    async def _alimited(self, texts: list[str], role: Role) -> list[Vector]:
        if self.rate_limiter is not None:
            await self.rate_limiter.async_acquire()
        return await self._avectors(texts, role)

    def _key(self, text: str, role: Role) -> str:
        """Return where a vector is kept: not under its text, and apart by its role."""
        parts = json.dumps([role, *self._identity(role), text], sort_keys=True)
        return hashlib.sha256(parts.encode()).hexdigest()

    @asynccontextmanager
    async def _slot(self) -> AsyncIterator[None]:
        """Wait for a place among the batches of all calls in this event loop."""
        limit = self._slots.get()
        if limit is None:
            limit = self._slots.set(asyncio.Semaphore(self._batches_at_a_time))
        async with limit:
            yield


@contextmanager
def _located(batch: range) -> Iterator[None]:
    """Let an error name texts by their place among all that were given."""
    try:
        yield
    except ConfidentialError as error:
        if error.indices is not None:
            inner = error.indices
            error.indices = range(batch.start + inner.start, batch.start + inner.stop)
        raise


def _cached(entry: dict[str, Vector] | None) -> Vector | None:
    return None if not entry else next(iter(entry.values()))
