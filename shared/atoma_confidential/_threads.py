"""Work in threads that is not waited for once it is in vain."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from contextvars import copy_context
from functools import partial
from queue import SimpleQueue
from typing import Generic, TypeVar
from weakref import WeakSet

__all__ = ["Beside", "side_by_side"]

I = TypeVar("I")  # noqa: E741 - an item
R = TypeVar("R")


class _Done(Generic[R]):
    """How one item ended."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.results: list[R] = []
        self.error: BaseException | None = None


def side_by_side(
    work: Callable[[I], R], items: Sequence[I], *, threads: int
) -> Iterator[tuple[int, R]]:
    """Yield the index and result of each item, as they are done.

    The first error is raised. From then on, and from when the caller stops, no further
    item is begun; those under way end by themselves. An executor would wait for them,
    on Ctrl-C too, and again when the interpreter exits.
    """
    waiting = deque(range(len(items)))
    guard = threading.Lock()
    done: SimpleQueue[_Done[R]] = SimpleQueue()

    def run() -> None:
        while (one := take()) is not None:
            try:
                one.results.append(work(items[one.index]))
            except BaseException as error:  # noqa: BLE001 - it is raised in the caller
                waiting.clear()
                one.error = error
            done.put(one)

    def take() -> _Done[R] | None:
        with guard:
            return _Done(waiting.popleft()) if waiting else None

    for number in range(min(threads, len(items))):
        threading.Thread(target=run, name=f"atoma-{number}", daemon=True).start()
    try:
        for _ in items:
            one = done.get()
            if one.error is not None:
                raise one.error
            yield one.index, one.results[0]
    finally:
        waiting.clear()


class Beside:
    """Work beside what a caller does; what it raises is nobody's."""

    def __init__(self) -> None:
        self._threads: WeakSet[threading.Thread] = WeakSet()

    def begin(self, work: Callable[[], None]) -> None:
        """Begin some work, if there are threads left for it."""

        def run() -> None:
            with suppress(Exception):
                work()

        run_here = partial(copy_context().run, run)
        thread = threading.Thread(target=run_here, name="atoma-beside", daemon=True)
        with suppress(RuntimeError):
            thread.start()
            self._threads.add(thread)

    def wait(self, seconds: float = 1) -> None:
        """Wait for what is being done, each for so many seconds at the most."""
        for thread in list(self._threads):
            thread.join(seconds)
