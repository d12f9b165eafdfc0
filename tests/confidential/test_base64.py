"""One encoding for each text of bytes, and one text for each encoding."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoma_confidential._base64 import decoded


@given(st.binary())
def test_what_was_encoded_is_decoded(data):
    assert decoded(base64.b64encode(data).decode()) == data


@given(st.text(alphabet="ABab01+/=-_ \n"))
def test_only_the_one_encoding_is_decoded(text):
    data = decoded(text)
    assert data is None or base64.b64encode(data).decode() == text


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        b"AAAA",
        "AAA",
        "AA==AAAA",
        "AB==",
        "AAB=",
        "AA=",
        "A-_A",
        "ÄAAA",
        "AA\n==",
    ],
)
def test_anything_else_is_none(text):
    assert decoded(text) is None
