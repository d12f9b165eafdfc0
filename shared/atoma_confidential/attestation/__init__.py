"""Why a node's key may be trusted: evidence, and the policies that appraise it."""

from .policy import TrustPolicy

__all__ = ["TrustPolicy"]
