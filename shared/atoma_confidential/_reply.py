"""What comes back: whole answers and streams, opened and held to their contract.

Bytes in, dictionaries out. The end of a stream is judged by what was opened, never by
what was sent in clear beside it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from ._json import parse_object
from ._nonces import SeenNonces
from ._sse import EventDecoder
from ._wire import Endpoint, parse_sealed
from .answers import as_delta
from .envelope import Opener
from .errors import (
    EngineError,
    Exposure,
    NonceReuseError,
    RemoteProtocolError,
    StreamStalledError,
    StreamTruncatedError,
)

__all__ = ["Opened", "StreamOpener", "as_chunks", "check_answer", "open_answer"]

MAX_EVENTS = 1_000_000
"""Above any real answer."""


@dataclass(frozen=True, slots=True, repr=False)
class Opened:
    """The engine's answer inside a sealed one, and what the node signed of it.

    Attributes:
        plaintext: The exact bytes that were opened.
        digest: Their BLAKE2b-256, compared.
        signature: The node's over that digest, as it came: not checked.
    """

    body: dict[str, Any]
    plaintext: bytes
    digest: bytes
    signature: bytes


def open_answer(data: bytes, opener: Opener, endpoint: Endpoint) -> Opened:
    """Return the engine's answer inside a sealed one.

    Raises:
        RemoteProtocolError: It is not sealed, or is no answer of this endpoint.
        OpenError: It does not authenticate.
        EngineError: The engine answered with an error.
    """
    sealed = parse_sealed(data)
    plaintext = opener.open(sealed.ciphertext, nonce=sealed.nonce, digest=sealed.digest)
    body = check_answer(plaintext, endpoint, Exposure.SEALED)
    return Opened(body, plaintext, sealed.digest, sealed.signature)


def check_answer(
    plaintext: bytes, endpoint: Endpoint, exposure: Exposure
) -> dict[str, Any]:
    """Return an answer in clear if it looks like one of its endpoint."""
    answer = parse_object(plaintext, "The engine's answer", exposure)
    _refuse_error(answer, exposure)
    match endpoint, answer:
        case Endpoint.CHAT, {"model": str(), "choices": [_, *_] as choices} if all(
            map(_is_choice, choices)
        ):
            return answer
        case Endpoint.EMBEDDINGS, {"model": str(), "data": list()}:
            return answer
    raise RemoteProtocolError("The answer is not one of this endpoint.", exposure)


def _is_choice(choice: Any) -> bool:
    message = choice.get("message") if isinstance(choice, dict) else None
    return isinstance(message, dict) and _holds_calls(message)


def _holds_calls(message: dict[str, Any]) -> bool:
    calls = message.get("tool_calls")
    return calls is None or (
        isinstance(calls, list) and all(isinstance(call, dict) for call in calls)
    )


class _State(enum.Enum):
    READING = "reading"
    CLOSED = "closed"
    FAILED = "failed"


class StreamOpener:
    """Opens the events of one chat stream; once it has failed, it stays failed.

    A stream is whole when each choice has shown a `finish_reason` inside an opened
    chunk and, on the sealed path, usage has: the node makes every engine send it
    (protocol 5.2). Clear-text `usage`, `[DONE]` and comments prove nothing.
    """

    def __init__(
        self,
        opener: Opener | None,
        *,
        on_nonce_reuse: Callable[[], None] = lambda: None,
        refuse_nonce_reuse: bool = True,
        check_signature: Callable[[bytes, bytes], None] | None = None,
    ) -> None:
        """Start to read.

        Args:
            opener: Opens the events; None for a plain stream.
            on_nonce_reuse: Called once, at the first nonce that is seen again.
            refuse_nonce_reuse: Whether to raise then, even if all events share it.
            check_signature: Called with the signature of each event and the digest
                that it is over; raises where it does not like them.
        """
        self._opener = opener
        self.exposure = Exposure.PLAIN if opener is None else Exposure.SEALED
        self._decoder = EventDecoder(self.exposure)
        self._on_nonce_reuse = on_nonce_reuse
        self._refuse_nonce_reuse = refuse_nonce_reuse
        self._check_signature = check_signature
        self._nonces = SeenNonces()
        self._state = _State.READING
        self._ends = _Ends(self.exposure, sealed=opener is not None)
        self.events = 0
        self.nonce_reused = False

    @property
    def summary(self) -> dict[str, Any]:
        """The last chunk with `usage` in it; empty before there is one."""
        return self._ends.summary

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """Yield the chunks that these bytes complete.

        Raises:
            RemoteProtocolError: An event is malformed, in clear, or out of place.
            OpenError: An event does not authenticate, or repeats a nonce.
        """
        if self._state is not _State.READING:
            raise RemoteProtocolError("The stream is already over.", self.exposure)
        self._state = _State.FAILED  # unless all of it turns out well
        for event in self._decoder.feed(data):
            if event != b"[DONE]":
                yield self._open(event)
        self._state = _State.READING

    def finish(self, *, stalled: bool = False) -> None:
        """Declare that no more bytes will come.

        Args:
            stalled: Whether that is because nothing came for too long.

        Raises:
            StreamTruncatedError: The authenticated end has not been seen.
            StreamStalledError: Nor has it, and nothing ended the stream.
        """
        if self._state is _State.READING and self._ends.reached:
            self._state = _State.CLOSED
            return
        self._state = _State.FAILED
        if stalled:
            raise StreamStalledError("No event came for too long.", self.exposure)
        raise StreamTruncatedError("The stream ended early.", self.exposure)

    def _open(self, event: bytes) -> dict[str, Any]:
        self.events += 1
        if self.events > MAX_EVENTS:
            raise RemoteProtocolError("The stream does not end.", self.exposure)
        chunk = parse_object(self._plaintext(event), "A chunk", self.exposure)
        _refuse_error(chunk, self.exposure)
        self._ends.note(chunk)
        return chunk

    def _plaintext(self, event: bytes) -> bytes:
        if self._opener is None:
            return event
        sealed = parse_sealed(event)
        plaintext = self._opener.open(
            sealed.ciphertext, nonce=sealed.nonce, digest=sealed.digest
        )
        if self._check_signature is not None:
            self._check_signature(sealed.signature, sealed.digest)
        self._note_nonce(sealed.nonce)
        return plaintext

    def _note_nonce(self, nonce: bytes) -> None:
        """Only authenticated nonces count: a relay must not choose what we see.

        A node has one nonce for a whole stream, or another for each event (7.4). One
        that comes again among others is an event that was sent twice on the way.
        """
        is_new = not self._nonces.note(nonce)
        if is_new and not self.nonce_reused:
            return
        if not self.nonce_reused:
            self.nonce_reused = True
            self._on_nonce_reuse()
        if self._refuse_nonce_reuse or is_new or len(self._nonces) > 1:
            raise NonceReuseError("A nonce was repeated.", self.exposure)


class _Ends:
    """What has been seen of a stream's authenticated end."""

    def __init__(self, exposure: Exposure, *, sealed: bool) -> None:
        self._exposure = exposure
        self._sealed = sealed
        self._usage_missing = sealed
        self._id: Any = None
        self._open: set[int] = set()
        self._finished: set[int] = set()
        self.summary: dict[str, Any] = {}

    @property
    def reached(self) -> bool:
        return bool(self._finished) and not self._open and not self._usage_missing

    def note(self, chunk: dict[str, Any]) -> None:
        self._note_id(chunk.get("id"))
        choices = chunk.get("choices")
        if not isinstance(choices, list):
            raise self._off_contract("A chunk has no choices")
        for choice in choices:
            self._note_choice(choice)
        if isinstance(chunk.get("usage"), dict):
            self._usage_missing = False
            self.summary = chunk

    def _note_id(self, identity: Any) -> None:
        """Hold all chunks to one id.

        The node answers a replayed request under the same key: a relay could splice
        two answers into one, but for their ids.
        """
        if self._sealed and not (isinstance(identity, str) and identity):
            raise self._off_contract("A chunk has no id")
        if self._id is None:
            self._id = identity
        elif identity not in (None, self._id):
            raise self._off_contract("The stream's id changed")

    def _note_choice(self, choice: Any) -> None:
        index = choice.get("index") if isinstance(choice, dict) else None
        if not isinstance(index, int):
            raise self._off_contract("A choice has no index")
        delta = choice.get("delta") or {}
        if not isinstance(delta, dict) or not _holds_calls(delta):
            raise self._off_contract("A choice has a broken delta")
        if index in self._finished:
            if any(value for name, value in delta.items() if name != "role"):
                raise self._off_contract("A choice went on after its end")
        elif isinstance(choice.get("finish_reason"), str):
            self._finished.add(index)
            self._open.discard(index)
        else:
            self._open.add(index)

    def _off_contract(self, what: str) -> RemoteProtocolError:
        return RemoteProtocolError(f"{what}.", self._exposure)


def as_chunks(answer: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a whole chat answer in the shape of its own stream."""
    head = {k: v for k, v in answer.items() if k not in ("choices", "usage")}
    head["object"] = "chat.completion.chunk"
    for index, choice in enumerate(answer["choices"]):
        rest = {k: v for k, v in choice.items() if k != "message"}
        delta = as_delta(choice["message"])
        yield head | {"choices": [{**rest, "index": index, "delta": delta}]}
    yield head | {"choices": [], "usage": answer.get("usage")}


def _refuse_error(answer: dict[str, Any], exposure: Exposure) -> None:
    if answer.get("error"):
        raise EngineError("The engine answered with an error.", exposure)
