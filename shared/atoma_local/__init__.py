"""A local Atoma: proxy and node in one process, real HTTP on loopback.

It speaks the wire of docs/protocol.md, for development and tests. It is not a TEE.
"""

from ._fault_table import FAULTS
from .backend import Backend, BuiltInBackend, EngineError
from .encodings import Pattern, encodings_of
from .faults import Call, Fault, Faults
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
    "Backend",
    "BuiltInBackend",
    "Call",
    "ClearField",
    "EngineError",
    "Exchange",
    "Fault",
    "Faults",
    "Finding",
    "LocalAtoma",
    "Node",
    "NonceMode",
    "Opened",
    "Pattern",
    "Stack",
    "UpstreamBackend",
    "WireView",
    "Wiretap",
    "encodings_of",
    "serve",
]
