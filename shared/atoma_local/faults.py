"""Misbehaviour on demand: which request is hit by which fault.

The faults themselves are rows of `_fault_table.FAULTS`; adding one is adding a line.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Self

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .node import Node

__all__ = ["Call", "Fault", "Faults", "Stage"]

Stage = Literal[
    "lock",  # None; before a lock is granted; may raise
    "lock-reply",  # the JSON object that grants a lock
    "post",  # None; the lock is used up, the node not yet contacted; may raise
    "open",  # None; at the node, before it opens the request; may raise
    "answer",  # the engine's JSON object, before it is hashed, signed and sealed
    "chunks",  # the list of the engine's chunk objects of a stream, likewise
    "seal",  # None; at the node, the request opened, the reply not yet sealed
    "nonces",  # "fresh" or "reused", for one stream
    "sealed",  # the reply envelope; of a stream, each event by itself
    "frames",  # the list of a stream's frames: bytes, or a `_fault_table.Mark`
    "response",  # the HTTP response
]


@dataclass(frozen=True, slots=True)
class Call:
    """What a fault may look at: the exchange it is part of."""

    node: Node
    path: str
    headers: Mapping[str, str]
    envelope: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to misbehave: at a stage, a value goes in and a worse one comes out."""

    stage: Stage
    apply: Callable[[Any, Call], Any]
    about: str
    name: str = ""


@dataclass(slots=True)
class _Pending:
    fault: Fault
    skip: int


class Faults:
    """The faults in force; may be changed while the server runs.

    A fault is a row of the table by its name, where a number may follow a colon
    (`"stream-truncated:3"`), or a `Fault` of your own.

    Args:
        always: faults that hit every request from the start.
    """

    def __init__(self, *always: str | Fault) -> None:
        self._guard = threading.Lock()
        self._always = [_resolve(fault) for fault in always]
        self._queue: list[_Pending] = []

    def __repr__(self) -> str:
        return f"Faults(always={[f.name for f in self._always]}, once={self.pending})"

    @property
    def pending(self) -> list[str]:
        """Names of the one-shot faults that have hit nothing yet."""
        with self._guard:
            return [entry.fault.name for entry in self._queue]

    def once(self, *faults: str | Fault, skip: int = 0) -> Self:
        """Queue faults; those of one stage hit successive requests, one each.

        Args:
            faults: in the order in which they are to hit.
            skip: how many requests (at "sealed": replies and events) the first of
                them lets pass.
        """
        with self._guard:
            for fault in faults:
                self._queue.append(_Pending(_resolve(fault), skip))
                skip = 0
        return self

    def always(self, *faults: str | Fault) -> Self:
        """Switch faults on for every request until `clear`."""
        with self._guard:
            self._always += [_resolve(fault) for fault in faults]
        return self

    def clear(self) -> None:
        """Behave again: forget queued and permanent faults."""
        with self._guard:
            self._always.clear()
            self._queue.clear()

    def touches(self, stage: Stage) -> bool:
        """Whether the next request is hit at this stage or counted for it."""
        with self._guard:
            return any(f.stage == stage for f in self._always) or any(
                entry.fault.stage == stage for entry in self._queue
            )

    def apply(self, stage: Stage, value: Any, call: Call) -> Any:
        """Pass a value through the faults that hit this request at this stage."""
        for fault in self._take(stage):
            value = fault.apply(value, call)
        return value

    def _take(self, stage: Stage) -> list[Fault]:
        with self._guard:
            hits = [fault for fault in self._always if fault.stage == stage]
            entry = next((e for e in self._queue if e.fault.stage == stage), None)
            if entry is not None and entry.skip:
                entry.skip -= 1
            elif entry is not None:
                self._queue.remove(entry)
                hits.append(entry.fault)
            return hits


def _resolve(fault: str | Fault) -> Fault:
    from ._fault_table import find_fault  # noqa: PLC0415  (it imports Fault)

    return fault if isinstance(fault, Fault) else find_fault(fault)
