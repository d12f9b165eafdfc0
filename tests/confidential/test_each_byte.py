"""Replies and streams cut at each byte, and split at each byte, in both shells.

Over real sockets, exhaustively: what was recorded once is replayed for every byte.
"""

import asyncio
import re

import pytest
from deltas import calls
from fragments import fragment
from httpcore._backends.anyio import AnyIOStream
from httpcore._backends.sync import SyncStream
from replayed import (
    Replay,
    Sent,
    cut,
    ended,
    parted,
    payload,
    replies_of,
    sealed_alike,
    split,
    unframed,
    whole,
)
from shells import MESSAGES, PATTERNS, SECRET

from atoma_confidential import AsyncClient, Client, _flow
from atoma_confidential.errors import (
    AnswerCutError,
    ConfidentialError,
    ConnectionLostError,
    Exposure,
    RemoteProtocolError,
    StreamTruncatedError,
)

# As short as they can be, for each byte costs several exchanges.
MODEL = "m"
SAID = [{"delta": {"content": "Grüße"}}, {"delta": {}, "finish_reason": "stop"}]
CALLED = [
    calls(fragment('{"y":', "f", index=0, id="c")),
    calls(fragment("7}", index=0)) | {"finish_reason": "tool_calls"},
]

FRAME_AROUND_THE_END = len(b"\r\n" + b"0\r\n\r\n")
"""The bytes of a stream that may be missing: they follow its last event.

A stream is whole when `finish_reason` and usage were opened (docs/adr/0002). Whoever
relays it can write what HTTP sends after them himself: to insist on it would prove
nothing, and would throw away an answer that is known to be whole.
"""


class Blocking:
    def __init__(self, **connection):
        self._client = Client(**connection, **SETTINGS)

    def chat(self):
        return [self._client.chat(MESSAGES, model=MODEL).body]

    def embed(self):
        return self._client.embed([SECRET], model=MODEL).vectors

    def stream(self, into):
        stream = self._client.stream_chat(MESSAGES, model=MODEL)
        into.extend(stream)

    def close(self):
        self._client.close()


class Asynchronous:
    """One event loop for all calls, for there are thousands."""

    def __init__(self, **connection):
        self._client = AsyncClient(**connection, **SETTINGS)
        self._runner = asyncio.Runner()

    def chat(self):
        return [self._runner.run(self._client.chat(MESSAGES, model=MODEL)).body]

    def embed(self):
        call = self._client.embed([SECRET], model=MODEL)
        return self._runner.run(call).vectors

    def stream(self, into):
        self._runner.run(self._collect(into))

    async def _collect(self, into):
        async for chunk in self._client.stream_chat(MESSAGES, model=MODEL):
            into.append(chunk)

    def close(self):
        self._runner.run(self._client.aclose())
        self._runner.close()


SETTINGS = {
    "stream_mode": "live",
    "max_retries": 0,
    # None of this server's answers is late; a hang would be an error of another class.
    "timeout": 20,
    "stream_idle_timeout": 20,
}


class Recording:
    """One reply as a local Atoma gave it, and the call that it answers.

    Attributes:
        before: The replies that come first: the lock's.
        reply: The one that is cut.
        after: Those that come then, if it was whole.
        live: Whether it is a stream.
    """

    def __init__(self, kind):
        self.kind = kind
        self.live = kind in {"stream", "calls"}

    def keep(self, lock, answer):
        self.before, self.reply, self.after = [lock], answer, []
        if self.kind == "lock":
            self.before, self.reply, self.after = [], lock, [answer]

    def ask(self, shell, into):
        """Make the call; what was delivered stays there if it fails."""
        if self.live:
            shell.stream(into)
        else:
            into += shell.embed() if self.kind == "embeddings" else shell.chat()


@pytest.fixture(params=["lock", "whole", "embeddings", "stream", "calls"])
def recording(request, scripted, engine, monkeypatch):
    monkeypatch.setattr(_flow, "seal", sealed_alike)
    monkeypatch.setattr(engine, "models", lambda: [MODEL])
    engine.usage, engine.answer_fields = {"total_tokens": 1}, {"id": "c"}
    engine.message = {"role": "assistant", "content": "Grüße"}
    engine.chunks = CALLED if request.param == "calls" else SAID
    recording = Recording(request.param)
    shell = Blocking(base_url=scripted.base_url, api_key=scripted.api_key)
    recording.ask(shell, [])
    shell.close()
    (connection,) = scripted.tap.connections
    recording.keep(*replies_of(bytes(connection.received)))
    return recording


@pytest.fixture
def replay(monkeypatch):
    server = Replay()
    blocking, asynchronous = SyncStream.read, AnyIOStream.read

    def read(*arguments, **named):
        data = blocking(*arguments, **named)
        server.read.release()
        return data

    async def aread(*arguments, **named):
        data = await asynchronous(*arguments, **named)
        server.read.release()
        return data

    # Only to see when the first part was read: what comes together is no split.
    monkeypatch.setattr(SyncStream, "read", read)
    monkeypatch.setattr(AnyIOStream, "read", aread)
    yield server
    server.close()
    assert not any(
        pattern.data in sent for pattern in PATTERNS for sent in server.asked
    )


@pytest.fixture(params=[Blocking, Asynchronous])
def shell(request, replay):
    made = request.param(base_url=replay.url, api_key="k")
    yield made
    made.close()


@pytest.fixture
def ask(recording, replay, shell):
    """Make the call with this in place of the reply.

    Returns what was delivered, and the error that ended it. Another error than ours
    ends the test.
    """

    def make(sent):
        replay.script = [*recording.before, sent, *recording.after]
        replay.script = [s if isinstance(s, Sent) else whole(s) for s in replay.script]
        delivered, error = [], None
        try:
            recording.ask(shell, delivered)
        except ConfidentialError as caught:
            error = caught
        return delivered, error

    return make


@pytest.fixture
def right(recording, ask):
    """What the reply says when nothing is done to it."""
    delivered, error = ask(whole(recording.reply))
    assert delivered
    assert error is None
    return delivered


@pytest.fixture
def refused(recording, right, ask):
    """Check that this ends in the right error, after a beginning of what is right."""

    def check(sent, kind):
        delivered, error = ask(sent)
        assert type(error) is kind
        expected = Exposure.LOCK if recording.kind == "lock" else Exposure.SEALED
        assert error.exposure is expected
        assert delivered == right[: len(delivered)]
        assert delivered == [] or recording.live

    return check


@pytest.mark.parametrize(
    "recording", ["lock", "whole", "embeddings", "stream"], indirect=True
)
def test_split_at_each_byte_it_says_the_same(recording, right, ask):
    for at in range(1, len(recording.reply)):
        assert ask(split(recording.reply, at)) == (right, None), at


def test_cut_at_each_byte_it_is_refused(recording, right, ask, refused):
    reply = recording.reply
    head, _ = parted(reply)
    harmless = FRAME_AROUND_THE_END if recording.live else 0
    for at in range(len(reply) - harmless):
        if at == 0:
            kind = ConnectionLostError
        elif at < len(head) or not recording.live:
            kind = AnswerCutError
        else:
            kind = StreamTruncatedError
        refused(cut(reply, at), kind)
    for at in range(len(reply) - harmless, len(reply)):
        assert ask(cut(reply, at)) == (right, None), at


@pytest.mark.parametrize(
    "recording", ["lock", "whole", "embeddings", "stream"], indirect=True
)
def test_where_the_body_ends_well_after_each_byte_it_is_refused(recording, refused):
    kind = StreamTruncatedError if recording.live else RemoteProtocolError
    for at in range(len(payload(recording.reply))):
        refused(ended(recording.reply, at), kind)


def test_where_only_the_connection_ends_the_body_it_is_refused(recording, refused):
    kind = StreamTruncatedError if recording.live else RemoteProtocolError
    body = payload(recording.reply)
    for found in re.finditer(rb"[{},]|\n", body):  # where it is easiest to be misled
        for at in {found.start(), found.end()} - {len(body)}:
            refused(unframed(recording.reply, at), kind)


@pytest.mark.parametrize("way", [ended, unframed])
def test_where_the_body_ends_as_it_should_it_is_right(recording, right, ask, way):
    assert ask(way(recording.reply, len(payload(recording.reply)))) == (right, None)
