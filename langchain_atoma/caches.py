"""Caches of LangChain that hold nothing in clear: of vectors, and of answers."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, cast

from langchain_core.caches import RETURN_VAL_TYPE, BaseCache
from langchain_core.messages import message_to_dict, messages_from_dict
from langchain_core.outputs import ChatGeneration, Generation
from langchain_core.stores import ByteStore

from atoma_confidential.cache_entries import CHECK, is_entry_name
from atoma_confidential.cache_secret import CacheSecret
from atoma_confidential.errors import InvalidInputError

__all__ = ["EncryptedByteStore", "EncryptedCache"]


class EncryptedByteStore(ByteStore):
    """A `ByteStore` that seals what it puts into another one.

        from atoma_confidential import CacheSecret
        from langchain_atoma import EncryptedByteStore
        from langchain_classic.embeddings import CacheBackedEmbeddings
        from langchain_classic.storage import LocalFileStore

        secret = CacheSecret.from_file("secrets/cache")
        store = EncryptedByteStore(LocalFileStore("vectors"), secret)
        cached = CacheBackedEmbeddings.from_bytes_store(
            embeddings, store, namespace=embeddings.model, key_encoder="sha256"
        )

    Before its first use it compares the secret with the one that the namespace was
    begun under. Every method but `clear` raises `CacheSecretError` if it is another
    one, and what reads, `CacheEntryError` if an entry was changed or moved.

    Args:
        store: Where the sealed entries go.
        secret: What they are named and sealed under.
        namespace: Keeps apart what shares a store: 1 to 64 letters, digits, hyphens and
            underscores. It stands in clear before each name.

    Raises:
        InvalidInputError: The namespace is none.
    """

    def __init__(
        self, store: ByteStore, secret: CacheSecret, *, namespace: str = "cache"
    ) -> None:
        if not re.fullmatch(r"[A-Za-z0-9_-]{1,64}", namespace):
            raise InvalidInputError(
                "A namespace has 1 to 64 letters, digits, hyphens and underscores."
            )
        self._store = store
        self._secret = secret
        self._namespace = namespace
        self._entries = secret.entries(namespace)
        self._verified = False

    def __reduce__(self) -> tuple[Any, ...]:
        return _made, (type(self), self._store, self._secret, self._namespace)

    def mget(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values of these keys; None for each that is not there."""
        self._verify()
        names = [self._name(key) for key in keys]
        return self._opened(names, self._store.mget(names))

    async def amget(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values of these keys; None for each that is not there."""
        await self._averify()
        names = [self._name(key) for key in keys]
        return self._opened(names, await self._store.amget(names))

    def mset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        """Seal these values, each under its key."""
        self._verify()
        self._store.mset([self._sealed(*pair) for pair in key_value_pairs])

    async def amset(self, key_value_pairs: Sequence[tuple[str, bytes]]) -> None:
        """Seal these values, each under its key."""
        await self._averify()
        await self._store.amset([self._sealed(*pair) for pair in key_value_pairs])

    def mdelete(self, keys: Sequence[str]) -> None:
        """Delete the entries of these keys, also such as would not open."""
        self._verify()
        self._store.mdelete([self._name(key) for key in keys])

    async def amdelete(self, keys: Sequence[str]) -> None:
        """Delete the entries of these keys, also such as would not open."""
        await self._averify()
        await self._store.amdelete([self._name(key) for key in keys])

    def yield_keys(self, *, prefix: str | None = None) -> Iterator[str]:
        """Yield the keys that begin with a prefix; each entry is read for its key."""
        self._verify()
        # At once, for what takes keys from here may delete them.
        for name in [name for name in self._store.yield_keys() if self._is_own(name)]:
            yield from self._keys(name, self._store.mget([name]), prefix or "")

    async def ayield_keys(self, *, prefix: str | None = None) -> AsyncIterator[str]:
        """Yield the keys that begin with a prefix; each entry is read for its key."""
        await self._averify()
        names = [name async for name in self._store.ayield_keys()]
        for name in filter(self._is_own, names):
            for key in self._keys(name, await self._store.amget([name]), prefix or ""):
                yield key

    def clear(self) -> None:
        """Delete all of the namespace, whatever secret it was begun under."""
        self._verified = False
        names = filter(self._is_own, list(self._store.yield_keys()))
        self._store.mdelete([*names, self._check_name])

    async def aclear(self) -> None:
        """Delete all of the namespace, whatever secret it was begun under."""
        self._verified = False
        names = [name async for name in self._store.ayield_keys()]
        await self._store.amdelete([*filter(self._is_own, names), self._check_name])

    @property
    def _check_name(self) -> str:
        return f"{self._namespace}.{CHECK}"

    def _name(self, key: str) -> str:
        return f"{self._namespace}.{self._entries.name(key)}"

    def _is_own(self, name: str) -> bool:
        namespace, _, rest = name.partition(".")
        return namespace == self._namespace and is_entry_name(rest)

    def _sealed(self, key: str, value: bytes) -> tuple[str, bytes]:
        return self._name(key), self._entries.seal(key, value)

    def _open(self, name: str, sealed: bytes) -> tuple[str, bytes]:
        return self._entries.open(name.partition(".")[2], sealed)

    def _opened(
        self, names: list[str], found: Sequence[bytes | None]
    ) -> list[bytes | None]:
        return [
            None if sealed is None else self._open(name, sealed)[1]
            for name, sealed in zip(names, found, strict=True)
        ]

    def _keys(
        self, name: str, found: Sequence[bytes | None], prefix: str
    ) -> Iterator[str]:
        """Yield the key of an entry, unless it is gone meanwhile."""
        for sealed in found:
            if sealed is not None:
                key, _ = self._open(name, sealed)
                if key.startswith(prefix):
                    yield key

    def _verify(self) -> None:
        if self._verified:
            return
        (check,) = self._store.mget([self._check_name])
        if check is None:
            self._store.mset([(self._check_name, self._entries.check())])
            # Another process may have begun it at the same time.
            (check,) = self._store.mget([self._check_name])
        self._entries.verify(check or b"")
        self._verified = True

    async def _averify(self) -> None:
        if self._verified:
            return
        (check,) = await self._store.amget([self._check_name])
        if check is None:
            await self._store.amset([(self._check_name, self._entries.check())])
            (check,) = await self._store.amget([self._check_name])
        self._entries.verify(check or b"")
        self._verified = True


class EncryptedCache(BaseCache):
    """A cache of answers, sealed, in any `ByteStore`.

        from atoma_confidential import CacheSecret
        from langchain_atoma import EncryptedCache
        from langchain_classic.storage import LocalFileStore
        from langchain_core.globals import set_llm_cache

        secret = CacheSecret.from_file("secrets/cache")
        set_llm_cache(EncryptedCache(LocalFileStore("answers"), secret))

    An answer from here says so: its verdict, which is that of the day it was given,
    has `"cached": True` besides. An answer that would not come back as it was, such as
    one of another provider that holds parsed objects, is not kept.

    Args:
        store: Where the sealed answers go.
        secret: What they are named and sealed under.
        namespace: See `EncryptedByteStore`, for what is raised as well.
    """

    def __init__(
        self, store: ByteStore, secret: CacheSecret, *, namespace: str = "answers"
    ) -> None:
        self._store = EncryptedByteStore(store, secret, namespace=namespace)

    def lookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """Return what was answered to this prompt under these parameters."""
        (value,) = self._store.mget([_key(prompt, llm_string)])
        return _marked(value)

    async def alookup(self, prompt: str, llm_string: str) -> RETURN_VAL_TYPE | None:
        """Return what was answered to this prompt under these parameters."""
        (value,) = await self._store.amget([_key(prompt, llm_string)])
        return _marked(value)

    def update(self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE) -> None:
        """Keep an answer to this prompt under these parameters."""
        if value := _written(return_val):
            self._store.mset([(_key(prompt, llm_string), value)])

    async def aupdate(
        self, prompt: str, llm_string: str, return_val: RETURN_VAL_TYPE
    ) -> None:
        """Keep an answer to this prompt under these parameters."""
        if value := _written(return_val):
            await self._store.amset([(_key(prompt, llm_string), value)])

    def clear(self, **kwargs: Any) -> None:
        """Delete all answers, whatever secret they were sealed under."""
        del kwargs
        self._store.clear()

    async def aclear(self, **kwargs: Any) -> None:
        """Delete all answers, whatever secret they were sealed under."""
        del kwargs
        await self._store.aclear()


def _made(
    kind: type[EncryptedByteStore], store: ByteStore, secret: CacheSecret, name: str
) -> EncryptedByteStore:
    return kind(store, secret, namespace=name)


def _key(prompt: str, llm_string: str) -> str:
    return json.dumps([prompt, llm_string])


def _written(generations: RETURN_VAL_TYPE) -> bytes | None:
    """Return the bytes that these are read from again; None where there are none."""
    try:
        data = json.dumps([_as_dict(one) for one in generations]).encode()
        return data if _read(data) == list(generations) else None
    except (TypeError, ValueError, RecursionError):
        return None


def _as_dict(generation: Generation) -> dict[str, Any]:
    if isinstance(generation, ChatGeneration):
        said = {"message": message_to_dict(generation.message)}
    else:
        said = {"text": cast("Any", generation.text)}
    return {**said, "generation_info": generation.generation_info}


def _read(data: bytes) -> list[Generation]:
    """Make generations of text or of one of core's own messages, and nothing else."""
    return [_generation(**one) for one in json.loads(data)]


def _generation(*, message: Any = None, **fields: Any) -> Generation:
    if message is None:
        return Generation(**fields)
    return ChatGeneration(message=messages_from_dict([message])[0], **fields)


def _marked(value: bytes | None) -> list[Generation] | None:
    """Return cached generations, whose verdicts say that they are."""
    if value is None:
        return None
    generations = _read(value)
    for one in generations:
        if isinstance(one, ChatGeneration):
            metadata = one.message.response_metadata
            if isinstance(verdict := metadata.get("atoma"), dict):
                metadata["atoma"] = {**verdict, "cached": True}
    return generations
