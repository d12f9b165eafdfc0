"""A request is repeated only if not a byte came in answer to it (docs/adr/0005)."""

from contextvars import Context

import httpcore
import pytest
from shells import posts

import atoma_confidential as ac
from atoma_confidential import _deadline, _pools
from atoma_confidential._heard import listen, note
from atoma_local import FaultSwitch
from atoma_local.network_faults import NetworkFault


class BigHead:
    """Puts a field into the head that makes it longer than is read."""

    def __init__(self):
        self._begun = False

    def feed(self, data):
        line, end, rest = data.partition(b"\r\n")
        if not self._begun:
            data = line + end + b"X: " + b"x" * 200_000 + end + rest
        self._begun = True
        yield data


BIG_HEAD = NetworkFault("reply", BigHead, "a head that is too long")


@pytest.mark.parametrize(
    ("fault", "kind", "asked"),
    [
        ("reply-cut:0", ac.ConnectionLostError, 2),
        ("reply-reset:0", ac.ConnectionLostError, 2),
        ("reply-cut:1", ac.AnswerCutError, 1),
        ("reply-cut:60", ac.AnswerCutError, 1),
        ("reply-garbage", ac.RemoteProtocolError, 1),
        (BIG_HEAD, ac.RemoteProtocolError, 1),
    ],
)
def test_a_reply_that_breaks_in_its_head_is_not_repeated(
    atoma, connect, delays, fault, kind, asked
):
    """Nor do bytes of the reply before it count: the lock's, on the same connection."""
    FaultSwitch(atoma).always(fault, on="/v1/confidential/")
    with pytest.raises(ac.ConfidentialError) as caught:
        connect(atoma).chat()
    assert type(caught.value) is kind
    assert caught.value.exposure is ac.Exposure.SEALED
    assert len(posts(atoma)) == len(delays) + 1 == asked


class Talking(httpcore.NetworkStream):
    def read(self, max_bytes, timeout=None):
        return b"x"

    def write(self, buffer, timeout=None):
        pass


class AsyncTalking(httpcore.AsyncNetworkStream):
    closed = False

    async def aclose(self):
        self.closed = True

    async def read(self, max_bytes, timeout=None):  # noqa: ASYNC109
        return b"x"

    async def write(self, buffer, timeout=None):  # noqa: ASYNC109
        pass

    async def start_tls(self, context, server_hostname=None, timeout=None):  # noqa: ASYNC109
        return self


async def test_what_a_proxy_says_of_its_tunnel_is_no_answer_to_what_is_written_then():
    stream = _deadline._Stream(Talking(), _deadline._Backend(httpcore.NetworkBackend()))
    heard = listen()
    stream.read(1)
    assert heard.a_byte
    stream.write(b"y")
    assert not heard.a_byte
    stream = await _pools._Stream(AsyncTalking()).start_tls(None)
    heard = listen()
    await stream.read(1)
    assert heard.a_byte
    await stream.write(b"y")
    assert not heard.a_byte


def test_what_is_read_for_nobody_is_not_noted():
    Context().run(note, a_byte=True)


class AtOnce(httpcore.AsyncNetworkBackend):
    """Connects without a pause, as a loop may."""

    def __init__(self):
        self.made = []

    async def connect_tcp(self, *_args):
        self.made.append(AsyncTalking())
        return self.made[-1]


async def test_a_connection_is_heard_and_closed_if_its_client_was():
    backend = _pools._Backend(AtOnce())
    stream = await backend.connect_tcp("a.example", 443)
    heard = listen()
    await stream.read(1)
    assert heard.a_byte
    backend.closed = True
    with pytest.raises(httpcore.ConnectError):
        await backend.connect_tcp("a.example", 443)
    assert [one.closed for one in backend._inner.made] == [False, True]
