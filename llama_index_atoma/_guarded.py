"""Puts the tracing guard, and the closing of streams, around a model's methods.

Core's decorators hand messages to handlers before a method's body runs, so that the
guard has to stand outside of them, and so does the check of arguments. Core's
generators do not close those they read from: where a handler keeps an exception, its
traceback would keep the connection open; and where nothing does, asyncio would close
them in a task of its own, beside ours.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import (
    AsyncGenerator,
    Callable,
    Coroutine,
    Generator,
    Iterator,
    Mapping,
)
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, TypeVar

from ._checked import check_arguments

__all__ = ["closed_by_caller", "guarded"]

_C = TypeVar("_C", bound=type[Any])
_G = TypeVar("_G", bound=Generator[Any, Any, Any] | AsyncGenerator[Any, Any])

_inner: ContextVar[list[Any] | None] = ContextVar("_inner", default=None)


def guarded(methods: Mapping[str, str], *, limited: bool = False) -> Callable[[_C], _C]:
    """Ask the guard before a method of a class emits its first event.

    Args:
        methods: Their names, each with the name of the one that emits nothing; with an
            empty name, where that is the method without its span.
        limited: Whether those that emit nothing leave it to this to take their turn
            with the rate limiter, as the others leave it to core's decorators.
    """

    def decorate(cls: _C) -> _C:
        for name, quiet in methods.items():
            method = getattr(cls, name)
            silent = getattr(cls, quiet) if quiet else inspect.unwrap(method)
            wrap = _async if inspect.iscoroutinefunction(method) else _sync
            setattr(cls, name, wrap(name, method, silent, limited=limited))
        return cls

    return decorate


def closed_by_caller(items: _G) -> _G:
    """Return a generator that the one the caller is given will close."""
    inner = _inner.get()
    if inner is not None:
        inner.append(items)
    return items


def _sync(
    name: str,
    method: Callable[..., Any],
    silent: Callable[..., Any],
    *,
    limited: bool,
) -> Callable[..., Any]:
    @functools.wraps(method)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        check_arguments(name, args, kwargs)
        if self._guard():
            if limited and self.rate_limiter is not None:
                self.rate_limiter.acquire()
            return silent(self, *args, **kwargs)
        with _noted() as inner:
            result = method(self, *args, **kwargs)
        if isinstance(result, Generator):
            return closed_by_caller(_closing(result, inner))
        return result

    return call


def _async(
    name: str,
    method: Callable[..., Coroutine[Any, Any, Any]],
    silent: Callable[..., Coroutine[Any, Any, Any]],
    *,
    limited: bool,
) -> Callable[..., Coroutine[Any, Any, Any]]:
    @functools.wraps(method)
    async def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        check_arguments(name, args, kwargs)
        if self._guard():
            if limited and self.rate_limiter is not None:
                await self.rate_limiter.async_acquire()
            return await silent(self, *args, **kwargs)
        with _noted() as inner:
            result = await method(self, *args, **kwargs)
        if isinstance(result, AsyncGenerator):
            return closed_by_caller(_aclosing(result, inner))
        return result

    return call


@contextmanager
def _noted() -> Iterator[list[Any]]:
    inner: list[Any] = []
    token = _inner.set(inner)
    try:
        yield inner
    finally:
        _inner.reset(token)


def _closing(
    items: Generator[Any, None, None], inner: list[Generator[Any, None, None]]
) -> Generator[Any, None, None]:
    try:
        yield from items
    finally:
        for generator in reversed(inner):
            generator.close()


async def _aclosing(
    items: AsyncGenerator[Any, None], inner: list[AsyncGenerator[Any, None]]
) -> AsyncGenerator[Any, None]:
    try:
        async for item in items:
            yield item
    finally:
        await items.aclose()
        # From the outermost on, each closes what is inside of it.
        for generator in reversed(inner):
            await generator.aclose()
