"""A chain that begins with a model of ours, and is guarded as the model is.

Core traces what a chain is asked before the model's own guard is reached.
"""

from __future__ import annotations

from contextlib import aclosing, closing
from typing import TYPE_CHECKING, Any, Self

from langchain_core.runnables import RunnableSequence
from pydantic import PrivateAttr

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from contextlib import AbstractContextManager

    from langchain_core.runnables import Runnable

    from ._suppress import SuppressibleRuns

__all__ = ["GuardedSequence"]

_END = object()


class GuardedSequence(RunnableSequence[Any, Any]):
    """A chain that starts its runs, and those of its steps, as its model does."""

    _model: SuppressibleRuns = PrivateAttr()

    @classmethod
    def of(cls, model: SuppressibleRuns, *steps: Runnable[Any, Any]) -> Self:
        """Return the chain of these steps, of which the model is one or within one."""
        sequence = cls(*steps, name="RunnableSequence")  # type: ignore[call-arg]
        sequence._model = model
        return sequence

    @classmethod
    def lc_id(cls) -> list[str]:
        """Return the id of core's class: what is loaded is guarded by its model."""
        return [*cls.get_lc_namespace(), "RunnableSequence"]

    def invoke(self, *args: Any, **kwargs: Any) -> Any:
        """Return the answer to one input; see the base class."""
        with self._start():
            return super().invoke(*args, **kwargs)

    async def ainvoke(self, *args: Any, **kwargs: Any) -> Any:
        """Return the answer to one input; see the base class."""
        with self._start():
            return await super().ainvoke(*args, **kwargs)

    def batch(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Return the answers to some inputs; see the base class."""
        with self._start():
            return super().batch(*args, **kwargs)

    async def abatch(self, *args: Any, **kwargs: Any) -> list[Any]:
        """Return the answers to some inputs; see the base class."""
        with self._start():
            return await super().abatch(*args, **kwargs)

    def stream(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Yield an answer as it grows; see the base class."""
        return self._items(super().stream(*args, **kwargs))

    def astream(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """Yield an answer as it grows; see the base class."""
        return self._aitems(super().astream(*args, **kwargs))

    def transform(self, *args: Any, **kwargs: Any) -> Iterator[Any]:
        """Yield an answer as it grows, within another chain; see the base class."""
        return self._items(super().transform(*args, **kwargs))

    def atransform(self, *args: Any, **kwargs: Any) -> AsyncIterator[Any]:
        """Yield an answer as it grows, within another chain; see the base class."""
        return self._aitems(super().atransform(*args, **kwargs))

    def _start(self) -> AbstractContextManager[None]:
        self._model._guard()  # noqa: SLF001 - a method of ours, for us alone
        return self._model._start()  # noqa: SLF001

    def _items(self, items: Iterator[Any]) -> Iterator[Any]:
        self._model._guard()  # noqa: SLF001
        with closing(items):  # type: ignore[type-var]  # core's is a generator
            while True:
                # Not around the yield; and again each time: steps start when the
                # first item reaches them.
                with self._model._start():  # noqa: SLF001
                    item = next(items, _END)
                if item is _END:
                    return
                yield item

    async def _aitems(self, items: AsyncIterator[Any]) -> AsyncIterator[Any]:
        self._model._guard()  # noqa: SLF001
        async with aclosing(items):  # type: ignore[type-var]
            while True:
                with self._model._start():  # noqa: SLF001
                    item = await anext(items, _END)
                if item is _END:
                    return
                yield item
