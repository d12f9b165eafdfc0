"""Which request is hit by which fault: once, always, and not any more."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, Protocol, Self, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["FaultQueue"]


class _Named(Protocol):
    @property
    def stage(self) -> str: ...

    @property
    def name(self) -> str: ...


F = TypeVar("F", bound=_Named)


@dataclass(slots=True)
class _Entry(Generic[F]):
    fault: F
    on: str
    skip: int = 0
    hits: int = 0

    def matches(self, stage: str, path: str) -> bool:
        return self.fault.stage == stage and path.startswith(self.on)


class FaultQueue(Generic[F]):
    """The faults in force; may be changed while requests are served.

    Args:
        find: looks a fault up by its name.
        always: faults that hit every request from the start.
    """

    def __init__(self, find: Callable[[str], F], *always: str | F) -> None:
        self._guard = threading.Lock()
        self._find = find
        self._always = [_Entry(self._resolve(fault), "") for fault in always]
        self._queue: list[_Entry[F]] = []

    def __repr__(self) -> str:
        always = [entry.fault.name for entry in self._always]
        return f"{type(self).__name__}(always={always}, once={self.pending})"

    @property
    def pending(self) -> list[str]:
        """Names of the one-shot faults that have hit nothing yet."""
        with self._guard:
            return [entry.fault.name for entry in self._queue]

    @property
    def idle(self) -> list[str]:
        """Names of all faults in force that have hit nothing yet."""
        with self._guard:
            entries = [*self._always, *self._queue]
            return [entry.fault.name for entry in entries if not entry.hits]

    def once(self, *faults: str | F, skip: int = 0, on: str = "") -> Self:
        """Queue faults; those of one stage hit successive requests, one each.

        Args:
            faults: in the order in which they are to hit.
            skip: how many requests (at "sealed": replies and events) the first of
                them lets pass.
            on: what the path of a request begins with that is hit or counted, for
                example `/v1/confidential/`.

        Raises:
            KeyError: there is no such fault.
        """
        found = [self._resolve(fault) for fault in faults]
        with self._guard:
            for fault in found:
                self._queue.append(_Entry(fault, on, skip))
                skip = 0
        return self

    def always(self, *faults: str | F, on: str = "") -> Self:
        """Switch faults on for every request until `clear`.

        Args:
            faults: hit in this order where they share a stage.
            on: as in `once`.

        Raises:
            KeyError: there is no such fault.
        """
        found = [_Entry(self._resolve(fault), on) for fault in faults]
        with self._guard:
            self._always += found
        return self

    def clear(self) -> None:
        """Behave again: forget queued and permanent faults."""
        with self._guard:
            self._always.clear()
            self._queue.clear()

    def touches(self, stage: str) -> bool:
        """Whether a request may be hit at this stage, or counted for it."""
        with self._guard:
            entries = [*self._always, *self._queue]
            return any(entry.fault.stage == stage for entry in entries)

    def take(self, stage: str, path: str) -> list[F]:
        """Return the faults that hit a request at a stage, and count it.

        Args:
            stage: where the request is.
            path: of the request.
        """
        with self._guard:
            hits = [entry for entry in self._always if entry.matches(stage, path)]
            entry = next((e for e in self._queue if e.matches(stage, path)), None)
            if entry is not None and entry.skip:
                entry.skip -= 1
            elif entry is not None:
                self._queue.remove(entry)
                hits.append(entry)
            for hit in hits:
                hit.hits += 1
            return [hit.fault for hit in hits]

    def _resolve(self, fault: str | F) -> F:
        return self._find(fault) if isinstance(fault, str) else fault
