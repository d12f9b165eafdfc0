"""A local Atoma: proxy and node in one process, real HTTP on loopback.

It speaks the wire of docs/protocol.md, for development and tests. It is not a TEE.

Names are loaded when they are first used: pytest imports this package for its plugin
in every project that has it installed.
"""

from __future__ import annotations

import importlib
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ._fault_table import FAULTS
    from .backend import Backend, BuiltInBackend, EngineError
    from .encodings import Pattern, encodings_of
    from .fault_relay import FaultRelay
    from .fault_switch import FaultRow, FaultSwitch, list_faults
    from .faults import Call, Fault, Faults
    from .network_faults import NETWORK_FAULTS, NetworkFault, NetworkFaults
    from .node import Node
    from .proxy import Exchange
    from .server import LocalAtoma, serve
    from .serving import NonceMode, Opened
    from .stacks import Stack
    from .upstream import UpstreamBackend
    from .wire_view import ClearField, WireView
    from .wiretap import Finding, Wiretap

__all__ = [
    "FAULTS",
    "NETWORK_FAULTS",
    "Backend",
    "BuiltInBackend",
    "Call",
    "ClearField",
    "EngineError",
    "Exchange",
    "Fault",
    "FaultRelay",
    "FaultRow",
    "FaultSwitch",
    "Faults",
    "Finding",
    "LocalAtoma",
    "NetworkFault",
    "NetworkFaults",
    "Node",
    "NonceMode",
    "Opened",
    "Pattern",
    "Stack",
    "UpstreamBackend",
    "WireView",
    "Wiretap",
    "encodings_of",
    "list_faults",
    "serve",
]

_HOMES = {
    "_fault_table": ("FAULTS",),
    "backend": ("Backend", "BuiltInBackend", "EngineError"),
    "encodings": ("Pattern", "encodings_of"),
    "fault_relay": ("FaultRelay",),
    "fault_switch": ("FaultRow", "FaultSwitch", "list_faults"),
    "faults": ("Call", "Fault", "Faults"),
    "network_faults": ("NETWORK_FAULTS", "NetworkFault", "NetworkFaults"),
    "node": ("Node",),
    "proxy": ("Exchange",),
    "server": ("LocalAtoma", "serve"),
    "serving": ("NonceMode", "Opened"),
    "stacks": ("Stack",),
    "upstream": ("UpstreamBackend",),
    "wire_view": ("ClearField", "WireView"),
    "wiretap": ("Finding", "Wiretap"),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    home = _HOME_OF.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{home}"), name)
    setattr(sys.modules[__name__], name, value)
    return value
