"""Errors of connections that failed, and of answers that cannot be accepted."""

from __future__ import annotations

from ._base import ConfidentialError

__all__ = [
    "AnswerCutError",
    "ClientClosedError",
    "ConnectionFailedError",
    "ConnectionLostError",
    "DigestMismatchError",
    "EngineError",
    "NonceReuseError",
    "OpenError",
    "ReflectionError",
    "RemoteProtocolError",
    "ReplyTimeoutError",
    "StreamStalledError",
    "StreamTruncatedError",
]


class ConnectionFailedError(ConfidentialError):
    """No connection to the server could be made."""

    advice = "Check the network, the proxy settings and the base URL."


class ConnectionLostError(ConfidentialError):
    """The connection broke before a byte of an answer came."""

    advice = "The request may have run and been billed; repeat it if that is harmless."


class AnswerCutError(ConnectionLostError):
    """The connection broke within the answer; the request has run."""


class ClientClosedError(ConfidentialError):
    """The client, or the stream, was closed while a call waited for the network."""

    advice = "Close a client when its calls have ended; the request may have run."


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
    """A nonce came twice: a stream can be read on the way, or an event was doubled."""

    advice = "Use stream_mode='buffered'; see docs/threat-model.md."
