"""Whitespace after a body: random, of the promised size, and nothing but whitespace."""

import base64
import hashlib
import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from shells import CHAT, EMBEDDING, SECRET, posts

from atoma_confidential._request import chat_request, embedding_request
from atoma_confidential.blinding import BLINDING_BYTES, blind, padded_length

EMBEDDINGS_PATH = "/v1/confidential/embeddings"

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


# --- on the wire ----------------------------------------------------------------------


def digest(data):
    return base64.b64encode(hashlib.blake2b(data, digest_size=32).digest()).decode()


def differing_bits(one, other):
    pairs = zip(base64.b64decode(one), base64.b64decode(other), strict=True)
    return sum((a ^ b).bit_count() for a, b in pairs)


def sent(atoma, path):
    return [json.loads(post.body) for post in posts(atoma, path)]


def test_identical_requests_have_unrelated_hashes(atoma, connect):
    shell = connect(atoma)
    for _ in range(2):
        shell.chat(temperature=0)
        shell.embed([SECRET])
    for path in ("/v1/confidential/chat/completions", EMBEDDINGS_PATH):
        one, other = (body["plaintext_body_hash"] for body in sent(atoma, path))
        # Of 256 bits, 128 +- 8; this is more than seven deviations.
        assert 68 < differing_bits(one, other) < 188
    # Nor is it the hash of the request without what was put behind it.
    opened = [seen.body for seen in atoma.opened if "input" in seen.body]
    guess = json.dumps(opened[0], ensure_ascii=False, separators=(",", ":")).encode()
    assert opened[0] == opened[1]
    assert digest(guess) not in [
        body["plaintext_body_hash"] for body in sent(atoma, EMBEDDINGS_PATH)
    ]
    assert digest(blind(guess)) != digest(blind(guess))


@pytest.mark.parametrize(("blinded", "distinct"), [(False, 1), (True, 2)])
def test_identical_vectors_have_one_hash_unless_they_are_blinded(
    atoma, connect, blinded, distinct
):
    shell = connect(atoma)
    vectors = [shell.embed([SECRET], blind_replies=blinded).vectors for _ in range(2)]
    assert vectors[0] == vectors[1]
    replies = [json.loads(r.body) for r in atoma.tap.responses]
    hashes = {reply["response_hash"] for reply in replies if "response_hash" in reply}
    assert len(hashes) == distinct


def test_what_is_sealed_has_a_padded_length(atoma, connect):
    shell = connect(atoma)
    for length in (1, 100, 1000, 1001, 10_000):
        shell.embed(["x" * length])
    for body in sent(atoma, EMBEDDINGS_PATH):
        length = len(base64.b64decode(body["ciphertext"])) - 16
        assert length == padded_length(length)


CORPUS = range(1, 4001)
"""Bytes of text: four thousand texts, no two of one length."""


def as_chat(text):
    messages = [{"role": "user", "content": text}]
    options = {"model": CHAT, "parameters": {}, "extra_body": None, "stream": False}
    return chat_request(messages, **options)


def as_embedding(text):
    options = {"dimensions": None, "encoding_format": "base64", "user": None}
    return embedding_request([text], model=EMBEDDING, extra_body=None, **options)


@pytest.mark.parametrize(
    ("request_of", "remaining"), [(as_chat, 69), (as_embedding, 72)]
)
def test_how_many_lengths_of_a_corpus_remain(request_of, remaining):
    """Of 4,000 lengths an observer can tell a few dozen apart."""
    bodies = [request_of("x" * length).encode(stream=False) for length in CORPUS]
    assert len({len(body) for body in bodies}) == len(CORPUS)
    padded = {len(blind(body)) for body in bodies}
    assert len(padded) == remaining
