"""The document that pins are kept in, and the log of keys beside it."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from witnessed import (
    ADDRESS,
    CHIP,
    OTHER_ADDRESS,
    OTHER_CHIP,
    Witnessed,
    candidate,
    result_of,
)

from atoma_confidential import PinFileError, TrustPolicy
from atoma_confidential.attestation import NodePins, Pin, Pins, SeenKey, SeenSigner
from atoma_confidential.attestation._pin_json import (
    MAX_BYTES,
    dump_key,
    dump_pins,
    parse_key_log,
    parse_pins,
)
from atoma_confidential.attestation.pins import LoggedKey

KEY = "00112233aabbccdd"

times = st.integers(0, 253_402_300_799)
nodes = st.integers(0, 2**64 - 1)
hexes = "0123456789abcdef"
fingerprints = st.text(hexes, min_size=16, max_size=16)
addresses = st.text(hexes, min_size=64, max_size=64).map("0x{}".format)
chips = st.text(
    st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=9
)
some_chips = st.frozensets(chips, max_size=5)
seen = st.builds(SeenKey, fingerprints, some_chips) | st.builds(SeenSigner, addresses)


def pinned(values):
    return st.none() | st.builds(Pin, values, times)


node_pins = st.builds(
    NodePins,
    nodes,
    key=pinned(fingerprints),
    chips=pinned(some_chips.filter(bool)),
    signer=pinned(addresses),
    refused=pinned(seen),
)
documents = st.lists(node_pins, max_size=4).map(
    lambda found: Pins({pins.node: pins for pins in found})
)


@given(documents)
def test_what_is_written_is_read_back(pins):
    assert parse_pins(dump_pins(pins), "it") == pins


FULL = Pins().having(
    NodePins(
        42,
        key=Pin(KEY, 1),
        chips=Pin(frozenset({CHIP, OTHER_CHIP}), 2),
        signer=Pin(ADDRESS, 3),
        refused=Pin(SeenKey(KEY, frozenset({"third"})), 4),
    )
)
FULL = FULL.having(NodePins(43, refused=Pin(SeenSigner(OTHER_ADDRESS), 5)))
DATA = dump_pins(FULL)


def test_no_beginning_of_a_document_is_one():
    assert parse_pins(DATA, "it") == FULL
    for end in range(len(DATA)):
        with pytest.raises(PinFileError):
            parse_pins(DATA[:end], "it")


def refused_for(data, why):
    with pytest.raises(PinFileError) as no:
        parse_pins(data, "the pins")
    assert why in no.value.message
    assert no.value.message.startswith("Cannot use the pins: ")
    # A parser's error would carry the file.
    assert no.value.__cause__ is None
    assert no.value.__context__ is None


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda data: data + b"}\n"))
def test_noise_is_refused(noise):
    with pytest.raises(PinFileError):
        parse_pins(noise, "it")


@given(st.data())
def test_a_document_with_a_bit_flipped_is_refused_or_is_one(data):
    at = data.draw(st.integers(0, len(DATA) - 1))
    flipped = bytearray(DATA)
    flipped[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        pins = parse_pins(bytes(flipped), "it")
    except PinFileError:
        return
    assert parse_pins(dump_pins(pins), "it") == pins


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "not whole"),
        (DATA[:-1], "not whole"),
        (DATA + b"\n", "not whole"),
        (b"x}\n", "not JSON"),
        (b"\xff}\n", "not JSON"),
        (b'{"a":' * 100_000 + b"}\n", "not JSON"),
        (b'{"version": 1, "nodes": [], "nodes": []}\n', "names a member twice"),
        (b'{"version": 1, "nodes": [NaN], "a": {}}\n', "not JSON"),
        (b'{"version": 1.0, "nodes": []}\n', "not JSON"),
        (b'{"version": %s, "nodes": []}\n' % (b"1" * 5000), "not JSON"),
        (b'{"version": 2, "nodes": []}\n', "not of version 1"),
        (b'{"version": true, "nodes": []}\n', "not of version 1"),
        (b'{"nodes": []}\n', "not of version 1"),
        (b'{"version": 1}\n', "lacks a member"),
        (b'{"version": 1, "nodes": [], "more": 1}\n', "not known"),
        (b'{"version": 1, "nodes": {}}\n', "nodes is not a list"),
        (b'{"version": 1, "nodes": [1]}\n', "a node is not an object"),
        (b" " * MAX_BYTES + DATA, "larger than 4 MiB"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_a_document_that_is_none_is_refused(data, why):
    refused_for(data, why)


def pin(value, since=1):
    return {"value": value, "since": since}


@pytest.mark.parametrize(
    ("node", "why"),
    [
        ({}, "lacks a member"),
        ({"node": -1}, "a node's number"),
        ({"node": True}, "a node's number"),
        ({"node": 2**64}, "a node's number"),
        ({"node": "1"}, "a node's number"),
        ({"node": 1, "name": "x"}, "not known"),
        ({"node": 1, "key": KEY}, "a key is not an object"),
        ({"node": 1, "key": {"value": KEY}}, "lacks a member"),
        ({"node": 1, "key": pin(KEY.upper())}, "a key is not"),
        ({"node": 1, "key": pin(KEY + "\n")}, "a key is not"),
        ({"node": 1, "key": pin(7)}, "a key is not"),
        ({"node": 1, "key": pin(KEY, since=-1)}, "a time is not"),
        ({"node": 1, "key": pin(KEY, since=2**40)}, "a time is not"),
        ({"node": 1, "key": pin(KEY, since=None)}, "a time is not"),
        ({"node": 1, "chips": pin([])}, "chips are none"),
        ({"node": 1, "chips": pin("a")}, "chips is not a list"),
        ({"node": 1, "chips": pin(["a", "a"])}, "twice"),
        ({"node": 1, "chips": pin([f"{n}" for n in range(65)])}, "too many"),
        ({"node": 1, "chips": pin(["a b"])}, "a chip is not"),
        ({"node": 1, "chips": pin(["\u001b[2J"])}, "a chip is not"),
        ({"node": 1, "signer": pin(ADDRESS[:-1])}, "a signer is not"),
        ({"node": 1, "refused": pin({})}, "lacks a member"),
        ({"node": 1, "refused": pin([])}, "what was refused is not an object"),
        ({"node": 1, "refused": pin({"signer": ADDRESS, "key": KEY})}, "not known"),
        ({"node": 1, "refused": pin({"key": KEY})}, "lacks a member"),
    ],
)
def test_a_node_that_is_none_is_refused(node, why):
    document = {"version": 1, "nodes": [node]}
    refused_for(json.dumps(document).encode() + b"\n", why)


def test_a_node_that_stands_there_twice_is_refused():
    document = {"version": 1, "nodes": [{"node": 5}, {"node": 5}]}
    refused_for(json.dumps(document).encode() + b"\n", "node 5 stands there twice")


@pytest.mark.parametrize("chip", ["", "a b", "x" * 65, "ü"])
def test_what_could_not_be_read_back_is_not_written(pins, chip):
    policy = TrustPolicy.on_first_use(pins, Witnessed((chip,)))
    with pytest.raises(PinFileError, match="what was to be pinned: a chip"):
        result_of(policy, candidate())
    assert 42 not in pins.read().nodes


logged = st.builds(LoggedKey, times, nodes, fingerprints)


@given(st.lists(logged, max_size=5), st.integers(0, 40))
def test_a_log_is_read_back_without_a_line_that_was_not_finished(keys, cut):
    lines = [dump_key(key) for key in keys]
    assert parse_key_log(b"".join(lines), "it") == tuple(keys)
    if lines and cut:
        assert parse_key_log(b"".join(lines)[:-cut], "it") == tuple(keys[:-1])


@pytest.mark.parametrize("line", [b"", b"[]", b"{}", b'{"at": 1', b'{"at":1,"node":2}'])
def test_a_line_of_the_log_that_is_none_is_named(line):
    good = dump_key(LoggedKey(1, 2, KEY))
    with pytest.raises(PinFileError, match="line 2 of the log"):
        parse_key_log(good + line + b"\n" + good, "the log")


@given(st.binary(max_size=80))
def test_noise_is_no_log(noise):
    with pytest.raises(PinFileError):
        parse_key_log(noise + b"\n", "it")
