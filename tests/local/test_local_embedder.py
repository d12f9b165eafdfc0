"""Vectors: unit length, the same each time, and close where texts are."""

import base64
import struct

import pytest

from atoma_local import BuiltInBackend

DOCUMENTS = [
    "The heliotrope turns its flowers towards the sun during the day.",
    "A proxy sees the size of each sealed body and the time of each request.",
    "Fresh bread needs flour, water, salt, yeast and a hot oven.",
    "Der Schlüssel des Knotens wechselt bei jedem Neustart.",
]


def embed(*texts, **options):
    answer = BuiltInBackend().embed({"model": "m", "input": [*texts], **options})
    assert [entry["index"] for entry in answer["data"]] == [*range(len(texts))]
    return [entry["embedding"] for entry in answer["data"]]


def closeness(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("What can the proxy see?", 1),
        ("baking bread in the oven", 2),
        ("Which flower follows the sun?", 0),
        ("Wann wechselt der Schlüssel?", 3),
        ("Instruct: Find passages\nQuery: sealed bodies", 1),
    ],
)
def test_a_query_is_closest_to_its_passage(query, found):
    vectors = embed(query, *DOCUMENTS)
    distances = [closeness(vectors[0], vector) for vector in vectors[1:]]
    assert distances.index(max(distances)) == found


@pytest.mark.parametrize("text", [*DOCUMENTS, "?!", "你好啊集团", "the of and", " x"])
def test_vectors_have_unit_length_and_never_change(text):
    [one], [other] = embed(text), embed(text)

    assert one == other
    assert len(one) == 384
    assert closeness(one, one) == pytest.approx(1)


def test_an_instruction_says_nothing_about_a_query():
    assert embed("Instruct: Given a question, find it\nQuery: sun") == embed("sun")


def test_dimensions_are_honoured():
    assert [len(vector) for vector in embed("sun", dimensions=16)] == [16]


def test_base64_is_little_endian_float32():
    [floats] = embed("sun and rain")
    [packed] = embed("sun and rain", encoding_format="base64")

    assert struct.unpack("<384f", base64.b64decode(packed)) == pytest.approx(floats)


def test_one_text_needs_no_list():
    answer = BuiltInBackend().embed({"model": "echoed", "input": "sun"})

    assert answer["model"] == "echoed"
    assert answer["usage"]["prompt_tokens"] == answer["usage"]["total_tokens"] > 0
    assert [answer["data"][0]["embedding"]] == embed("sun")
