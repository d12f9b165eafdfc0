"""Misbehaviour on demand: which request is hit by which fault.

The faults themselves are rows of `_fault_table.FAULTS`; adding one is adding a line.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from ._fault_queue import FaultQueue

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from .node import Node

__all__ = ["Call", "Fault", "Faults", "Stage"]

Stage = Literal[
    "lock",  # None; before a lock is granted; may raise
    "lock-reply",  # the JSON object that grants a lock
    "locks",  # the `Stack` that a request names, before a lock on it is used up
    "post",  # None; the lock is used up, the node not yet contacted; may raise
    "open",  # None; at the node, before it opens the request; may raise
    "answer",  # the engine's JSON object, before it is hashed, signed and sealed
    "chunks",  # the list of the engine's chunk objects of a stream, likewise
    "seal",  # None; at the node, the request opened, the reply not yet sealed
    "nonces",  # "fresh" or "reused", for one stream
    "sealed",  # the reply envelope; of a stream, each event by itself
    "frames",  # the list of a stream's frames: bytes, or a `_stream_faults.Mark`
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


class Faults(FaultQueue[Fault]):
    """The faults of a local Atoma in force; may be changed while it runs.

    A fault is a row of the table by its name, where a number may follow a colon
    (`"stream-truncated:3"`), or a `Fault` of your own.

    Args:
        always: faults that hit every request from the start.
    """

    def __init__(self, *always: str | Fault) -> None:
        super().__init__(_find, *always)

    def apply(self, stage: Stage, value: Any, call: Call) -> Any:
        """Pass a value through the faults that hit this request at this stage."""
        for fault in self.take(stage, call.path):
            value = fault.apply(value, call)
        return value


def _find(name: str) -> Fault:
    from ._fault_table import find_fault  # noqa: PLC0415  (it imports Fault)

    return find_fault(name)
