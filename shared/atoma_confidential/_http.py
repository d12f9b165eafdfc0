"""What both shells do the same way: limits, requests, and httpx's errors as ours."""

from __future__ import annotations

import functools
import ssl
import time
from dataclasses import dataclass

import httpx

from . import errors
from ._session import Reply, Send
from .errors import ConfidentialError, Exposure, InvalidInputError

__all__ = ["Idle", "Limits", "Whole", "as_failure", "live_reply", "tls_context"]

MAX_REPLY_BYTES = 64 * 1024 * 1024
"""2,048 vectors of 4,096 numbers, in base64 twice over."""


@functools.cache
def tls_context() -> ssl.SSLContext:
    """Return the context of all our clients: to read the authorities takes 20 ms."""
    return httpx.create_ssl_context()


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that a request may take (protocol 9).

    Attributes:
        connect: Until a connection stands.
        lock: Until a lock is whole; buying a stack waits for a chain's finality.
        answer: Until an answer is whole.
        probe: Until a canary's stream is whole.
        silence: Until a stream's head, and between two of its bytes.
        idle: Between two events of a stream; keep-alives are none.
    """

    connect: float = 10
    lock: float = 60
    answer: float = 600
    probe: float = 30
    silence: float = 30
    idle: float = 120

    @classmethod
    def of(cls, *, timeout: float | None, idle: float) -> Limits:
        """Return the default limits, or `timeout` seconds where those are longer.

        An answer, and silence in a stream, may take `timeout` even where that is more.
        """
        for name, value in (
            ("timeout", timeout),
            ("stream_idle_timeout", idle),
        ):
            if value is not None and not 0 < value < float("inf"):
                raise InvalidInputError(f"{name} is a positive number of seconds.")
        usual = cls()
        if timeout is None:
            return cls(idle=idle)
        return cls(
            connect=min(usual.connect, timeout),
            lock=min(usual.lock, timeout),
            answer=timeout,
            probe=min(usual.probe, timeout),
            silence=timeout,
            idle=idle,
        )

    def whole(self, send: Send) -> float:
        """Return the seconds until a reply that is read whole must be there."""
        limits = {"lock": self.lock, "probe": self.probe, "answer": self.answer}
        return limits[send.wait]

    def request(self, send: Send, base_url: str) -> httpx.Request:
        """Return the request with its time limits.

        Built without a client, whose default headers and cookies stay out of it.
        """
        read = self.silence if send.live else self.whole(send)
        timeout = httpx.Timeout(read, connect=self.connect)
        return httpx.Request(
            send.method,
            f"{base_url}{send.path}",
            headers=dict(send.headers),
            content=send.body,
            extensions={"timeout": timeout.as_dict()},
        )


class Whole:
    """Collects a reply's body within the limits of size and time."""

    def __init__(self, send: Send, seconds: float) -> None:
        self._send = send
        self._deadline = time.monotonic() + seconds
        self._body = bytearray()

    def add(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            RemoteProtocolError: The body exceeds the limit.
            ReplyTimeoutError: The time is up, though bytes still drip in.
        """
        self._body += data
        if len(self._body) > MAX_REPLY_BYTES:
            raise errors.RemoteProtocolError(
                f"The answer exceeds {MAX_REPLY_BYTES} bytes.", self._send.exposure
            )
        if time.monotonic() > self._deadline:
            raise errors.ReplyTimeoutError(
                "The answer was not whole in time.", self._send.exposure
            )

    def reply(self, response: httpx.Response) -> Reply:
        """Return the whole reply."""
        return Reply(response.status_code, _headers(response), bytes(self._body))


def live_reply(response: httpx.Response) -> Reply:
    """Return the head of a reply whose body is still to be read."""
    return Reply(response.status_code, _headers(response), b"", source=response)


def _headers(response: httpx.Response) -> dict[str, str]:
    return {name.lower(): value for name, value in response.headers.items()}


def as_failure(
    error: httpx.HTTPError, send: Send, *, head_came: bool = False
) -> ConfidentialError:
    """Return our error for one of httpx's; only its class name is kept.

    Args:
        error: What httpx raised.
        send: What it was doing.
        head_came: Whether the answer had begun: then the request surely ran.
    """
    kind = type(error).__name__
    match error:
        case (
            httpx.ConnectError()
            | httpx.ConnectTimeout()
            | httpx.PoolTimeout()
            | httpx.ProxyError()
            | httpx.UnsupportedProtocol()
        ):
            return errors.ConnectionFailedError(
                f"No connection could be made ({kind}).", send.before
            )
        case httpx.TimeoutException():
            return errors.ReplyTimeoutError(
                f"Nothing came in time ({kind}).", send.exposure
            )
        case httpx.DecodingError():
            return errors.RemoteProtocolError(
                "The answer's content encoding is broken.", send.exposure
            )
    lost = errors.AnswerCutError if head_came else errors.ConnectionLostError
    return lost(f"The connection broke ({kind}).", send.exposure)


class Idle:
    """Time without an event in a stream, in which keep-alives may still arrive."""

    def __init__(self, seconds: float, exposure: Exposure) -> None:
        self._seconds = seconds
        self._exposure = exposure
        self.restart()

    def restart(self) -> None:
        """Count anew: an event came, or the caller took its time over one."""
        self._since = time.monotonic()

    def check(self) -> None:
        """Raise StreamStalledError if the time is up."""
        if time.monotonic() - self._since > self._seconds:
            raise self.stalled()

    def stalled(self) -> errors.StreamStalledError:
        """Return the error for a stream in which nothing more came."""
        seconds = time.monotonic() - self._since
        return errors.StreamStalledError(
            f"No event in {seconds:.0f} seconds.", self._exposure
        )
