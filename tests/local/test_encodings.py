"""Every disguise of a text that a wire may put on it."""

import base64
import binascii
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoma_local import encodings_of

TEXT = 'The "Grüße" of 你好/👋\nare secret'


def found(text, haystack):
    return [p.encoding for p in encodings_of(text) if p.data in haystack]


@pytest.mark.parametrize(
    "encode",
    [
        str.encode,
        lambda t: json.dumps({"a": t}).encode(),
        lambda t: json.dumps({"a": t}, ensure_ascii=False).encode(),
        lambda t: (
            json.dumps(json.dumps([t], ensure_ascii=False)).encode()
            if t.isascii()
            else json.dumps(
                json.dumps([t], ensure_ascii=False), ensure_ascii=False
            ).encode()
        ),
        lambda t: quote(t).encode(),
        lambda t: (
            quote(t, safe="").lower().encode() if t.islower() else quote(t).encode()
        ),
        lambda t: quote_plus(t).encode(),
        lambda t: t.encode("utf-16-le"),
        lambda t: t.encode("utf-16-be"),
        lambda t: binascii.hexlify(t.encode()),
        lambda t: binascii.hexlify(t.encode()).upper(),
        lambda t: base64.b64encode(json.dumps(t).encode()),
    ],
)
@pytest.mark.parametrize("text", [TEXT, "a plain secret", "lower/é€ case text"])
def test_is_found_however_it_is_written(text, encode):
    assert found(text, b"before " + encode(text) + b" after")


@given(
    before=st.binary(max_size=7),
    after=st.binary(max_size=7),
    text=st.text(min_size=6, max_size=40).filter(lambda t: t.isprintable()),
    urlsafe=st.booleans(),
)
def test_base64_is_found_wherever_the_text_lies(before, after, text, urlsafe):
    encode = base64.urlsafe_b64encode if urlsafe else base64.b64encode
    haystack = encode(before + text.encode() + after)
    assert any("base64" in name for name in found(text, haystack))


def test_another_text_is_not_found():
    haystack = base64.b64encode(b"something else entirely") + b"and in clear"
    assert found("a plain secret", haystack) == []


@pytest.mark.parametrize("text", ["", "a", "12345"])
def test_what_matches_by_chance_is_refused(text):
    with pytest.raises(ValueError, match="by chance") as caught:
        list(encodings_of(text))
    assert text == "" or f"'{text}'" not in str(caught.value)


def test_each_pattern_comes_once():
    patterns = [pattern.data for pattern in encodings_of("a plain secret")]
    assert len(patterns) == len(set(patterns))
