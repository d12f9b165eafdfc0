"""What a flow asks of its shell, and what the exchanges of one client share."""

from __future__ import annotations

import warnings
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypeVar

from .attestation import TrustPolicy
from .errors import ConfidentialityWarning, Exposure
from .retry import RetryPolicy

__all__ = ["Flow", "Reply", "Send", "Session", "Sleep", "StreamMode"]

StreamMode: TypeAlias = Literal["auto", "live", "buffered"]


@dataclass(frozen=True, slots=True, repr=False)
class Send:
    """A request for the shell to make; no repr, for it holds the API key.

    Attributes:
        body: None for GET.
        wait: Which of the shell's limits applies to the whole reply.
        live: Whether a 200 is to be resumed with as soon as its head is there, its
            body left to the caller; the stream's own limits then apply.
        once_per: Requests that share this name are made one at a time until one of
            them has succeeded (protocol 4.5).
        before: What had left the process before this request.
        exposure: What will have left it with this request.
    """

    method: Literal["GET", "POST"]
    path: str
    headers: Mapping[str, str]
    body: bytes | None
    before: Exposure
    exposure: Exposure
    wait: Literal["lock", "answer", "probe"] = "answer"
    live: bool = False
    once_per: str | None = None


@dataclass(frozen=True, slots=True)
class Sleep:
    """Seconds for the shell to let pass."""

    seconds: float


@dataclass(frozen=True, slots=True, repr=False)
class Reply:
    """What a server answered; header names in lower case.

    Attributes:
        source: Where the shell will read the body of a live reply; its own affair.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    source: Any = None


T = TypeVar("T")
Flow: TypeAlias = Generator[Send | Sleep, Reply | None, T]


@dataclass(slots=True, repr=False)
class Session:
    """What the exchanges of one client share; in memory only.

    Attributes:
        nonces: What node keys have shown in streams: fresh nonces, repeated ones, or
            too few events to tell.
        probing: Node keys that a canary is out to right now.
        locked: Models for which a lock has succeeded.
        warned: What has been warned of.
    """

    api_key: str
    confidential: bool = True
    stream_mode: StreamMode = "auto"
    trust: TrustPolicy = field(default_factory=TrustPolicy.proxy_asserted)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    nonces: dict[bytes, Literal["fresh", "reused", "unproven"]] = field(
        default_factory=dict
    )
    probing: set[bytes] = field(default_factory=set)
    locked: set[str] = field(default_factory=set)
    warned: set[str] = field(default_factory=set)

    def warn_once(self, text: str) -> None:
        """Warn of something that holds for each further request as well."""
        if text not in self.warned:
            self.warned.add(text)
            warnings.warn(
                f"{text} See docs/threat-model.md.",
                ConfidentialityWarning,
                stacklevel=2,
            )

    def headers(self, accept: str = "application/json") -> dict[str, str]:
        """Return the header fields of every request.

        The proxy forwards them to the node's operator, but for the key (protocol 9):
        nothing in them tells one caller from another.
        """
        return {
            "Authorization": f"Bearer {self.api_key}",
            "Content-Type": "application/json",
            "Accept": accept,
            "Accept-Encoding": "identity",
            "User-Agent": "atoma-confidential",
        }
