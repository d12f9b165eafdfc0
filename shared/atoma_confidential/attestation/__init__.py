"""Why a node's key may be trusted: evidence, and the policies that appraise it."""

from .pins import NodePins, Pin, Pins, PinStore, SeenKey, SeenSigner
from .policy import TrustPolicy
from .result import Assurance, AttestationResult, Check, Gpu, OpenPoint, Outcome
from .sui import SuiContract

__all__ = [
    "Assurance",
    "AttestationResult",
    "Check",
    "Gpu",
    "NodePins",
    "OpenPoint",
    "Outcome",
    "Pin",
    "PinStore",
    "Pins",
    "SeenKey",
    "SeenSigner",
    "SuiContract",
    "TrustPolicy",
]
