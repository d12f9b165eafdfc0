"""Faults of the events of a stream, seen from a plain socket."""

import re

import pytest
from plain_socket import (
    CLOSED,
    EVENTS,
    LAST_CHUNK,
    OPEN,
    ask,
    events_of,
    read,
    request,
    stream,
    whole,
)

from atoma_local._event_shapes import EventShape, Merged

CLEAR = b'"model": "clear"'


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
