"""What is told of a call to logs and telemetry: values, and none of them is content.

Names that the caller chose, counts, sizes, times, and classes of errors. What a server
said is not among them, but for numbers, and for a model's name where it looks like one.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, Protocol, TypeAlias

from .errors import Exposure
from .verdict import Verdict

__all__ = [
    "CallBegun",
    "CallEnded",
    "CallWatcher",
    "Observer",
    "Operation",
    "RequestDone",
    "Retry",
    "installed",
]

Operation: TypeAlias = Literal[
    "chat", "embeddings", "models", "appraise", "probe_nonces", "lock_ahead"
]


@dataclass(frozen=True, slots=True)
class CallBegun:
    """A call of a client that begins.

    Attributes:
        id: Random, and of this process only: it is never sent.
        model: The model that is asked for; empty where there is none.
        stream: Whether chunks were asked for, however they are then fetched.
        server: Host and port of the base URL.
    """

    id: str
    operation: Operation
    model: str
    stream: bool
    server: tuple[str, int]


@dataclass(frozen=True, slots=True)
class RequestDone:
    """One HTTP request of a call, with its answer.

    Attributes:
        kind: What it was for; `probe` is a canary, `evidence` what a policy fetched.
        attempt: Of its exchange, from 1.
        server: Host and port that it went to.
        started: Unix time in nanoseconds.
        seconds: Until the answer was whole; for a live stream, until that was over.
        status: None if no head of an answer came.
        sent: Bytes of the body.
        received: Bytes of the answer's body, as far as it came.
        node: The node that the body was sealed to; None if it was not sealed.
        key: Fingerprint of that node's key, or empty.
        error: Class of what went wrong, or empty; a status is not one by itself.
    """

    kind: Literal["lock", "answer", "probe", "evidence"]
    attempt: int
    server: tuple[str, int]
    started: int
    seconds: float
    status: int | None
    sent: int
    received: int
    node: int | None
    key: str
    error: str


@dataclass(frozen=True, slots=True)
class Retry:
    """A failed attempt that will be repeated.

    Attributes:
        attempt: The one that failed, from 1.
        error: The class of its error.
        wait: Seconds until the next.
    """

    attempt: int
    error: str
    wait: float


@dataclass(frozen=True, slots=True)
class CallEnded:
    """How a call ended, and what it took.

    Attributes:
        end: `closed` is a stream that nobody wanted the rest of.
        error: Class of the error of a call that `failed`, or empty.
        exposure: What had left the process with it, where it failed with our error.
        seconds: From its beginning.
        first_chunk: Seconds until the first chunk of a stream; None without one.
        lock: Seconds that its lock requests took, added up.
        requests: How many requests it sent for answers; a call for embeddings may have
            many batches.
        retries: How many attempts were repeated.
        sent: Bytes of those requests' bodies.
        received: Bytes of their answers' bodies.
        events: Chunks of a live stream that were opened; None without one.
        input_tokens: As the engine counts them, in what was opened.
        output_tokens: Likewise.
        model: The model that the engine says it is, where that looks like a name.
        verdicts: What was checked, once for each distinct result.
    """

    end: Literal["complete", "closed", "failed"]
    error: str
    exposure: Exposure | None
    seconds: float
    first_chunk: float | None
    lock: float
    requests: int
    retries: int
    sent: int
    received: int
    events: int | None
    input_tokens: int | None
    output_tokens: int | None
    model: str
    verdicts: tuple[Verdict, ...]


class CallWatcher(Protocol):
    """Is told of one call; from several threads, where its batches run side by side."""

    def requested(self, request: RequestDone) -> None:
        """Take a request that is over; it may come after the call's end."""

    def repeats(self, retry: Retry) -> None:
        """Take an attempt that failed and will be repeated."""

    def ended(self, end: CallEnded) -> None:
        """Take the end, of which there is one."""


Observer: TypeAlias = Callable[[CallBegun], CallWatcher]

installed: list[Observer] = []
"""Who is told of the calls of this process, besides its logs: nobody, or one."""
