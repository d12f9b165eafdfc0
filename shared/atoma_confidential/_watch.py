"""The clients' eye on their calls: counts and clocks, for whoever was told to look."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any, Literal, Self

import httpx

from ._logged import CallLog, is_logged
from ._observed import (
    CallBegun,
    CallEnded,
    Observer,
    Operation,
    RequestDone,
    Retry,
    installed,
)
from ._reply import StreamOpener
from ._request import Request
from ._session import Reply, Send, Sleep
from ._wire import Endpoint
from .errors import ConfidentialError
from .verdict import Verdict

__all__ = ["Watch", "operation_of", "watch"]

_MODEL_NAME = re.compile(r"[\w./:@+-]{1,200}")
_MOST_TOKENS = 1 << 40
"""Far above any real count: one of hundreds of digits is no float for a histogram."""
_PORTS = {"http": 80, "https": 443}


def watch(
    base_url: str, operation: Operation, model: str = "", *, stream: bool = False
) -> Watch:
    """Return what a call is to tell what it does, and leave at its end."""
    observers: list[Observer] = [*installed, *([CallLog] if is_logged() else ())]
    if not observers:
        return _UNWATCHED
    server = _server(base_url)
    call = CallBegun(os.urandom(8).hex(), operation, model, stream, server)
    return _Watched(call, observers)


def operation_of(request: Request) -> Operation:
    """Return what a call with this one request is."""
    return "chat" if request.endpoint is Endpoint.CHAT else "embeddings"


class Watch:
    """One call that nobody looks at: then nothing is counted and no clock is read."""

    def request(
        self, _send: Send, _attempt: int
    ) -> AbstractContextManager[Callable[[Reply], Reply]]:
        """Surround a request; what is yielded takes its reply, and returns it."""
        return _UNSEEN

    def repeats(self, attempt: int, sleep: Sleep) -> None:
        """Take an attempt that failed."""

    def first_chunk(self) -> None:
        """Take the moment of a stream's first chunk."""

    def reads(self, opener: StreamOpener) -> None:
        """Take what opens a live stream."""

    def answered(self, answer: Mapping[str, Any], *verdicts: Verdict) -> None:
        """Take a whole answer's `usage` and `model`, and what was checked for it."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End the call."""


def _same(reply: Reply) -> Reply:
    return reply


_UNWATCHED = Watch()
_UNSEEN = nullcontext(_same)


class _Watched(Watch):
    """One call that somebody looks at; its threads may tell of it at the same time."""

    def __init__(self, call: CallBegun, observers: list[Observer]) -> None:
        self.call = call
        self._began = time.monotonic()
        self._watchers = [observer(call) for observer in observers]
        # Only ever added to, which threads may do side by side.
        self._requests: list[RequestDone] = []
        self._retries: list[Retry] = []
        self._live: _Request | None = None
        self._first: float | None = None
        self._opener: StreamOpener | None = None
        self._answer: Mapping[str, Any] = {}
        self._verdicts: tuple[Verdict, ...] = ()

    def request(self, send: Send, attempt: int) -> _Request:
        return _Request(self, send, attempt)

    def repeats(self, attempt: int, sleep: Sleep) -> None:
        self._settle(sleep.cause)
        retry = Retry(attempt, sleep.cause, sleep.seconds)
        self._retries.append(retry)
        for watcher in self._watchers:
            watcher.repeats(retry)

    def first_chunk(self) -> None:
        self._first = time.monotonic() - self._began

    def reads(self, opener: StreamOpener) -> None:
        self._opener = opener

    def answered(self, answer: Mapping[str, Any], *verdicts: Verdict) -> None:
        self._answer, self._verdicts = answer, verdicts

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        end: Literal["complete", "closed", "failed"] = "failed"
        if kind is None:
            end = "complete"
        elif kind is GeneratorExit:
            end, kind, error = "closed", None, None
        name = "" if kind is None else kind.__name__
        self._settle(name)
        ended = self._ended(end, name, error)
        for watcher in self._watchers:
            watcher.ended(ended)

    def reading(self, request: _Request) -> None:
        """Take a request whose answer is still to be read, as a stream."""
        self._live = request

    def done(self, request: RequestDone) -> None:
        """Take a request that is over."""
        self._requests.append(request)
        for watcher in self._watchers:
            watcher.requested(request)

    def _settle(self, error: str) -> None:
        """End the request of a stream that is over."""
        live, self._live = self._live, None
        if live is not None:
            live.done(error)

    def _ended(
        self,
        end: Literal["complete", "closed", "failed"],
        name: str,
        error: BaseException | None,
    ) -> CallEnded:
        locks = [one.seconds for one in self._requests if one.kind == "lock"]
        answers = [one for one in self._requests if one.kind == "answer"]
        usage = self._answer.get("usage")
        model = self._answer.get("model")
        named = isinstance(model, str) and _MODEL_NAME.fullmatch(model)
        return CallEnded(
            end=end,
            error=name,
            exposure=error.exposure if isinstance(error, ConfidentialError) else None,
            seconds=time.monotonic() - self._began,
            first_chunk=self._first,
            lock=sum(locks),
            requests=len(answers),
            retries=len(self._retries),
            sent=sum(one.sent for one in answers),
            received=sum(one.received for one in answers),
            events=None if self._opener is None else self._opener.events,
            input_tokens=_count(usage, "prompt_tokens"),
            output_tokens=_count(usage, "completion_tokens"),
            model=named.group() if named else "",
            verdicts=self._verdicts,
        )


class _Request:
    """One request of a call, from its beginning."""

    def __init__(self, call: _Watched, send: Send, attempt: int) -> None:
        self._watched = call
        self._send = send
        self._attempt = attempt
        self._reply: Reply | None = None

    def __enter__(self) -> Callable[[Reply], Reply]:
        self._started, self._since = time.time_ns(), time.monotonic()
        return self._take

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._reply is not None and self._reply.source is not None:
            self._watched.reading(self)
        else:
            self.done("" if kind is None else kind.__name__)

    def done(self, error: str) -> None:
        """Tell of it, now that it is over."""
        send, reply = self._send, self._reply
        origin = send.origin
        self._watched.done(
            RequestDone(
                kind=send.wait,
                attempt=self._attempt,
                server=_server(origin) if origin else self._watched.call.server,
                started=self._started,
                seconds=time.monotonic() - self._since,
                status=None if reply is None else reply.status,
                sent=len(send.body or b""),
                received=_received(reply),
                node=send.node,
                key=send.key,
                error=error,
            )
        )

    def _take(self, reply: Reply) -> Reply:
        self._reply = reply
        return reply


def _received(reply: Reply | None) -> int:
    if reply is None:
        return 0
    if reply.source is None:
        return len(reply.body)
    count: int = reply.source.num_bytes_downloaded  # of an httpx.Response
    return count


def _server(url: str) -> tuple[str, int]:
    parsed = httpx.URL(url)
    return parsed.host, parsed.port or _PORTS.get(parsed.scheme, 0)


def _count(usage: Any, name: str) -> int | None:
    count = usage.get(name) if isinstance(usage, dict) else None
    return count if type(count) is int and 0 <= count <= _MOST_TOKENS else None
