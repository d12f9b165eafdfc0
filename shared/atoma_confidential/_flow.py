"""The one exchange: lock, appraise, seal, send, open; repeated where that is safe.

Generators that yield what is to be done (`Send`, `Sleep`, `Work`, `Alone` and more)
and are resumed with what came of it. No I/O, no clock and no framework live here; the
shells, `client` and `async_client`, hold no decision of the protocol.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, cast

from . import _wire
from ._ahead import take_ahead, taken_ahead, units_of
from ._answered import Answer, LiveAnswer
from ._appraise import appraise
from ._attempts import lock_of, repeated, succeed
from ._canary import canary_request, send_canary
from ._reply import Opened, StreamOpener, check_answer, open_answer
from ._request import Request
from ._session import Alone, Begin, Begun, Flow, Reply, Send, Session, Shown, Work
from ._signatures import Signatures
from ._wire import Lease
from .attestation import AttestationResult
from .attestation.policy import Candidate
from .blinding import blind
from .envelope import Opener, seal
from .errors import (
    ConfidentialError,
    Exposure,
    KeyNotBoundError,
    OpenError,
    RemoteProtocolError,
    greater,
)
from .verdict import Verdict

__all__ = [
    "exchange",
    "exchange_stream",
    "list_models",
    "probe_nonces",
]


def list_models(session: Session) -> Flow[list[_wire.Model]]:
    """Ask which models there are."""

    def attempt() -> Flow[list[_wire.Model]]:
        reply = yield from succeed(
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

    return (yield from repeated(session, attempt))


def exchange(
    session: Session,
    request: Request,
    sending: Callable[[Exposure], None] = lambda _: None,
) -> Flow[Answer]:
    """Get one whole answer.

    Args:
        session: What the exchanges of a client share.
        request: What is asked.
        sending: Called before each request, with what will have left with it.

    Raises:
        ConfidentialError: After the repetitions that were safe.
    """
    this = _Exchange(session, request, sending)
    attempt = this.sealed if session.confidential else this.plain
    return (yield from repeated(session, attempt, lambda: this.left))


def exchange_stream(session: Session, request: Request) -> Flow[Answer | LiveAnswer]:
    """Get one answer as a stream, or whole where a stream would not be confidential.

    Nothing is repeated once the first chunk of a stream is there; one that does not
    open may be sealed under the node's next key (protocol 4.7).
    """
    this = _Exchange(session, request)
    attempt = this.sealed_stream if session.confidential else this.plain_stream
    return (yield from repeated(session, attempt, lambda: this.left))


def probe_nonces(session: Session, model: str) -> Flow[Shown | None]:
    """Send a canary to a node, whatever it has shown before; None if that failed."""
    this = _Exchange(session, canary_request(model))
    return (yield from repeated(session, this.probe, lambda: this.left))


@dataclass(frozen=True, slots=True, repr=False)
class _Accepted:
    """A lease whose key the policy has accepted: nothing else is ever sealed to."""

    lease: Lease
    why: AttestationResult


@dataclass(frozen=True, slots=True, repr=False)
class _Unopened:
    """An answer that did not open: perhaps sealed under the node's next key."""

    lease: Lease
    opener: Opener
    body: bytes


class _Exchange:
    """The attempts at one request, and what they know of each other."""

    def __init__(
        self,
        session: Session,
        request: Request,
        sending: Callable[[Exposure], None] = lambda _: None,
    ) -> None:
        self._session = session
        self._request = request
        self._sending = sending
        self._unopened: _Unopened | None = None
        self._unbound = False
        self._probed = False
        self._is_first = True
        self._bought: dict[int, str | None] = {}
        self._reserved = 0
        self.left = Exposure.NOTHING

    def sealed(self) -> Flow[Answer]:
        self._request.encode(stream=False)  # refuses before anything is sent
        node = yield from self._lock()
        return (yield from self._whole(node, stream="none"))

    def sealed_stream(self) -> Flow[Answer | LiveAnswer]:
        session = self._session
        self._request.encode(stream=True)
        node = yield from self._lock()
        if session.stream_mode == "live":
            return (yield from self._live(node, refuse_reuse=False))
        if session.stream_mode == "auto":
            if self._is_unknown(node.lease) and not self._probed:
                self._probed = True
                yield from self._probe(node)
                node = yield from self._lock()
            shown = session.nonces.get(node.lease.recipient.public_key)
            if shown == "fresh":
                return (yield from self._live(node, refuse_reuse=True))
            self._say_why_whole(shown)
        return (yield from self._whole(node, stream="buffered"))

    def probe(self) -> Flow[Shown | None]:
        node = yield from self._lock()
        key = node.lease.recipient.public_key
        self._session.nonces.pop(key, None)
        yield from self._probe(node)
        return self._session.nonces.get(key)

    def plain(self) -> Flow[Answer]:
        return (yield from self._plain_whole(stream="none"))

    def plain_stream(self) -> Flow[Answer | LiveAnswer]:
        if self._session.stream_mode == "buffered":
            return (yield from self._plain_whole(stream="buffered"))
        reply = yield from self._send_plain(stream=True)
        _check_event_stream(reply, Exposure.PLAIN)
        opener = StreamOpener(None)
        begun = cast("Begun", (yield Begin(reply.source, opener)))
        return LiveAnswer(begun, opener, Verdict.plain("live"))

    def _make(self, send: Send, lease: Lease | None = None) -> Flow[Reply]:
        """Make a request, and remember what has left the process with it."""
        self._sending(send.exposure)
        try:
            reply = yield from succeed(send, lease)
        except ConfidentialError as error:
            self.left = greater(self.left, error.exposure)
            raise
        self.left = greater(self.left, send.exposure)
        return reply

    def _lock(self) -> Flow[_Accepted]:
        """Reserve a node and appraise its key."""
        lease: Lease | None = None
        if self._is_first:
            self._is_first = False
            lease = yield from taken_ahead(self._session, self._request)
        if lease is None:
            lease = yield from self._reserve()
        else:
            self.left = greater(self.left, Exposure.LOCK)  # it has, with that lock
        self._reserved = lease.units
        # A node may know a new stack by its digest only, which one lock is told.
        digest = self._bought.setdefault(lease.stack, lease.purchase)
        lease = replace(lease, purchase=lease.purchase or digest)
        candidate = Candidate(lease.recipient, lease.node)
        last = self._unbound or self._session.retry.max_retries == 0
        try:
            why = yield from appraise(self._session, candidate, last=last)
        except KeyNotBoundError:
            self._unbound = True
            raise
        return _Accepted(lease, why)

    def _reserve(self) -> Flow[Lease]:
        session, request = self._session, self._request
        # No less than a lock of before, which may still be waiting (protocol 4.4).
        units = max(units_of(session, request), self._reserved)
        send = lock_of(session, request.model, units=units, before=self.left)
        reply: Reply | None = None
        if request.model not in session.locked:
            steps = self._reserve_first(send)
            reply = cast("Reply | None", (yield Alone(f"lock {request.model}", steps)))
        if reply is None:
            reply = yield from self._make(send)
        return _wire.parse_lease(reply.body, units=units)

    def _reserve_first(self, send: Send) -> Flow[Reply | None]:
        """Make the first lock for a model, unless another has done so (4.5)."""
        locked, model = self._session.locked, self._request.model
        if model in locked:
            return None
        reply = yield from self._make(send)
        locked.add(model)
        return reply

    def _whole(self, node: _Accepted, *, stream: str) -> Flow[Answer]:
        opened = yield from self._recover(node.lease)
        if opened is None:
            opener, send = self._seal(node, self._request.encode(stream=False))
            yield from take_ahead(self._session, self._request)
            reply = yield from self._make(send, node.lease)
            try:
                opened = cast("Opened", (yield self._open(reply.body, opener)))
            except OpenError:
                self._unopened = _Unopened(node.lease, opener, reply.body)
                raise
        session = self._session
        signatures = Signatures(session.trust, node.lease)
        if session.signatures != "off":
            signatures.check(opened.signature, opened.digest)
        return Answer(
            opened.body,
            self._verdict(node, stream, signatures.outcome),
            opened.plaintext,
            node.why,
            signatures.receipt(opened, issued_at=int(session.now())),
        )

    def _open(self, body: bytes, opener: Opener) -> Work:
        work = partial(open_answer, body, opener, self._request.endpoint)
        return Work(work, size=len(body))

    def _recover(self, lease: Lease) -> Flow[Opened | None]:
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
            return cast("Opened", (yield self._open(unopened.body, opener)))
        except OpenError:
            return None

    def _live(self, node: _Accepted, *, refuse_reuse: bool) -> Flow[LiveAnswer]:
        session, lease = self._session, node.lease
        opener, send = self._seal(node, self._request.encode(stream=True), stream=True)
        yield from take_ahead(session, self._request)
        reply = yield from self._make(replace(send, live=True), lease)
        _check_event_stream(reply, Exposure.SEALED)

        def note_reuse() -> None:
            session.note_nonces(lease.recipient.public_key, "reused")
            if not refuse_reuse:
                session.warn_once(
                    "A nonce came twice in a stream, by the node or by a relay: "
                    "where it was the node, whoever relays it can read the text."
                )

        signatures = Signatures(session.trust, lease)
        stream = StreamOpener(
            opener,
            on_nonce_reuse=note_reuse,
            refuse_nonce_reuse=refuse_reuse,
            check_signature=signatures.check if session.signatures == "all" else None,
        )
        verdict = self._verdict(node, "live", signatures.outcome)
        begun = cast("Begun", (yield Begin(reply.source, stream)))
        return LiveAnswer(begun, stream, verdict, node.why, signatures)

    def _is_unknown(self, lease: Lease) -> bool:
        key = lease.recipient.public_key
        return key not in self._session.nonces and key not in self._session.probing

    def _probe(self, node: _Accepted) -> Flow[None]:
        """Spend a lock on a canary."""
        canary = canary_request(self._request.model)
        opener, send = self._seal(node, canary.encode(stream=True), stream=True)
        key = node.lease.recipient.public_key
        yield from send_canary(self._session, key, opener, send)

    def _say_why_whole(self, shown: str | None) -> None:
        if shown == "reused":
            self._session.warn_once(
                "A nonce came twice in a stream, by the node or by a relay, so that "
                "the text could be read: answers are fetched whole instead."
            )
        elif shown == "unproven":
            self._session.warn_once(
                "The node's streams are too short to show fresh nonces: answers are "
                "fetched whole instead."
            )

    def _seal(
        self, node: _Accepted, body: bytes, *, stream: bool = False
    ) -> tuple[Opener, Send]:
        lease = node.lease
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
            node=lease.node,
            key=node.why.key,
        )
        return opener, send

    def _plain_whole(self, *, stream: str) -> Flow[Answer]:
        reply = yield from self._send_plain(stream=False)
        endpoint = self._request.endpoint
        work = partial(check_answer, reply.body, endpoint, Exposure.PLAIN)
        body = cast("dict[str, Any]", (yield Work(work, size=len(reply.body))))
        return Answer(body, Verdict.plain(stream), reply.body)

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

    def _verdict(self, node: _Accepted, stream: str, signature: str) -> Verdict:
        return Verdict.of_sealed(
            node.why, node=node.lease.node, stream=stream, signature=signature
        )


def _accept(*, stream: bool) -> str:
    return "text/event-stream" if stream else "application/json"


def _check_event_stream(reply: Reply, exposure: Exposure) -> None:
    if not reply.headers.get("content-type", "").startswith("text/event-stream"):
        raise RemoteProtocolError("The answer is not an event stream.", exposure)
