"""The one exchange: lock, appraise, seal, send, open; repeated where that is safe.

Generators that yield what is to be done (`Send`, `Sleep`) and are resumed with what
came of it. No I/O, no clock and no framework live here; the shells, `client` and
`async_client`, hold no decision of the protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, TypeVar, cast

from . import _wire
from ._reply import StreamOpener, check_answer, open_answer
from ._request import Request, chat_request
from ._session import Flow, Reply, Send, Session, Sleep
from ._wire import Lease
from .attestation import AttestationResult
from .attestation.policy import Appraisal, Candidate
from .blinding import blind
from .envelope import Opener, seal
from .errors import (
    ConfidentialError,
    Exposure,
    OpenError,
    PolicyUnsupportedError,
    RemoteProtocolError,
    greater,
)
from .retry import Budget
from .verdict import Verdict

__all__ = [
    "Answer",
    "LiveAnswer",
    "exchange",
    "exchange_stream",
    "list_models",
]

LOCK_SECONDS = 60
"""How long a node stays reserved; the default of 5 is too short to seal and send."""

_CANARY = [{"role": "user", "content": "Count from one to four."}]
"""Fixed and harmless: it may travel in a stream whose text can be read on the way."""


T = TypeVar("T")


@dataclass(frozen=True, slots=True, repr=False)
class Answer:
    """A whole answer of the engine, opened and checked."""

    body: dict[str, Any]
    verdict: Verdict


@dataclass(frozen=True, slots=True, repr=False)
class LiveAnswer:
    """A stream whose head is there; the shell feeds its bytes to the opener.

    Attributes:
        source: Where the shell reads those bytes; see `Reply`.
    """

    source: Any
    opener: StreamOpener
    _verdict: Verdict

    @property
    def verdict(self) -> Verdict:
        """What holds for what has been opened so far."""
        if self.opener.nonce_reused:
            return replace(self._verdict, stream="live-nonce-reused")
        return self._verdict


def list_models(session: Session) -> Flow[list[_wire.Model]]:
    """Ask which models there are."""

    def attempt() -> Flow[list[_wire.Model]]:
        reply = yield from _ok(
            Send(
                "GET",
                _wire.MODELS_PATH,
                session.headers(),
                body=None,
                before=Exposure.NOTHING,
                exposure=Exposure.NOTHING,
            )
        )
        return _wire.parse_models(reply.body)

    return (yield from _repeated(session, attempt))


def exchange(session: Session, request: Request) -> Flow[Answer]:
    """Get one whole answer.

    Raises:
        ConfidentialError: After the repetitions that were safe.
    """
    this = _Exchange(session, request)
    attempt = this.sealed if session.confidential else this.plain
    return (yield from _repeated(session, attempt, lambda: this.left))


def exchange_stream(session: Session, request: Request) -> Flow[Answer | LiveAnswer]:
    """Get one answer as a stream, or whole where a stream would not be confidential.

    Nothing is repeated once the head of a stream is there.
    """
    this = _Exchange(session, request)
    attempt = this.sealed_stream if session.confidential else this.plain_stream
    return (yield from _repeated(session, attempt, lambda: this.left))


def _repeated(
    session: Session,
    attempt: Callable[[], Flow[T]],
    left: Callable[[], Exposure] = lambda: Exposure.NOTHING,
) -> Flow[T]:
    budget = Budget(session.retry)
    while True:
        try:
            return (yield from attempt())
        except ConfidentialError as error:
            # An earlier attempt may have let out more than the one that failed.
            error.exposure = greater(error.exposure, left())
            delay = budget.delay(error)
            if delay is None:
                raise
        yield Sleep(delay)


def _ok(send: Send, lease: Lease | None = None) -> Flow[Reply]:
    """Make a request and insist on a 200."""
    reply = yield send
    if reply is None:
        raise TypeError("A Send is resumed with its Reply.")
    if reply.status != 200:  # noqa: PLR2004
        raise _wire.status_error(
            reply.status,
            reply.headers,
            reply.body,
            exposure=send.exposure,
            purchased=lease is not None and lease.purchase is not None,
        )
    # None was asked for. Ciphertext does not shrink, but a few bytes could swell.
    if reply.headers.get("content-encoding", "identity") != "identity":
        raise RemoteProtocolError("The answer is compressed.", send.exposure)
    return reply


@dataclass(frozen=True, slots=True, repr=False)
class _Unopened:
    """An answer that did not open: perhaps sealed under the node's next key."""

    lease: Lease
    opener: Opener
    body: bytes


class _Exchange:
    """The attempts at one request, and what they know of each other."""

    def __init__(self, session: Session, request: Request) -> None:
        self._session = session
        self._request = request
        self._unopened: _Unopened | None = None
        self.left = Exposure.NOTHING
        self._assurance = ""

    def sealed(self) -> Flow[Answer]:
        self._request.encode(stream=False)  # refuses before anything is sent
        lease = yield from self._lock()
        return (yield from self._whole(lease, stream="none"))

    def sealed_stream(self) -> Flow[Answer | LiveAnswer]:
        session = self._session
        self._request.encode(stream=True)
        lease = yield from self._lock()
        if session.stream_mode == "live":
            return (yield from self._live(lease, refuse_reuse=False))
        if session.stream_mode == "auto":
            if self._is_unknown(lease):
                yield from self._probe(lease)
                lease = yield from self._lock()
            shown = session.nonces.get(lease.recipient.public_key)
            if shown == "fresh":
                return (yield from self._live(lease, refuse_reuse=True))
            self._say_why_whole(shown)
        return (yield from self._whole(lease, stream="buffered"))

    def plain(self) -> Flow[Answer]:
        return (yield from self._plain_whole(stream="none"))

    def plain_stream(self) -> Flow[Answer | LiveAnswer]:
        if self._session.stream_mode == "buffered":
            return (yield from self._plain_whole(stream="buffered"))
        reply = yield from self._send_plain(stream=True)
        _check_event_stream(reply, Exposure.PLAIN)
        return LiveAnswer(reply.source, StreamOpener(None), Verdict.plain("live"))

    def _make(self, send: Send, lease: Lease | None = None) -> Flow[Reply]:
        """Make a request, and remember what has left the process with it."""
        try:
            reply = yield from _ok(send, lease)
        except ConfidentialError as error:
            self.left = greater(self.left, error.exposure)
            raise
        self.left = greater(self.left, send.exposure)
        return reply

    def _lock(self) -> Flow[Lease]:
        """Reserve a node and appraise its key: what is refused is never sealed to."""
        session, request = self._session, self._request
        send = Send(
            "POST",
            _wire.LOCK_PATH,
            session.headers(),
            _wire.lock_body(request.model, units=request.units, seconds=LOCK_SECONDS),
            before=self.left,
            exposure=greater(self.left, Exposure.LOCK),
            wait="lock",
            once_per=None if request.model in session.locked else request.model,
        )
        reply = yield from self._make(send)
        lease = _wire.parse_lease(reply.body, units=request.units)
        session.locked.add(request.model)
        candidate = Candidate(lease.recipient, lease.node)
        result = yield from _unfetched(session.trust.appraise(candidate, now=0))
        self._assurance = result.assurance
        return lease

    def _whole(self, lease: Lease, *, stream: str) -> Flow[Answer]:
        verdict = self._verdict(lease, stream)
        recovered = self._recover(lease)
        if recovered is not None:
            return Answer(recovered, verdict)
        opener, send = self._seal(lease, self._request.encode(stream=False))
        reply = yield from self._make(send, lease)
        try:
            body = open_answer(reply.body, opener, self._request.endpoint)
        except OpenError:
            self._unopened = _Unopened(lease, opener, reply.body)
            raise
        return Answer(body, verdict)

    def _recover(self, lease: Lease) -> dict[str, Any] | None:
        """Try a new key of the same node on an answer that did not open (4.7)."""
        unopened, self._unopened = self._unopened, None
        if (
            unopened is None
            or unopened.lease.node != lease.node
            or unopened.lease.recipient == lease.recipient
        ):
            return None
        opener = unopened.opener.rekeyed(lease.recipient)
        try:
            return open_answer(unopened.body, opener, self._request.endpoint)
        except OpenError:
            return None

    def _live(self, lease: Lease, *, refuse_reuse: bool) -> Flow[LiveAnswer]:
        opener, send = self._seal(lease, self._request.encode(stream=True), stream=True)
        reply = yield from self._make(replace(send, live=True), lease)
        _check_event_stream(reply, Exposure.SEALED)

        def note_reuse() -> None:
            self._session.nonces[lease.recipient.public_key] = "reused"
            if not refuse_reuse:
                self._session.warn_once(
                    "The node repeats a nonce in its streams: whoever relays them can "
                    "read their text."
                )

        stream = StreamOpener(
            opener, on_nonce_reuse=note_reuse, refuse_nonce_reuse=refuse_reuse
        )
        return LiveAnswer(reply.source, stream, self._verdict(lease, "live"))

    def _is_unknown(self, lease: Lease) -> bool:
        key = lease.recipient.public_key
        return key not in self._session.nonces and key not in self._session.probing

    def _probe(self, lease: Lease) -> Flow[None]:
        """Spend a lock on a canary, to see how a node treats nonces in a stream.

        A canary that fails says nothing: this request then goes whole, and the next
        one asks again.
        """
        session, key = self._session, lease.recipient.public_key
        canary = chat_request(
            _CANARY,
            model=self._request.model,
            parameters={"max_tokens": 4, "temperature": 0},
            extra_body=None,
            stream=True,
        )
        opener, send = self._seal(lease, canary.encode(stream=True), stream=True)
        stream = StreamOpener(opener, refuse_nonce_reuse=False)
        session.probing.add(key)
        try:
            reply = yield from _ok(replace(send, wait="probe"))
            for _ in stream.feed(reply.body):
                pass
            stream.finish()
        except ConfidentialError:
            if not stream.nonce_reused:
                return
        finally:
            session.probing.discard(key)
        if stream.nonce_reused:
            session.nonces[key] = "reused"
        else:
            session.nonces[key] = "fresh" if stream.events > 1 else "unproven"

    def _say_why_whole(self, shown: str | None) -> None:
        if shown == "reused":
            self._session.warn_once(
                "The node repeats a nonce in its streams, so that whoever relays them "
                "could read their text: answers are fetched whole instead."
            )
        elif shown == "unproven":
            self._session.warn_once(
                "The node's streams are too short to show fresh nonces: answers are "
                "fetched whole instead."
            )

    def _seal(
        self, lease: Lease, body: bytes, *, stream: bool = False
    ) -> tuple[Opener, Send]:
        envelope, opener = seal(lease.recipient, blind(body))
        send = Send(
            "POST",
            self._request.endpoint.path(confidential=True),
            self._session.headers(_accept(stream=stream)) | _wire.stack_headers(lease),
            _wire.envelope_body(
                envelope, lease, model=self._request.model, stream=stream
            ),
            before=self.left,
            exposure=Exposure.SEALED,
        )
        return opener, send

    def _plain_whole(self, *, stream: str) -> Flow[Answer]:
        reply = yield from self._send_plain(stream=False)
        body = check_answer(reply.body, self._request.endpoint, Exposure.PLAIN)
        return Answer(body, Verdict.plain(stream))

    def _send_plain(self, *, stream: bool) -> Flow[Reply]:
        send = Send(
            "POST",
            self._request.endpoint.path(confidential=False),
            self._session.headers(_accept(stream=stream)),
            self._request.encode(stream=stream),
            before=self.left,
            exposure=Exposure.PLAIN,
            live=stream,
        )
        return (yield from self._make(send))

    def _verdict(self, lease: Lease, stream: str) -> Verdict:
        return Verdict.of_sealed(
            assurance=self._assurance,
            node=lease.node,
            key=lease.recipient.fingerprint,
            stream=stream,
        )


def _unfetched(appraisal: Appraisal) -> Flow[AttestationResult]:
    yield from ()
    try:
        next(appraisal)
    except StopIteration as stop:
        return cast("AttestationResult", stop.value)
    raise PolicyUnsupportedError("The policy wants something fetched.", Exposure.LOCK)


def _accept(*, stream: bool) -> str:
    return "text/event-stream" if stream else "application/json"


def _check_event_stream(reply: Reply, exposure: Exposure) -> None:
    if not reply.headers.get("content-type", "").startswith("text/event-stream"):
        raise RemoteProtocolError("The answer is not an event stream.", exposure)
