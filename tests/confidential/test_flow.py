"""The exchange without I/O: what only a script can make happen."""

import base64
import json

import pytest

from atoma_confidential import (
    ConfidentialError,
    ConnectionLostError,
    Exposure,
    NonceReuseError,
    Recipient,
    RemoteProtocolError,
    StackUnavailableError,
    StreamTruncatedError,
)
from atoma_confidential._answered import LiveAnswer
from atoma_confidential._flow import exchange, exchange_stream
from atoma_confidential._request import chat_request
from atoma_confidential._session import (
    Alone,
    Begin,
    Begun,
    Reply,
    Send,
    Session,
    Sleep,
    Work,
)

HELLO = [{"role": "user", "content": "Hello"}]


def session_of(**settings):
    return Session("k", lambda: 1e9, **settings)


def flat(flow):
    """Take the steps that a shell takes one at a time, as if there were no others."""
    try:
        step = next(flow)
        while True:
            try:
                if isinstance(step, Alone):
                    result = yield from flat(step.steps)
                elif isinstance(step, Work):
                    result = step.do()
                else:
                    result = yield step
            except ConfidentialError as error:
                step = flow.throw(error)
            else:
                step = flow.send(result)
    except StopIteration as stop:
        return stop.value
    finally:
        flow.close()


def request(*, stream):
    return chat_request(HELLO, model="m", parameters={}, extra_body=None, stream=stream)


@pytest.fixture
def lock(node):
    key = base64.b64encode(node.recipient.public_key).decode()
    body = {"public_key": key, "node_small_id": 1, "stack_small_id": 2}
    return Reply(200, {}, json.dumps(body).encode())


def test_a_stream_must_be_an_event_stream(lock):
    flow = flat(exchange_stream(session_of(stream_mode="live"), request(stream=True)))
    assert next(flow).path == "/v1/nodes/lock"
    step = flow.send(lock)
    assert step.live
    with pytest.raises(RemoteProtocolError, match="not an event stream"):
        flow.send(Reply(200, {"content-type": "text/html"}, b""))


def test_a_plain_stream_must_be_an_event_stream():
    session = session_of(confidential=False)
    flow = exchange_stream(session, request(stream=True))
    assert next(flow).path == "/v1/chat/completions"
    with pytest.raises(RemoteProtocolError) as caught:
        flow.send(Reply(200, {}, b"{}"))
    assert caught.value.exposure is Exposure.PLAIN


def begin(flow, lock):
    next(flow)
    flow.send(lock)
    return flow.send(Reply(200, {"content-type": "text/event-stream; x"}, b""))


def test_a_live_stream_begins_with_its_first_chunk(lock):
    flow = flat(exchange_stream(session_of(stream_mode="live"), request(stream=True)))
    assert isinstance(begin(flow, lock), Begin)
    begun = Begun({}, iter(()))
    with pytest.raises(StopIteration) as stop:
        flow.send(begun)
    assert isinstance(stop.value.value, LiveAnswer)
    assert stop.value.value.stream is begun
    assert stop.value.value.verdict.stream == "live"


@pytest.mark.parametrize("error", [StreamTruncatedError, NonceReuseError])
def test_what_did_open_at_the_start_of_a_stream_is_not_repeated(lock, error):
    flow = flat(exchange_stream(session_of(stream_mode="live"), request(stream=True)))
    begin(flow, lock)
    with pytest.raises(error):
        flow.throw(error("No.", Exposure.SEALED))


def test_a_send_is_resumed_with_its_reply():
    flow = flat(exchange(session_of(), request(stream=False)))
    next(flow)
    with pytest.raises(TypeError):
        flow.send(None)


def test_an_error_says_the_most_that_has_left_in_any_attempt(lock):
    """The second lock does not even connect, but the first request had left."""
    flow = flat(exchange(session_of(), request(stream=False)))
    next(flow)
    flow.send(lock)
    gone = StackUnavailableError("Gone.", Exposure.SEALED, 425)
    assert isinstance(flow.throw(gone), Sleep)
    step = next(flow)
    assert (step.path, step.before) == ("/v1/nodes/lock", Exposure.SEALED)
    lost = ConnectionLostError("Lost.", Exposure.LOCK)
    assert isinstance(flow.throw(lost), Sleep)
    next(flow)
    with pytest.raises(ConnectionLostError) as caught:
        flow.throw(ConnectionLostError("Lost.", Exposure.LOCK))
    assert caught.value.exposure is Exposure.SEALED


def test_only_the_first_locks_of_a_model_wait_for_each_other(lock):
    session = session_of()
    early = exchange(session, request(stream=False))
    waiting = next(early)
    assert waiting.name == "lock m"
    first = flat(exchange(session, request(stream=False)))
    assert next(first).path == "/v1/nodes/lock"
    first.send(lock)
    with pytest.raises(StopIteration) as stop:
        next(waiting.steps)
    assert stop.value.value is None
    assert early.send(None).path == "/v1/nodes/lock"
    assert isinstance(next(exchange(session, request(stream=False))), Send)


def test_two_canaries_do_not_go_out_for_one_key(lock):
    session = session_of()
    first = flat(exchange_stream(session, request(stream=True)))
    next(first)
    assert first.send(lock).wait == "probe"
    second = flat(exchange_stream(session, request(stream=True)))
    next(second)
    step = second.send(lock)
    assert isinstance(step, Send)
    assert (step.wait, step.live) == ("answer", False)
    first.close()
    assert not session.probing


def test_nothing_that_holds_a_secret_has_a_repr(lock, node):
    session = Session("secret-key", lambda: 1e9)
    flow = exchange(session, request(stream=False))
    alone = next(flow)
    step = next(alone.steps)
    for thing in (session, alone, step, lock, request(stream=False)):
        assert "secret-key" not in repr(thing)
        assert "Hello" not in repr(thing)
    assert node.recipient == Recipient(node.recipient.public_key)
