"""Nonces of a stream: a repeated one is noticed, and refused or told once."""

import json

import pytest
from answered import HI, STOP, THERE, WHOLE, Wire, plain

from atoma_confidential.errors import Exposure, NonceReuseError, OpenError

NONCE = bytes(range(12))


def test_a_repeated_nonce_is_refused_at_that_chunk(wire):
    assert wire.feed(wire.event(HI, nonce=NONCE)) == [HI]
    with pytest.raises(NonceReuseError) as caught:
        wire.feed(wire.event(THERE, nonce=NONCE))
    assert caught.value.exposure is Exposure.SEALED
    assert wire.stream.nonce_reused is True


def test_a_repeated_nonce_is_noticed_later_too(wire):
    wire.feed(wire.event(HI, nonce=NONCE) + wire.event(THERE))
    with pytest.raises(NonceReuseError):
        wire.feed(wire.event(STOP, nonce=NONCE))


def test_where_repeated_nonces_are_tolerated_they_are_told_once(node):
    told = []
    wire = Wire(
        node, on_nonce_reuse=lambda: told.append(True), refuse_nonce_reuse=False
    )
    assert wire.feed(wire.events(WHOLE, nonce=NONCE)) == WHOLE
    wire.stream.finish()
    assert wire.stream.nonce_reused is True
    assert told == [True]


def test_a_nonce_that_comes_again_among_others_is_never_tolerated(node):
    """It is no node's doing: the event was sent twice on the way."""
    told = []
    wire = Wire(
        node, on_nonce_reuse=lambda: told.append(True), refuse_nonce_reuse=False
    )
    wire.feed(wire.event(HI, nonce=NONCE) + wire.event(THERE))
    with pytest.raises(NonceReuseError):
        wire.feed(wire.event(HI, nonce=NONCE))
    assert wire.stream.nonce_reused is True
    assert told == [True]


def test_other_nonces_after_one_that_was_repeated_are_never_tolerated(node):
    wire = Wire(node, refuse_nonce_reuse=False)
    wire.feed(wire.event(HI, nonce=NONCE) * 2)
    with pytest.raises(NonceReuseError):
        wire.feed(wire.event(THERE))


def test_fresh_nonces_are_not_told(node):
    told = []
    wire = Wire(node, on_nonce_reuse=lambda: told.append(True))
    wire.feed(wire.events(WHOLE))
    assert told == []


def test_a_refused_nonce_is_told_before_it_is_refused(node):
    told = []
    wire = Wire(node, on_nonce_reuse=lambda: told.append(True))
    with pytest.raises(NonceReuseError):
        wire.feed(wire.events(WHOLE, nonce=NONCE))
    assert told == [True]


def test_a_relay_cannot_make_a_nonce_look_repeated(node):
    wire = Wire(node, refuse_nonce_reuse=False)
    good = json.loads(node.body(wire.envelope, HI, nonce=NONCE))
    forged = good | {"ciphertext": "A" * 64}
    wire.feed(plain([good]))
    with pytest.raises(OpenError, match="does not authenticate"):
        wire.feed(plain([forged]))
    assert wire.stream.nonce_reused is False
