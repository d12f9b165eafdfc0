"""Why a node's key may be trusted: evidence, and the policies that appraise it."""

from .policy import TrustPolicy
from .result import Assurance, AttestationResult, Check, Gpu, Outcome
from .sui import SuiContract

__all__ = [
    "Assurance",
    "AttestationResult",
    "Check",
    "Gpu",
    "Outcome",
    "SuiContract",
    "TrustPolicy",
]
