"""Every row of the network's fault table breaks what it says, once or always.

Seen from a plain socket: which bytes come, and how they end. What our clients make of
it is in the tests of the clients.
"""

import contextlib
import re
import socket
import threading

import httpx
import pytest

from atoma_local import (
    NETWORK_FAULTS,
    FaultRelay,
    LocalAtoma,
    NetworkFault,
    NetworkFaults,
)
from atoma_local._event_shapes import EventShape, Merged
from atoma_local._shapes import End, Ended, Pieces, through

SECONDS = 20  # until a test gives up on what must come
MOMENT = 0.05  # for what must not come

BODY = b"hello " * 20
EVENTS = [b'data: {"n":%d,"text":"abcdef"}\n\n' % n for n in range(4)]
CLEAR = b'"model": "clear"'


def chunk(data):
    return b"%x\r\n%b\r\n" % (len(data), data)


class Server:
    """Answers each request with the same bytes, and notes what arrived, and when."""

    def __init__(self, answer):
        self.answer = answer
        self.seen = []
        self.arrived = threading.Semaphore(0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._peers = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def _accept(self):
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            self._peers.append(peer)
            thread = threading.Thread(target=self._serve, args=(peer,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, peer):
        request = b""
        while data := _received(peer):
            self.seen.append(data)
            self.arrived.release()
            request += data
            if request.endswith(b"END"):
                peer.sendall(self.answer)
                request = b""
        self.seen.append(b"")
        self.arrived.release()

    def close(self):
        for open_socket in (self._listener, *self._peers):
            _shut(open_socket)
        for thread in self._threads:
            thread.join()


def _received(peer):
    try:
        return peer.recv(65536)
    except OSError:
        return b""


def _shut(open_socket):
    with contextlib.suppress(OSError):
        open_socket.shutdown(socket.SHUT_RDWR)
    open_socket.close()


def request(path="/v1/x"):
    return b"POST %b HTTP/1.1\r\nContent-Length: 3\r\n\r\nEND" % path.encode()


def whole(body=BODY):
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body)


def stream(*events):
    head = (
        b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n"
    )
    # Cut without regard to where events end, as a network may.
    body = b"".join((b": keep-alive\n\n", *events))
    pieces = [body[start : start + 20] for start in range(0, len(body), 20)]
    return head + b"".join(map(chunk, pieces)) + b"0\r\n\r\n"


@pytest.fixture
def relayed():
    """Start a server with this answer, and a relay before it."""
    started = []

    def start(answer):
        server = Server(answer)
        relay = FaultRelay(server.url)
        relay.__enter__()
        started.append((server, relay))
        return server, relay

    yield start
    for server, relay in started:
        relay.__exit__(None, None, None)
        server.close()


@pytest.fixture
def dial():
    """Connect to a relay."""
    opened = []

    def connect(relay):
        port = int(relay.base_url.rpartition(":")[2])
        one = socket.create_connection(("127.0.0.1", port), timeout=SECONDS)
        opened.append(one)
        return one

    yield connect
    for one in opened:
        one.close()


CLOSED, RESET, OPEN = "closed", "reset", "open"
LAST_CHUNK = b"0\r\n\r\n"


def read(one, *, count=0, until=None):
    """Return what comes, until there is enough of it or it ends; and how it ended."""
    data = b""
    one.settimeout(SECONDS)
    while len(data) < count or (until and not data.endswith(until)):
        try:
            piece = one.recv(65536)
        except ConnectionResetError:
            return data, RESET
        if not piece:
            return data, CLOSED
        data += piece
    return data, OPEN


def expect(one, data, end):
    """Check that these bytes come, and then this end, or for a moment nothing."""
    assert read(one, count=len(data)) == (data, OPEN)
    if end is not OPEN:
        assert read(one, count=1) == (b"", end)
        return
    one.settimeout(MOMENT)
    with pytest.raises(TimeoutError):
        one.recv(1)


def ask(one, data, end, path="/v1/x"):
    one.sendall(request(path))
    expect(one, data, end)


def arrived(server, expected):
    """Check that the server gets this and then the end."""
    while b"" not in server.seen:
        assert server.arrived.acquire(timeout=SECONDS)
    assert b"".join(server.seen) == expected


# -- the reply -----------------------------------------------------------------------

AFTER = [0, 1, 17, 50, len(whole()) - 1, len(whole())]


@pytest.mark.parametrize("after", AFTER)
@pytest.mark.parametrize(
    ("fault", "end"),
    [
        ("reply-cut", CLOSED),
        ("reply-reset", RESET),
        ("reply-half-closed", CLOSED),
        ("reply-stalled", OPEN),
    ],
)
def test_a_reply_ends_after_so_many_bytes(relayed, dial, fault, end, after):
    _, relay = relayed(whole())
    relay.faults.once(f"{fault}:{after}")
    one = dial(relay)

    ask(one, whole()[:after], end)
    assert relay.received == whole()[:after]
    assert relay.faults.pending == []


def test_it_is_one_reply_that_ends(relayed, dial):
    _, relay = relayed(whole())
    relay.faults.once("reply-cut:5")

    ask(dial(relay), whole()[:5], CLOSED)
    ask(dial(relay), whole(), OPEN)


def test_a_number_beyond_the_end_breaks_nothing(relayed, dial):
    _, relay = relayed(whole())
    relay.faults.once("reply-cut:9999")
    one = dial(relay)

    ask(one, whole(), OPEN)
    ask(one, whole(), OPEN)


def test_a_reply_is_chosen_by_number_on_one_connection(relayed, dial):
    _, relay = relayed(whole())
    relay.faults.once("reply-cut:5", skip=2)
    one = dial(relay)

    ask(one, whole(), OPEN)
    ask(one, whole(), OPEN)
    ask(one, whole()[:5], CLOSED)


def test_a_reply_is_chosen_by_path(relayed, dial):
    _, relay = relayed(whole())
    relay.faults.once("reply-cut:5", on="/v1/confidential/")
    one = dial(relay)

    ask(one, whole(), OPEN, "/v1/nodes/lock")
    ask(one, whole()[:5], CLOSED, "/v1/confidential/embeddings")


def test_what_is_sent_after_a_half_close_is_still_taken(relayed, dial):
    server, relay = relayed(whole())
    relay.faults.once("reply-half-closed:5")
    one = dial(relay)
    ask(one, whole()[:5], CLOSED)
    assert server.arrived.acquire(timeout=SECONDS)

    one.sendall(b"more")

    assert server.arrived.acquire(timeout=SECONDS)
    assert b"".join(server.seen) == request() + b"more"


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize("fault", ["reply-split", "reply-dripped"])
def test_a_reply_in_pieces_is_the_same_reply(relayed, dial, fault, size):
    _, relay = relayed(whole())
    relay.faults.always(f"{fault}:{size}")
    one = dial(relay)
    one.sendall(request())

    assert read(one, until=BODY)[0] == whole()


def test_garbage_comes_before_the_reply(relayed, dial):
    _, relay = relayed(whole())
    relay.faults.once("reply-garbage")
    one = dial(relay)
    one.sendall(request())

    data, _ = read(one, until=whole())
    assert data != whole()
    assert not data.startswith(b"HTTP")
    relay.faults.once("reply-garbage")
    with pytest.raises(httpx.RemoteProtocolError):
        httpx.post(relay.base_url, content=b"END")


# -- the request ---------------------------------------------------------------------


@pytest.mark.parametrize("after", [0, 1, 30, len(request()) - 1])
@pytest.mark.parametrize(
    ("fault", "end"),
    [("request-cut", CLOSED), ("request-reset", RESET), ("request-stalled", OPEN)],
)
def test_a_request_ends_after_so_many_bytes(relayed, dial, fault, end, after):
    server, relay = relayed(whole())
    relay.faults.once(f"{fault}:{after}")
    one = dial(relay)

    ask(one, b"", end)
    assert relay.sent == request()  # the client wrote all of it
    one.close()
    arrived(server, request()[:after])


def test_what_a_client_writes_into_a_stall_is_recorded(relayed, dial):
    _, relay = relayed(whole())
    relay.faults.once("request-stalled:3")
    one = dial(relay)
    one.sendall(request()[:20])
    one.sendall(request()[20:])

    expect(one, b"", OPEN)
    assert relay.sent == request()


@pytest.mark.parametrize("fault", ["request-split:1", "request-dripped:9"])
def test_a_request_in_pieces_is_the_same_request(relayed, dial, fault):
    server, relay = relayed(whole())
    relay.faults.once(fault)
    one = dial(relay)
    one.sendall(request())

    assert read(one, until=BODY)[0] == whole()
    assert b"".join(server.seen) == request()


def test_a_request_is_chosen_by_path_though_its_head_comes_in_two(relayed, dial):
    server, relay = relayed(whole())
    relay.faults.once("request-cut:5", on="/v1/x")
    one = dial(relay)
    one.sendall(request()[:10])
    one.sendall(request()[10:])

    expect(one, b"", CLOSED)
    arrived(server, request()[:5])


# -- the connection ------------------------------------------------------------------


def test_connections_are_refused_until_they_are_not(relayed, dial):
    _, relay = relayed(whole())
    standing = dial(relay)
    ask(standing, whole(), OPEN)

    relay.faults.always("connection-refused")

    with pytest.raises(ConnectionRefusedError):
        dial(relay)
    with pytest.raises(ConnectionRefusedError):
        dial(relay)
    assert read(standing, count=1)[1] in {CLOSED, RESET}
    relay.faults.clear()
    ask(dial(relay), whole(), OPEN)
    assert relay.faults.idle == []


def test_a_relay_may_refuse_from_the_start_and_to_the_end(relayed, dial):
    server, _ = relayed(whole())
    relay = FaultRelay(server.url)
    relay.faults.always("connection-refused")

    with relay, pytest.raises(ConnectionRefusedError):
        dial(relay)
    relay.faults.clear()  # nobody listens any more

    with pytest.raises(ConnectionRefusedError):
        dial(relay)


def test_a_refused_connection_cannot_be_counted():
    with pytest.raises(ValueError, match="always"):
        NetworkFaults().once("reply-cut:1", "connection-refused")
    assert NetworkFaults().pending == []


# -- the events of a stream ----------------------------------------------------------


def events_of(data):
    """The body with its chunks undone, without the comment; and whether it ended."""
    body, rest, ended = b"", data.partition(b"\r\n\r\n")[2], False
    while rest:
        size, _, rest = rest.partition(b"\r\n")
        length = int(size, 16)
        ended = length == 0
        body += rest[:length]
        rest = rest[length + 2 :]
    return body.replace(b": keep-alive\n\n", b""), ended


def streamed(relayed, dial, fault):
    _, relay = relayed(stream(*EVENTS))
    relay.faults.once(fault)
    one = dial(relay)
    one.sendall(request())
    data, end = read(one, until=LAST_CHUNK)
    assert relay.faults.pending == []
    body, ended = events_of(data)
    return body, ended, end, one


A, B, C, D = EVENTS


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("event-dropped:0", [B, C, D]),
        ("event-dropped:2", [A, B, D]),
        ("event-dropped:9", [A, B, C, D]),
        ("event-duplicated:1", [A, B, B, C, D]),
        ("event-reordered:1", [A, C, B, D]),
        ("event-reordered:3", [A, B, C, D]),
        ("event-torn:2", [A, B, C[: len(C) // 2]]),
        ("events-ended:0", []),
        ("events-ended:3", [A, B, C]),
        ("events-merged", [A, B, C, D]),
        ("events-cr", [e.replace(b"\n", b"\r") for e in EVENTS]),
        ("events-crlf", [e.replace(b"\n", b"\r\n") for e in EVENTS]),
        ("events-bom", [b"\xef\xbb\xbf", A, B, C, D]),
        (
            "events-two-lines",
            [e.replace(b"{", b"{\ndata: ") for e in EVENTS],
        ),
    ],
)
def test_events_are_edited_and_the_stream_ends_well(relayed, dial, fault, expected):
    body, ended, end, one = streamed(relayed, dial, fault)

    assert body == b"".join(expected)
    assert ended
    assert end == OPEN
    # The connection is in step: the next reply on it is a whole one.
    ask(one, stream(*EVENTS), OPEN)


def test_an_event_in_clear_is_put_between(relayed, dial):
    body, ended, _, _ = streamed(relayed, dial, "event-injected:2")

    before, injected, after = re.split(rb"(data: .*clear.*\n\n)", body)
    assert (before, after) == (A + B, C + D)
    assert CLEAR in injected
    assert ended


def test_a_connection_is_closed_at_an_event(relayed, dial):
    body, ended, end, _ = streamed(relayed, dial, "events-cut:2")

    assert body == A + B
    assert (ended, end) == (False, CLOSED)


def test_what_is_no_stream_of_events_waits_for_one(relayed, dial):
    _, relay = relayed(whole())
    relay.faults.once("event-dropped:0")

    ask(dial(relay), whole(), OPEN)
    assert relay.faults.pending == ["event-dropped:0"]


def test_a_length_that_was_promised_is_kept(relayed, dial):
    body = b"".join(EVENTS)
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
    answer = head + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)
    _, relay = relayed(answer)
    relay.faults.once("event-dropped:0")

    ask(dial(relay), answer, OPEN)


def test_faults_of_two_stages_add_up(relayed, dial):
    _, relay = relayed(stream(*EVENTS))
    relay.faults.once("event-dropped:1", "reply-split:3", "request-split:3")
    one = dial(relay)
    one.sendall(request())

    data, _ = read(one, until=LAST_CHUNK)
    assert events_of(data) == (A + C + D, True)


@pytest.mark.parametrize("at", range(0, len(stream(*EVENTS)), 3))
def test_events_are_found_however_the_reply_is_cut(at):
    shape = EventShape(Merged())
    answer = stream(*EVENTS)
    steps = [*shape.feed(answer[:at]), *shape.feed(answer[at:])]

    assert events_of(b"".join(steps)) == (b"".join(EVENTS), True)
    assert steps[-1] == b"0\r\n\r\n"


# -- the table -----------------------------------------------------------------------

TESTED = {
    *("connection-refused", "request-cut", "request-reset", "request-stalled"),
    *("request-split", "request-dripped", "reply-cut", "reply-reset"),
    *("reply-half-closed", "reply-stalled", "reply-split", "reply-dripped"),
    *("reply-garbage", "event-dropped", "event-duplicated", "event-reordered"),
    *("event-injected", "event-torn", "events-ended", "events-cut", "events-merged"),
    *("events-cr", "events-crlf", "events-two-lines", "events-bom"),
}


def test_every_row_is_covered():
    assert {*NETWORK_FAULTS} == TESTED


def test_pieces_are_as_long_as_they_should_be():
    steps = [*Pieces(2).feed(b"abcde")]

    assert [s for s in steps if isinstance(s, bytes)] == [b"ab", b"cd", b"e"]
    assert {s.seconds for s in steps if not isinstance(s, bytes)} == {0}
    for direction in ("request", "reply"):
        shape = NETWORK_FAULTS[f"{direction}-dripped"](1).shape()
        first, pause, second, _ = shape.feed(b"ab")
        assert (first, second) == (b"a", b"b")
        assert pause.seconds > 0
    with pytest.raises(ValueError, match="one byte"):
        Pieces(0)


def test_shapes_pass_through_each_other():
    steps = [*through([Pieces(2), Ended(3, End.RESET)], b"abcdef")]

    assert b"".join(s for s in steps if isinstance(s, bytes)) == b"abc"
    assert End.RESET in steps


def test_a_fault_of_ones_own(relayed, dial):
    _, relay = relayed(whole())
    tear = NetworkFault("reply", lambda: Ended(4, End.CLOSE), "four bytes")
    relay.faults.once(tear)

    ask(dial(relay), whole()[:4], CLOSED)


def test_a_relay_without_faults_changes_nothing(relayed, dial):
    server, relay = relayed(stream(*EVENTS))

    ask(dial(relay), stream(*EVENTS), OPEN)
    assert b"".join(server.seen) == request()


def test_names_are_known_or_refused():
    faults = NetworkFaults("reply-cut:9").once("event-dropped:2")
    assert repr(faults) == (
        "NetworkFaults(always=['reply-cut:9'], once=['event-dropped:2'])"
    )
    with pytest.raises(KeyError):
        faults.once("no-such-fault")


def test_the_tap_of_a_local_atoma_is_such_a_relay(make_atoma):
    atoma = make_atoma()
    atoma.tap.faults.once("reply-cut:0")

    with pytest.raises(httpx.RemoteProtocolError):
        httpx.get(f"{atoma.base_url}/health")
    assert httpx.get(f"{atoma.base_url}/health").status_code == 200
    assert isinstance(atoma, LocalAtoma)
