"""What both shells do the same way: limits, requests, and httpx's errors as ours."""

from __future__ import annotations

import functools
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from urllib.request import getproxies, proxy_bypass

import httpx

from . import errors
from ._session import Reply, Send
from .credentials import check_url
from .errors import ConfidentialError, Exposure, InvalidInputError

__all__ = [
    "Idle",
    "Limits",
    "Whole",
    "as_failure",
    "live_reply",
    "proxy_of",
    "tls_context",
    "was_closed",
]

MAX_REPLY_BYTES = 64 * 1024 * 1024
"""2,048 vectors of 4,096 numbers, in base64 twice over; as JSON, they may need more."""

_ENDED = "Server disconnected"
"""How httpcore tells an end within the head from what is no HTTP, which h11 tells."""

MAX_NOTE_BYTES = 1024 * 1024
"""What is no answer of an engine is small: locks, errors, canaries, evidence."""


@functools.cache
def tls_context() -> ssl.SSLContext:
    """Return the context of all our clients: to read the authorities takes 20 ms."""
    return httpx.create_ssl_context()


def proxy_of(base_url: str) -> str | None:
    """Return the environment's proxy for a base URL; none for http.

    That is on this machine: a proxy elsewhere would read the API key, and could
    replace the node's key.
    """
    url = httpx.URL(base_url)
    if url.scheme != "https" or proxy_bypass(url.host):
        return None
    proxies = getproxies()
    proxy = proxies.get("https") or proxies.get("all")
    if proxy and "://" not in proxy:
        proxy = f"http://{proxy}"
    if proxy and not proxy.startswith(("http://", "https://")):
        # What httpx says of another scheme shows the URL, with its password.
        raise InvalidInputError("The environment's proxy is no http or https proxy.")
    return proxy


_url = functools.lru_cache(maxsize=64)(httpx.URL)
"""There are few, and each request has one."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Seconds that a request may take (protocol 9), and bytes that its answer may have.

    Attributes:
        connect: Until a connection stands.
        lock: Until a lock is whole; buying a stack waits for a chain's finality.
        answer: Until an answer is whole.
        probe: Until a canary's stream is whole.
        evidence: Until something that an appraisal wants is whole.
        silence: Until a stream's head, and between two of its bytes.
        idle: Between two events of a stream; keep-alives are none.
        reply_bytes: Of a whole answer, as it travels.
    """

    connect: float = 10
    lock: float = 60
    answer: float = 600
    probe: float = 30
    evidence: float = 30
    silence: float = 30
    idle: float = 120
    reply_bytes: int = MAX_REPLY_BYTES

    @classmethod
    def of(
        cls, *, timeout: float | None, idle: float, reply_bytes: int | None = None
    ) -> Limits:
        """Return the default limits, or `timeout` seconds where those are longer.

        An answer, and silence in a stream, may take `timeout` even where that is more.
        """
        for name, value in (("timeout", timeout), ("stream_idle_timeout", idle)):
            if value is not None and not _is_positive(value):
                raise InvalidInputError(f"{name} is a positive number of seconds.")
        if reply_bytes is None:
            reply_bytes = MAX_REPLY_BYTES
        elif type(reply_bytes) is not int or reply_bytes < 1:
            raise InvalidInputError("max_reply_bytes is a positive number of bytes.")
        usual = cls(idle=idle, reply_bytes=reply_bytes)
        if timeout is None:
            return usual
        return cls(
            connect=min(usual.connect, timeout),
            lock=min(usual.lock, timeout),
            answer=timeout,
            probe=min(usual.probe, timeout),
            evidence=min(usual.evidence, timeout),
            silence=timeout,
            idle=idle,
            reply_bytes=reply_bytes,
        )

    def within(self, timeout: Mapping[str, float | None]) -> Limits:
        """Return the limits of a request that has httpx's time limits itself.

        Its `read` is the time for an answer; else its limits only shorten ours: SDKs
        have one of ten minutes where nobody chose any. None is no choice.

        Raises:
            InvalidInputError: One is no positive number.
        """
        given = {name: timeout.get(name) for name in ("connect", "read")}
        for name, value in given.items():
            if value is not None and not _is_positive(value):
                raise InvalidInputError(f"The {name} timeout is no positive number.")
        connect, read = given["connect"], given["read"]
        limits = self
        if connect is not None:
            limits = replace(limits, connect=min(self.connect, connect))
        if read is not None:
            others = ("lock", "probe", "evidence", "silence")
            shorter = {name: min(getattr(self, name), read) for name in others}
            limits = replace(limits, answer=read, **shorter)
        return limits

    def whole(self, send: Send) -> float:
        """Return the seconds until a reply that is read whole must be there."""
        return {
            "lock": self.lock,
            "probe": self.probe,
            "evidence": self.evidence,
            "answer": self.answer,
        }[send.wait]

    def head(self, send: Send) -> float:
        """Return the seconds until the head of a reply must be there."""
        return self.silence if send.live else self.whole(send)

    def request(self, send: Send, base_url: str) -> httpx.Request:
        """Return the request with its time limits.

        Built without a client, whose default headers and cookies stay out of it.

        Raises:
            InvalidInputError: A policy wants to fetch over http from another machine.
        """
        timeout = httpx.Timeout(self.head(send), connect=self.connect)
        if send.origin is None:
            url = _url(f"{base_url}{send.path}")
        else:
            url = check_url(f"{send.origin}{send.path}", "A URL of the trust policy")
        return httpx.Request(
            send.method,
            url,
            headers=dict(send.headers),
            content=send.body,
            extensions={"timeout": timeout.as_dict()},
        )


class Whole:
    """Collects a reply's body within the limits of size and time."""

    def __init__(self, send: Send, limits: Limits, response: httpx.Response) -> None:
        self._send = send
        self._status = response.status_code
        self._headers = _take_headers(response)
        self._answers = send.wait == "answer" and self._status == httpx.codes.OK
        self._limit = limits.reply_bytes if self._answers else MAX_NOTE_BYTES
        self._deadline = time.monotonic() + limits.whole(send)
        self._body = bytearray()

    def add(self, data: bytes) -> None:
        """Take the next bytes.

        Raises:
            RemoteProtocolError: The body exceeds the limit.
            ReplyTimeoutError: The time is up, though bytes still drip in.
        """
        self._body += data
        if len(self._body) > self._limit:
            name = "max_reply_bytes, " if self._answers else ""
            raise errors.RemoteProtocolError(
                f"The answer exceeds {name}{self._limit} bytes.", self._send.exposure
            )
        if time.monotonic() > self._deadline:
            raise errors.ReplyTimeoutError(
                "The answer was not whole in time.", self._send.exposure
            )

    def reply(self) -> Reply:
        """Return the whole reply."""
        return Reply(self._status, self._headers, bytes(self._body))


def _is_positive(value: object) -> bool:
    return isinstance(value, int | float) and 0 < value < float("inf")


def live_reply(response: httpx.Response) -> Reply:
    """Return the head of a reply whose body is still to be read."""
    headers = _take_headers(response)
    return Reply(response.status_code, headers, b"", source=response)


def _take_headers(response: httpx.Response) -> dict[str, str]:
    """Return the header fields, and keep httpx from acting on an encoding.

    It would decode whatever comes, and a few bytes may swell to gigabytes. The flow
    refuses encodings.
    """
    headers = {name.lower(): value for name, value in response.headers.items()}
    response.headers.pop("content-encoding", None)
    return headers


def as_failure(
    error: httpx.HTTPError | TimeoutError,
    send: Send,
    *,
    byte_came: bool = False,
    head_came: bool = False,
    closed: bool = False,
) -> ConfidentialError:
    """Return our error for one of httpx's; only its class name is kept.

    Args:
        error: What httpx raised.
        send: What it was doing.
        byte_came: Whether the answer had begun: then the request surely ran.
        head_came: Whether its head was whole.
        closed: Whether the client was closed meanwhile, and the connection with it.
    """
    if closed:
        return was_closed(send.exposure)
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
        case httpx.TimeoutException() | TimeoutError():
            return errors.ReplyTimeoutError(
                f"Nothing came in time ({kind}).", send.exposure
            )
        case httpx.RemoteProtocolError() if not (
            head_came or str(error).startswith(_ENDED)
        ):
            return errors.RemoteProtocolError(
                f"What came is no answer of HTTP, or its head is too long ({kind}).",
                send.exposure,
            )
    begun = byte_came or head_came
    lost = errors.AnswerCutError if begun else errors.ConnectionLostError
    return lost(f"The connection broke ({kind}).", send.exposure)


def was_closed(exposure: Exposure, what: str = "client") -> ConfidentialError:
    """Return the error for a request whose client, or whose stream, was closed."""
    return errors.ClientClosedError(f"The {what} was closed.", exposure)


class Idle:
    """Time without an event in a stream, in which keep-alives may still arrive.

    Attributes:
        silent: Set when not even those do.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.silent = False
        self.restart()

    def restart(self) -> None:
        """Count anew: an event came, or the caller took its time over one."""
        self._since = time.monotonic()

    @property
    def too_long(self) -> bool:
        """Whether the stream has stalled."""
        return self.silent or time.monotonic() - self._since > self._seconds
