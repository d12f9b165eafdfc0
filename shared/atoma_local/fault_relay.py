"""A wiretap that is also a bad network."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .wiretap import Wiretap

if TYPE_CHECKING:
    from .network_faults import NetworkFaults

__all__ = ["FaultRelay"]


class FaultRelay(Wiretap):
    """A `Wiretap` that breaks what it relays, where its faults say so.

    `sent` is what the client wrote, `received` what was passed on to it.
    """

    @property
    def faults(self) -> NetworkFaults:
        """The faults in force."""
        return self._faults
