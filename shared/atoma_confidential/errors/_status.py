"""Errors of servers that answered with another status than 200."""

from __future__ import annotations

from ._base import ConfidentialError, Exposure

__all__ = [
    "AuthenticationError",
    "BalanceError",
    "ConcurrentPurchaseError",
    "ContextLengthError",
    "InvalidRequestError",
    "NodeFailureError",
    "NodeKeyMissingError",
    "NodeUnavailableError",
    "NotFoundError",
    "PayloadTooLargeError",
    "PermissionDeniedError",
    "RateLimitError",
    "ServerError",
    "StackLockedError",
    "StackNotIndexedError",
    "StackUnavailableError",
    "StatusError",
]


class StatusError(ConfidentialError):
    """A server answered with a status other than 200.

    Attributes:
        status: The HTTP status that was received.
        code: The server's error code, such as `AUTH_ERROR`; empty where none was sent.
        retry_after: Seconds the server asked to wait; None where it did not.
    """

    def __init__(
        self,
        message: str,
        exposure: Exposure = Exposure.NOTHING,
        status: int = 0,
        code: str = "",
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message, exposure)
        self.args = (message, exposure, status, code, retry_after)  # for pickle
        self.status = status
        self.code = code
        self.retry_after = retry_after

    @property
    def status_code(self) -> int:
        """The status, under the name that frameworks look for."""
        return self.status


class InvalidRequestError(StatusError):
    """The request was understood and refused."""

    advice = "Check the model's exact name and the request's parameters."


class ContextLengthError(InvalidRequestError):
    """The engine said that the input exceeds the model's context window."""

    advice = "Shorten the input, or choose a model with a longer context."


class PayloadTooLargeError(InvalidRequestError):
    """The body exceeds what a server on the way accepts."""

    advice = "Send fewer or shorter messages, or a smaller batch."


class StackNotIndexedError(InvalidRequestError):
    """A node refused a stack that was bought a moment ago (protocol 4.6)."""

    advice = "Try again in a few seconds."


class AuthenticationError(StatusError):
    """The API key was refused, or the node refused the stack (protocol 8.3)."""

    advice = "Check the API key and the base URL it belongs to."


class BalanceError(StatusError):
    """The account cannot pay: confidential calls spend USDC, plain ones fiat."""

    advice = "Top up the balance that this endpoint spends."


class PermissionDeniedError(StatusError):
    """The account may not do this."""

    advice = "Check what the API key is allowed to do."


class NotFoundError(StatusError):
    """There is no such route, or the node has no public address."""

    advice = "Check the base URL; if it is right, try again later."


class StackLockedError(StatusError):
    """The node holds this stack locked."""

    advice = "Try again; the next lock should name another stack."


class StackUnavailableError(StatusError):
    """The lock expired, was taken, or was lost with a restart of the proxy."""

    advice = "Try again; each attempt takes a new lock."


class ConcurrentPurchaseError(StatusError):
    """Another call of this account is buying a stack just now (protocol 4.5)."""

    advice = "Try again in a few seconds."


class RateLimitError(StatusError):
    """The node is over its rate limit, or cannot be reached (protocol 8.3)."""

    advice = "Slow down, or lower max_concurrency; then try again."


class NodeUnavailableError(StatusError):
    """No confidential node for this model is available now."""

    advice = "Check that the model has confidential nodes, or try again later."


class ServerError(StatusError):
    """The server failed, or answered with a status that has no other class."""

    advice = "Try again later; if it persists, report the status and the time."


class NodeFailureError(ServerError):
    """The node failed.

    A key that changed, an engine's refusal (context length, an unsupported parameter)
    and a crash look the same from here (protocol 8.3).
    """

    advice = (
        "If it persists, the engine probably refuses the request: shorten the input or "
        "lower max_tokens."
    )


class NodeKeyMissingError(ServerError):
    """A stack was bought on a node that has no valid key (protocol 4.5)."""

    advice = "Do not repeat this at once: each attempt may buy another stack."
