"""All faults by name: those of the local Atoma and those of the network before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Self

from ._fault_table import FAULTS, find_fault
from .faults import Fault
from .network_faults import NETWORK_FAULTS, NetworkFault, find_network_fault

if TYPE_CHECKING:
    from collections.abc import Callable

    from .server import LocalAtoma

__all__ = ["FaultRow", "FaultSwitch", "list_faults"]

PLACES = {
    "lock": "lock",
    "lock-reply": "lock",
    "locks": "lock",
    "post": "proxy",
    "open": "node",
    "seal": "node",
    "sealed": "node",
    "nonces": "node",
    "answer": "engine",
    "chunks": "engine",
    "frames": "stream",
    "response": "proxy",
    "connection": "network",
    "request": "network",
    "reply": "network",
    "events": "network",
}


_Found = Fault | NetworkFault


class FaultRow(NamedTuple):
    """A fault that can be asked for.

    Attributes:
        name: With `:N` where it takes a number; without one, N is 1.
        place: Whose fault it is.
        about: What happens.
    """

    name: str
    place: str
    about: str


def list_faults() -> list[FaultRow]:
    """List every fault that a `FaultSwitch` knows."""
    return [
        _row(name, found)
        for table in (FAULTS, NETWORK_FAULTS)
        for name, found in table.items()
    ]


def _row(name: str, found: _Found | Callable[[int], _Found]) -> FaultRow:
    if isinstance(found, Fault | NetworkFault):
        return FaultRow(name, PLACES[found.stage], found.about)
    fault = found(1)
    return FaultRow(f"{name}:N", PLACES[fault.stage], fault.about)


class FaultSwitch:
    """Switches faults of a local Atoma, and of the relay before it.

    A fault is one of `list_faults` by its name, with its number after a colon, or a
    `Fault` or `NetworkFault` of your own.

    Args:
        atoma: started with `wiretap=True`.
    """

    def __init__(self, atoma: LocalAtoma) -> None:
        self._atoma = atoma.faults
        self._network = atoma.tap.faults

    def __repr__(self) -> str:
        return f"FaultSwitch({self._atoma!r}, {self._network!r})"

    @property
    def pending(self) -> list[str]:
        """Names of the one-shot faults that have hit nothing yet."""
        return [*self._atoma.pending, *self._network.pending]

    @property
    def idle(self) -> list[str]:
        """Names of all faults in force that have hit nothing yet."""
        return [*self._atoma.idle, *self._network.idle]

    def once(
        self, *faults: str | Fault | NetworkFault, skip: int = 0, on: str = ""
    ) -> Self:
        """Queue faults; those of one place hit successive requests, one each.

        Args:
            faults: in the order in which they are to hit.
            skip: how many requests the first of them lets pass.
            on: what the path of a request begins with that is hit or counted, for
                example `/v1/confidential/`.

        Raises:
            KeyError: there is no such fault.
            ValueError: a fault that cannot be counted.
        """
        for found in [_find(fault) for fault in faults]:
            if isinstance(found, Fault):
                self._atoma.once(found, skip=skip, on=on)
            else:
                self._network.once(found, skip=skip, on=on)
            skip = 0
        return self

    def always(self, *faults: str | Fault | NetworkFault, on: str = "") -> Self:
        """Switch faults on for every request until `clear`.

        Args:
            faults: hit in this order where they share a place.
            on: as in `once`.

        Raises:
            KeyError: there is no such fault.
        """
        for found in [_find(fault) for fault in faults]:
            if isinstance(found, Fault):
                self._atoma.always(found, on=on)
            else:
                self._network.always(found, on=on)
        return self

    def clear(self) -> None:
        """Behave again: forget queued and permanent faults."""
        self._atoma.clear()
        self._network.clear()


def _find(fault: str | Fault | NetworkFault) -> Fault | NetworkFault:
    if not isinstance(fault, str):
        return fault
    if fault.partition(":")[0] in NETWORK_FAULTS:
        return find_network_fault(fault)
    return find_fault(fault)
