"""Bytes of an event stream in, the data of its events out, however they are cut."""

import itertools
import re

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from atoma_confidential._sse import EventDecoder
from atoma_confidential.errors import Exposure, RemoteProtocolError

ENDS = ["\n", "\r\n", "\r"]


def decode(stream, *, cuts=(), **options):
    decoder = EventDecoder(Exposure.SEALED, **options)
    data = stream if isinstance(stream, bytes) else stream.encode()
    edges = [0, *sorted(cuts), len(data)]
    pieces = [data[a:b] for a, b in itertools.pairwise(edges)]
    return [event for piece in pieces for event in decoder.feed(piece)]


def naive(data):
    """The rules of WHATWG HTML 9.2.6, over a stream that is all there."""
    lines = re.split(rb"\r\n|\r|\n", data.removeprefix(b"\xef\xbb\xbf"))
    events, lines_of_data = [], []
    for line in lines[:-1]:  # what follows the last line end is no line yet
        field, _, value = line.partition(b":")
        if not line:
            if event := b"\n".join(lines_of_data):
                events.append(event)
            lines_of_data = []
        elif field == b"data":
            lines_of_data.append(value.removeprefix(b" "))
    return events


streams = st.lists(
    st.sampled_from(
        [
            *(b"\n", b"\r", b"\r\n", b"\n\n", b"data", b"data:", b"data: ", b": x"),
            *(b"{}", b"\xc3\xa9", b"\xef\xbb\xbf", b"id: 1", b"event", b":", b" "),
        ]
    )
    | st.binary(max_size=4),
    max_size=30,
).map(b"".join)


@given(streams)
@example(b"\xef\xbb\xbfdata: a\n\n")
@example(b"data: a\r\n\r\ndata: b\r\r\n\n")
def test_the_rules_of_the_standard_are_kept(data):
    assert decode(data) == naive(data)


@given(streams, st.data())
def test_any_cutting_gives_the_same_events(data, draw):
    cuts = draw.draw(st.lists(st.integers(0, len(data))))
    assert decode(data, cuts=cuts) == decode(data)


@given(streams)
def test_one_byte_at_a_time_gives_the_same_events(data):
    assert decode(data, cuts=range(len(data))) == decode(data)


@pytest.mark.parametrize(
    "stream",
    [b": hi\rdata: {1}\n\n", b"data: a\rdata: b\n\ndata: c\n\n", b"data: a\r\n\r\r\n"],
)
def test_line_ends_of_several_kinds_may_be_cut_anywhere(stream):
    for cut in range(len(stream)):
        assert decode(stream, cuts=[cut]) == naive(stream)


@given(streams, st.data())
def test_a_prefix_gives_a_prefix_of_the_events(data, draw):
    whole = decode(data)
    part = decode(data[: draw.draw(st.integers(0, len(data)))])
    assert part == whole[: len(part)]


@pytest.mark.parametrize("end", ENDS, ids=repr)
def test_an_event_is_out_as_soon_as_its_blank_line_is(end):
    decoder = EventDecoder(Exposure.SEALED)
    assert decoder.feed(f"data: one{end}".encode()) == []
    assert decoder.feed(end.encode()) == [b"one"]
    assert decoder.feed(f"data: two{end}{end}".encode()) == [b"two"]


def test_a_line_feed_that_was_cut_off_its_carriage_return_starts_no_line():
    decoder = EventDecoder(Exposure.SEALED)
    assert decoder.feed(b"data: one\r\n\r") == [b"one"]
    assert decoder.feed(b"") == []
    assert decoder.feed(b"\n") == []
    assert decoder.feed(b"data: two\r") == []
    assert decoder.feed(b"data: three\r\r") == [b"two\nthree"]


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        ("", []),
        ("data: a", []),
        ("data: a\n", []),
        ("data: a\n\n", [b"a"]),
        ("data:a\n\n", [b"a"]),
        ("data:  a\n\n", [b" a"]),
        ("data: a\ndata: b\n\n", [b"a\nb"]),
        ("data\n\n", []),
        ("data:\n\n", []),
        ("data\ndata\n\n", [b"\n"]),
        ("datas: a\n\n", []),
        (" data: a\n\n", []),
        ("DATA: a\n\n", []),
        (": keep-alive\n\n" * 3, []),
        (": a\ndata: b\n\n", [b"b"]),
        ("event: x\nid: 1\nretry: 15\ndata: a\n\n", [b"a"]),
        ("data: a\n\n\n\ndata: b\n\n", [b"a", b"b"]),
        ("\ufeffdata: a\n\n", [b"a"]),
        ("\n\ufeffdata: a\n\n", []),
        ("data: [DONE]\n\n", [b"[DONE]"]),
    ],
)
def test_examples(stream, events):
    assert decode(stream) == events


# --- limits -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("stream", "event"),
    [
        (b"data:" + b"x" * 95 + b"\n\n", b"x" * 95),
        (b"data\n" * 100 + b"\n", b"\n" * 99),
        ((b"data:" + b"x" * 49 + b"\n") * 2 + b"\n", b"x" * 49 + b"\n" + b"x" * 49),
    ],
    ids=["line", "empty lines", "lines"],
)
def test_an_event_of_just_the_limit_passes(stream, event):
    assert decode(stream, max_event_bytes=100) == [event]


@pytest.mark.parametrize(
    "stream",
    [
        b"data: " + b"x" * 101,
        b"data: " + b"x" * 101 + b"\n\n",
        b": " + b"x" * 101,
        b"data:" + b"x" * 60 + b"\ndata:" + b"x" * 60 + b"\n\n",
        # Lines without content still become line feeds of the event.
        b"data\n" * 102 + b"\n",
    ],
    ids=["line", "event", "comment", "lines", "empty lines"],
)
def test_what_exceeds_the_limit_is_refused(stream):
    with pytest.raises(RemoteProtocolError, match="exceeds 100 bytes") as caught:
        decode(stream, max_event_bytes=100)
    assert caught.value.exposure is Exposure.SEALED


def test_the_limit_counts_one_event_not_the_stream():
    stream = b"data: " + b"x" * 50 + b"\n\n" + b": keep-alive\n\n"
    assert decode(stream * 100, max_event_bytes=100) == [b"x" * 50] * 100


def test_only_new_bytes_are_searched():
    searched = []

    class Counting(bytes):
        def rfind(self, end):
            searched.append(len(self))
            return super().rfind(end)

    data = b"data: " + b"x" * 5000 + b"\n\n"
    decoder = EventDecoder(Exposure.SEALED)
    events = [
        e for n in range(len(data)) for e in decoder.feed(Counting(data[n : n + 1]))
    ]
    assert events == [b"x" * 5000]
    assert sum(searched) == 2 * len(data)  # for each of the two line ends
