"""What a flow asks of its shell, and what the exchanges of one client share."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn, TypeAlias, TypeVar

from ._findings import Findings
from ._reply import StreamOpener
from ._wire import Lease
from .attestation import TrustPolicy
from .errors import ConfidentialityWarning, Exposure, NodeKeyMissingError
from .parameters import SignatureMode, StreamMode
from .retry import RetryPolicy

__all__ = [
    "AGENT",
    "Ahead",
    "Alone",
    "Aside",
    "Begin",
    "Begun",
    "Flow",
    "Reply",
    "Send",
    "Session",
    "Sleep",
    "Work",
]

AGENT = "atoma-confidential"
"""Without a version: nothing that is sent tells one caller from another."""


@dataclass(frozen=True, slots=True, repr=False)
class Send:
    """A request for the shell to make; no repr, for it holds the API key.

    Attributes:
        body: None for GET.
        wait: Which of the shell's limits applies to the whole reply.
        live: Whether a 200 is to be resumed with as soon as its head is there, its
            body left to the caller; the stream's own limits then apply.
        origin: What the path stands below, where that is not the client's base URL;
            the API key is never sent there.
        before: What had left the process before this request.
        exposure: What leaves it with this request.
        node: Whom the body is sealed to, by the proxy's number; None if it is not.
        key: Fingerprint of the key that it is sealed to, or empty.
    """

    method: Literal["GET", "POST"]
    path: str
    headers: Mapping[str, str]
    body: bytes | None
    before: Exposure
    exposure: Exposure
    wait: Literal["lock", "answer", "probe", "evidence"] = "answer"
    live: bool = False
    origin: str | None = None
    node: int | None = None
    key: str = ""


MAX_KEYS = 1000
"""A proxy may hand out a new key with each lock."""

Shown: TypeAlias = Literal["fresh", "reused", "unproven"]
"""What a node has shown of its nonces in a stream; `unproven` is too few to tell."""


@dataclass(frozen=True, slots=True)
class Sleep:
    """Seconds for the shell to let pass before the next attempt.

    Attributes:
        cause: The class of what the last one failed with.
    """

    seconds: float
    cause: str


@dataclass(frozen=True, slots=True, repr=False)
class Alone:
    """Steps for the shell to take while no others of this name are being taken.

    It resumes with what they return, or throws what they raise. Whoever has waited for
    too long goes ahead: that another is stuck must stop nobody.
    """

    name: str
    steps: Flow[Any]


@dataclass(frozen=True, slots=True, repr=False)
class Aside:
    """Steps for the shell to take beside the others, which do not wait for them.

    It resumes at once, and with nothing; what the steps raise is nobody's.

    Attributes:
        model: What they are for.
    """

    model: str
    steps: Flow[None]


@dataclass(frozen=True, slots=True, repr=False)
class Work:
    """Work for the shell to do where it keeps nobody waiting.

    It resumes with what it returns, or throws what it raises.

    Attributes:
        size: Bytes that are worked on.
    """

    do: Callable[[], Any]
    size: int


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


@dataclass(frozen=True, slots=True, repr=False)
class Begin:
    """A stream for the shell to read as far as its first chunk.

    Attributes:
        source: Where its bytes are; see `Reply`.
        opener: What they are fed to.
    """

    source: Any
    opener: StreamOpener


@dataclass(frozen=True, slots=True, repr=False)
class Begun:
    """A stream that has begun.

    Attributes:
        first: Its first chunk.
        rest: What yields the others, and hangs up when it is closed; the shell's.
    """

    first: dict[str, Any]
    rest: Any


T = TypeVar("T")
Flow: TypeAlias = Generator[Send | Sleep | Alone | Aside | Work | Begin, Any, T]
"""Resumed with the `Reply` to a `Send`, with the result of `Alone` steps or of `Work`,
and with what has `Begun`."""


@dataclass(slots=True, repr=False)
class Ahead:
    """A lock that was asked for before its request was there.

    Attributes:
        units: Compute units that it reserves.
        until: Unix time at which it surely has run out.
        process: Who took it: it is used once, also where a process is forked.
        outcome: What came of it; None while it is under way.
        is_awaited: Whether a request waits for it.
    """

    units: int
    until: float
    process: int = 0
    outcome: Lease | NodeKeyMissingError | None = None
    is_awaited: bool = False


@dataclass(slots=True, repr=False)
class Session:
    """What the exchanges of one client share; in memory only.

    Attributes:
        now: Tells Unix time, in seconds.
        process: Tells this process from its parent.
        attestation_url: Where the nodes' attestation records are; empty: nobody said.
        lock_ahead: Whether the lock for the next chat request is taken beforehand.
        signatures: Whose signatures are checked: of no answers, of whole ones, or of
            each event of a stream as well.
        findings: What the policy has found out about keys.
        nonces: What node keys have shown in streams: fresh nonces, repeated ones, or
            too few events to tell.
        probing: Node keys that a canary is out to right now.
        locked: Models for which a lock has succeeded.
        warned: What has been warned of.
        ahead: The locks that were taken beforehand, by model.
        floors: By model, the units that no request may reserve less than, and Unix time
            until when.
    """

    api_key: str
    now: Callable[[], float]
    confidential: bool = True
    stream_mode: StreamMode = "auto"
    trust: TrustPolicy = field(default_factory=TrustPolicy.proxy_asserted)
    attestation_url: str = ""
    signatures: SignatureMode = "whole"
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    lock_ahead: bool = False
    process: Callable[[], int] = lambda: 0
    nonces: dict[bytes, Shown] = field(default_factory=dict)
    probing: set[bytes] = field(default_factory=set)
    locked: set[str] = field(default_factory=set)
    warned: set[str] = field(default_factory=set)
    ahead: dict[str, Ahead] = field(default_factory=dict)
    floors: dict[str, tuple[int, float]] = field(default_factory=dict)
    findings: Findings = field(init=False)

    def __post_init__(self) -> None:
        self.findings = Findings(self.now)

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            "A client is not copied or pickled, for it holds the API key: make another."
        )

    def note_nonces(self, key: bytes, shown: Shown) -> None:
        """Remember what a node key has shown in a stream."""
        if len(self.nonces) >= MAX_KEYS:
            self.nonces.clear()  # at once, for threads that do the same
        self.nonces[key] = shown

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
            "User-Agent": AGENT,
        }
