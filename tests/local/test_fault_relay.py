"""Every row of the network's fault table breaks what it says, once or always.

Seen from a plain socket: which bytes come, and how they end. What our clients make of
it is in the tests of the clients. The rows of events have a file of their own.
"""

import httpx
import pytest
from plain_socket import (
    BODY,
    CLOSED,
    EVENTS,
    OPEN,
    RESET,
    SECONDS,
    arrived,
    ask,
    expect,
    read,
    request,
    stream,
    whole,
)

from atoma_local import (
    NETWORK_FAULTS,
    FaultRelay,
    LocalAtoma,
    NetworkFault,
    NetworkFaults,
)
from atoma_local._shapes import End, Ended, Pieces, through

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
