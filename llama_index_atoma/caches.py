"""A key-value store of LlamaIndex that holds nothing in clear."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

from llama_index.core.storage.kvstore.types import (
    DEFAULT_BATCH_SIZE,
    DEFAULT_COLLECTION,
    BaseKVStore,
)

from atoma_confidential._base64 import decoded
from atoma_confidential.cache_entries import CHECK, CacheEntries, is_entry_name
from atoma_confidential.cache_secret import CacheSecret
from atoma_confidential.errors import InvalidInputError

__all__ = ["EncryptedKVStore"]

Value = dict[str, Any]

_FIELD = "sealed"


class EncryptedKVStore(BaseKVStore):
    """A key-value store that seals what it puts into another one.

        from atoma_confidential import CacheSecret
        from llama_index.core.ingestion import IngestionCache
        from llama_index.core.storage.kvstore import SimpleKVStore
        from llama_index_atoma import AtomaEmbeddings, EncryptedKVStore

        kept = SimpleKVStore()
        store = EncryptedKVStore(kept, CacheSecret.from_file("secrets/cache"))
        cache = IngestionCache(cache=store)
        embed_model = AtomaEmbeddings(model_name="…", embeddings_cache=store)
        ...
        kept.persist("cache.json")

    The name of a collection stays in clear, and its entries are of no use in another.
    Before the first use of a collection, the secret is compared with the one that it
    was begun under. Every method raises `CacheSecretError` if it is another one, and
    what reads, `CacheEntryError` if an entry was changed or moved.

    Args:
        store: Where the sealed entries go.
        secret: What they are named and sealed under.
    """

    def __init__(self, store: BaseKVStore, secret: CacheSecret) -> None:
        self._store = store
        self._secret = secret
        self._collections: dict[str, CacheEntries] = {}

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._store, self._secret)

    def put(self, key: str, val: Value, collection: str = DEFAULT_COLLECTION) -> None:
        """Seal a value, which must be JSON, under its key."""
        self._store.put(*_sealed(self._entries(collection), key, val), collection)

    async def aput(
        self, key: str, val: Value, collection: str = DEFAULT_COLLECTION
    ) -> None:
        """Seal a value, which must be JSON, under its key."""
        entries = await self._aentries(collection)
        await self._store.aput(*_sealed(entries, key, val), collection)

    def put_all(
        self,
        kv_pairs: list[tuple[str, Value]],
        collection: str = DEFAULT_COLLECTION,
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> None:
        """Seal values, in batches where the store below takes them."""
        entries = self._entries(collection)
        sealed = [_sealed(entries, *pair) for pair in kv_pairs]
        self._store.put_all(sealed, collection, batch_size)

    async def aput_all(
        self,
        kv_pairs: list[tuple[str, Value]],
        collection: str = DEFAULT_COLLECTION,
        batch_size: int = DEFAULT_BATCH_SIZE,
    ) -> None:
        """Seal values, in batches where the store below takes them."""
        entries = await self._aentries(collection)
        sealed = [_sealed(entries, *pair) for pair in kv_pairs]
        await self._store.aput_all(sealed, collection, batch_size)

    def get(self, key: str, collection: str = DEFAULT_COLLECTION) -> Value | None:
        """Return the value of a key; None where there is none."""
        entries = self._entries(collection)
        name = entries.name(key)
        found = self._store.get(name, collection)
        return None if found is None else _opened(entries, name, found)[1]

    async def aget(
        self, key: str, collection: str = DEFAULT_COLLECTION
    ) -> Value | None:
        """Return the value of a key; None where there is none."""
        entries = await self._aentries(collection)
        name = entries.name(key)
        found = await self._store.aget(name, collection)
        return None if found is None else _opened(entries, name, found)[1]

    def get_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, Value]:
        """Return all values of a collection by their keys."""
        entries = self._entries(collection)
        return dict(_all_opened(entries, self._store.get_all(collection)))

    async def aget_all(self, collection: str = DEFAULT_COLLECTION) -> dict[str, Value]:
        """Return all values of a collection by their keys."""
        entries = await self._aentries(collection)
        return dict(_all_opened(entries, await self._store.aget_all(collection)))

    def delete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        """Delete the entry of a key; return whether there was one."""
        name = self._entries(collection).name(key)
        return self._store.delete(name, collection)

    async def adelete(self, key: str, collection: str = DEFAULT_COLLECTION) -> bool:
        """Delete the entry of a key; return whether there was one."""
        name = (await self._aentries(collection)).name(key)
        return await self._store.adelete(name, collection)

    def _entries(self, collection: str) -> CacheEntries:
        """Return what seals a collection, once the secret is found to be its own."""
        if (known := self._collections.get(collection)) is not None:
            return known
        entries = self._secret.entries(collection)
        check = self._store.get(CHECK, collection)
        if check is None:
            self._store.put(CHECK, _in_base64(entries.check()), collection)
            # Another process may have begun it at the same time.
            check = self._store.get(CHECK, collection)
        return self._verified(collection, entries, check)

    async def _aentries(self, collection: str) -> CacheEntries:
        if (known := self._collections.get(collection)) is not None:
            return known
        entries = self._secret.entries(collection)
        check = await self._store.aget(CHECK, collection)
        if check is None:
            await self._store.aput(CHECK, _in_base64(entries.check()), collection)
            check = await self._store.aget(CHECK, collection)
        return self._verified(collection, entries, check)

    def _verified(
        self, collection: str, entries: CacheEntries, check: Value | None
    ) -> CacheEntries:
        entries.verify(_from_base64(check))
        self._collections[collection] = entries
        return entries


def _sealed(entries: CacheEntries, key: str, value: Value) -> tuple[str, Value]:
    try:
        data = json.dumps(value).encode()
    except (TypeError, ValueError, RecursionError) as error:
        kind = type(error).__name__
    else:
        return entries.name(key), _in_base64(entries.seal(key, data))
    raise InvalidInputError(f"A value for the cache is not JSON ({kind}).")


def _opened(entries: CacheEntries, name: str, found: Value) -> tuple[str, Value]:
    key, data = entries.open(name, _from_base64(found))
    value: Value = json.loads(data)
    return key, value


def _all_opened(
    entries: CacheEntries, found: dict[str, Value]
) -> Iterator[tuple[str, Value]]:
    """Open what is ours; a collection may hold more, such as what was put in clear."""
    return (
        _opened(entries, name, one)
        for name, one in found.items()
        if is_entry_name(name)
    )


def _in_base64(data: bytes) -> Value:
    return {_FIELD: base64.b64encode(data).decode()}


def _from_base64(value: Value | None) -> bytes:
    """Return what is sealed; nothing, which does not open, for anything else."""
    text = value.get(_FIELD) if isinstance(value, dict) else None
    return decoded(text) or b""
