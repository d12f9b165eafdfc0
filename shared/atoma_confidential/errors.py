"""Every exception of this package, and what had left the process when it was raised.

* ConfidentialError
  - InvalidInputError            refused before anything was sent
    + MissingCredentialsError
    + RequestTooLargeError
  - AttestationError             the policy refused a node's key
    + UnusableKeyError
    + EvidenceFormatError
  - ReceiptError                 a node's signature does not verify
  - StatusError                  a server answered with another status than 200
    + InvalidRequestError        400, 415, 422, and the node's own 400
      > ContextLengthError
      > PayloadTooLargeError     413
      > StackNotIndexedError
    + AuthenticationError        401
    + BalanceError               402
    + PermissionDeniedError      403
    + NotFoundError              404
    + StackLockedError           423
    + StackUnavailableError      425
    + ConcurrentPurchaseError
    + RateLimitError             429
    + NodeUnavailableError       503
    + ServerError                any other status
      > NodeFailureError
      > NodeKeyMissingError
  - ConnectionFailedError        no connection was made
  - ConnectionLostError          the connection broke before an answer came
    + AnswerCutError             it broke within the answer
  - ReplyTimeoutError
    + StreamStalledError
  - RemoteProtocolError          an answer that is off contract
    + StreamTruncatedError
    + EngineError
  - OpenError                    a reply that does not authenticate
    + DigestMismatchError
    + ReflectionError
    + NonceReuseError

Rule: no exception of this module holds a prompt, a document, an answer, a key or a
token, nor a server's free text: a plain endpoint may echo what it was sent.
"""

from __future__ import annotations

import enum
from typing import ClassVar

__all__ = [
    "AnswerCutError",
    "AttestationError",
    "AuthenticationError",
    "BalanceError",
    "ConcurrentPurchaseError",
    "ConfidentialError",
    "ConfidentialityWarning",
    "ConnectionFailedError",
    "ConnectionLostError",
    "ContextLengthError",
    "DigestMismatchError",
    "EngineError",
    "EvidenceFormatError",
    "Exposure",
    "InvalidInputError",
    "InvalidRequestError",
    "MissingCredentialsError",
    "NodeFailureError",
    "NodeKeyMissingError",
    "NodeUnavailableError",
    "NonceReuseError",
    "NotFoundError",
    "OpenError",
    "PayloadTooLargeError",
    "PermissionDeniedError",
    "RateLimitError",
    "ReceiptError",
    "ReflectionError",
    "RemoteProtocolError",
    "ReplyTimeoutError",
    "RequestTooLargeError",
    "ServerError",
    "StackLockedError",
    "StackNotIndexedError",
    "StackUnavailableError",
    "StatusError",
    "StreamStalledError",
    "StreamTruncatedError",
    "UnusableKeyError",
]


class Exposure(enum.Enum):
    """What had left the process when an error was raised."""

    NOTHING = "nothing"
    LOCK = "a lock request (model name and size), not the content"
    SEALED = "the request, sealed to the node's key"
    PLAIN = "the request, in clear, as confidential=False asks"


def greater(one: Exposure, other: Exposure) -> Exposure:
    """Return the exposure of two that lets more out."""
    return max(one, other, key=list(Exposure).index)


class ConfidentialityWarning(UserWarning):
    """Something works, with less protection than it could have."""


class ConfidentialError(Exception):
    """Base of every error of this package.

    Attributes:
        exposure: What had left the process when this was raised.
        indices: The texts of an embedding call that failed, where that is known.
        advice: What to do next, in one sentence.
    """

    advice: ClassVar[str] = ""

    def __init__(self, message: str, exposure: Exposure = Exposure.NOTHING) -> None:
        super().__init__(message, exposure)
        self.message = message
        self.exposure = exposure
        self.indices: range | None = None

    @property
    def headline(self) -> str:
        """What happened, and to which texts of an embedding call."""
        if self.indices is None:
            return self.message
        return f"Texts {self.indices.start} to {self.indices.stop - 1}: {self.message}"

    def __str__(self) -> str:
        left = f"Left the process: {self.exposure.value}."
        return " ".join(filter(None, [self.headline, left, self.advice]))


class InvalidInputError(ConfidentialError, ValueError):
    """The request was refused here, before anything was sent."""

    advice = "Correct the input and try again."


class MissingCredentialsError(InvalidInputError):
    """No API key was given and none stands in the environment."""

    advice = "Set ATOMA_API_KEY (or ATOMASDK_BEARER_AUTH), or pass api_key=."


class RequestTooLargeError(InvalidInputError):
    """The sealed request would exceed what the network carries (protocol 9)."""

    advice = "Send fewer or shorter messages, or a smaller batch."


class AttestationError(ConfidentialError):
    """The trust policy refused the node's key; nothing was sealed to it."""

    advice = "Do not retry blindly: compare the key with one you trust."


class UnusableKeyError(AttestationError):
    """The key is not a usable X25519 public key (RFC 7748 section 6.1)."""

    advice = "The proxy handed out a broken or hostile key; report it."


class EvidenceFormatError(AttestationError):
    """Evidence that cannot be read, or exceeds the limits of its format."""

    advice = "Fetch it again; if it stays unreadable, do not trust the key."


class ReceiptError(ConfidentialError):
    """A node's signature is malformed or does not verify."""

    advice = "Do not rely on this receipt; the answer itself may still be genuine."


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


class ConnectionFailedError(ConfidentialError):
    """No connection to the server could be made."""

    advice = "Check the network, the proxy settings and the base URL."


class ConnectionLostError(ConfidentialError):
    """The connection broke before an answer came."""

    advice = "The request may have run and been billed; repeat it if that is harmless."


class AnswerCutError(ConnectionLostError):
    """The connection broke within the answer; the request has run."""


class ReplyTimeoutError(ConfidentialError, TimeoutError):
    """No answer came in time."""

    advice = "Raise timeout=; the request may have run and been billed."


class StreamStalledError(ReplyTimeoutError):
    """The connection is alive, but no event came in time (protocol 7.2)."""

    advice = "Raise stream_idle_timeout=, or use stream_mode='buffered'."


class RemoteProtocolError(ConfidentialError):
    """An answer that breaks the contract of the endpoint."""

    advice = "Something on the way, or the server, is broken or hostile; report it."


class StreamTruncatedError(RemoteProtocolError):
    """A stream ended before its authenticated end; what came is not the answer."""

    advice = "Ask again, or use stream_mode='buffered', which cannot be truncated."


class EngineError(RemoteProtocolError):
    """The engine reported an error of its own inside an otherwise valid answer."""

    advice = "Shorten the input or change the parameters; then try again."


class OpenError(ConfidentialError):
    """A reply failed authentication: it is not what the node sealed."""

    advice = "The node's key may have changed just now; if it persists, report it."


class DigestMismatchError(OpenError):
    """A reply opened, but is not what its digest promises."""

    advice = "Something on the way, or the node, is broken or hostile; report it."


class ReflectionError(OpenError):
    """The request came back as if it were the answer (protocol 11.3)."""

    advice = "Something on the way is hostile; do not use this base URL."


class NonceReuseError(OpenError):
    """A node repeated a nonce in a stream: its text can be read on the way."""

    advice = "Use stream_mode='buffered'; see docs/threat-model.md."
