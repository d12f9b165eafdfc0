"""Errors of what was refused here, before anything was sent."""

from __future__ import annotations

from ._base import ConfidentialError

__all__ = [
    "InvalidInputError",
    "MissingCredentialsError",
    "PlaintextEgressError",
    "RequestTooLargeError",
]


class InvalidInputError(ConfidentialError, ValueError):
    """The request was refused here, before anything was sent."""

    advice = "Correct the input and try again."


class MissingCredentialsError(InvalidInputError):
    """No API key was given and none stands in the environment."""

    advice = "Set ATOMA_API_KEY (or ATOMASDK_BEARER_AUTH), or pass api_key=."


class RequestTooLargeError(InvalidInputError):
    """The sealed request would exceed what the network carries (protocol 9)."""

    advice = "Send fewer or shorter messages, or a smaller batch."


class PlaintextEgressError(ConfidentialError):
    """The framework is set up to write plaintext somewhere else than to the node."""

    advice = "Turn the sink off, or choose another tracing_policy."
