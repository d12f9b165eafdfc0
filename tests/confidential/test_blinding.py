"""Whitespace after a body: random, of the promised size, and nothing but whitespace."""

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoma_confidential.blinding import BLINDING_BYTES, blind, padded_length

WHITESPACE = set(b" \t\n\r")


def padme(length):
    """Algorithm 1 of the PURBs paper, in its own words."""
    exponent = math.floor(math.log2(length))
    size_bits = math.floor(math.log2(exponent)) + 1
    last_bits = exponent - size_bits
    bit_mask = 2**last_bits - 1
    return (length + bit_mask) & ~bit_mask


@given(st.dictionaries(st.text(), st.text() | st.integers()))
def test_a_blinded_body_is_the_same_json(value):
    body = json.dumps(value, ensure_ascii=False).encode(errors="replace")
    blinded = blind(body)
    assert blinded.startswith(body)
    assert set(blinded[len(body) :]) <= WHITESPACE
    assert json.loads(blinded) == json.loads(body)


@given(st.integers(0, 100_000))
def test_at_least_128_random_bits_and_a_padme_size(length):
    blinded = blind(bytes(length))
    assert len(blinded) == padded_length(length + BLINDING_BYTES)
    assert len(blinded) - length >= 64


def test_no_two_blindings_are_alike():
    assert len({blind(b"{}") for _ in range(50)}) == 50


def test_each_pair_of_bits_has_its_character():
    blinded = blind(b"{}", entropy=lambda count: bytes([0b00_01_10_11]) * count)
    assert blinded[2:66] == b" \t\n\r" * 16


@given(st.integers(1, 5000))
def test_every_character_is_drawn(length):
    asked = []

    def entropy(count):
        asked.append(count)
        return bytes([0xFF]) * count

    blinded = blind(bytes(length), entropy=entropy)
    assert blinded[length:] == b"\r" * (len(blinded) - length)
    assert asked == [math.ceil((len(blinded) - length) / 4)]


@given(st.integers(2, 10**7))
def test_sizes_are_those_of_the_paper(length):
    assert padded_length(length) == padme(length)


@given(st.integers(0, 10**7))
def test_a_size_is_never_less_and_at_most_12_percent_more(length):
    padded = padded_length(length)
    assert length <= padded <= length * 1.12
    assert padded_length(padded) == padded


@given(st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_longer_body_is_never_padded_to_less(one, other):
    assert padded_length(min(one, other)) <= padded_length(max(one, other))


@pytest.mark.parametrize(
    ("length", "padded"), [(0, 0), (1, 1), (2, 2), (3, 3), (9, 10), (208, 208)]
)
def test_sizes_at_the_lower_end(length, padded):
    assert padded_length(length) == padded


def test_close_lengths_share_a_size():
    sizes = {padded_length(length) for length in range(1_000_000, 2_000_000, 999)}
    assert len(sizes) < 60
