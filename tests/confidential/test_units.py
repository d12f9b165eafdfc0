"""Units: an upper bound that shows no more than the ciphertext's length does."""

import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoma_confidential._units import MAX_UNITS, compute_units
from atoma_confidential.blinding import BLINDING_BYTES, blind, padded_length
from atoma_confidential.errors import InvalidInputError, RequestTooLargeError


def chat(content, **more):
    return {"model": "m", "messages": [{"role": "user", "content": content}], **more}


def encoded(body):
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=2000))
def test_text_counts_as_many_units_as_its_sealed_bytes(text):
    body = chat(text)
    assert compute_units(body) == len(blind(encoded(body)))


def test_texts_of_one_padded_size_have_one_figure():
    assert len({compute_units(chat("x" * n)) for n in range(3000, 3050)}) <= 2


@pytest.mark.parametrize(
    ("limits", "units"),
    [
        ({}, 0),
        ({"max_tokens": 100}, 100),
        ({"max_completion_tokens": 100}, 100),
        ({"max_tokens": 100, "max_completion_tokens": 50}, 100),
        ({"max_tokens": None, "max_completion_tokens": 50}, 50),
        ({"max_tokens": 100, "n": 3}, 300),
        ({"max_tokens": 100, "n": None}, 100),
    ],
)
def test_the_completion_is_reserved_as_well(limits, units):
    body = chat("hi", **limits)
    assert compute_units(body) == len(blind(encoded(body))) + units


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens", "n"])
@pytest.mark.parametrize("value", [0, -1, 1.5, "10", True, [1]])
def test_a_limit_that_is_no_positive_integer_is_refused(name, value):
    with pytest.raises(InvalidInputError, match=f"{name} is not a positive integer"):
        compute_units(chat("hi", **{name: value}))


def test_a_request_that_no_stack_can_hold_is_refused():
    with pytest.raises(RequestTooLargeError, match=str(MAX_UNITS)):
        compute_units(chat("hi", max_tokens=MAX_UNITS))
    size = compute_units(chat("hi", max_tokens=1)) - 1
    # Each decimal digit of the limit is itself a byte of the body.
    assert compute_units(chat("hi", max_tokens=MAX_UNITS - size - 64)) <= MAX_UNITS


def test_the_error_does_not_quote_the_request():
    with pytest.raises(RequestTooLargeError) as caught:
        compute_units(chat("canary", max_tokens=2 * MAX_UNITS))
    assert "canary" not in str(caught.value)


MEGABYTE = base64.b64encode(bytes(1 << 20)).decode()


@pytest.mark.parametrize(
    ("part", "inline"),
    [
        (
            {"type": "image_url", "image_url": {"url": f"data:image/png,{MEGABYTE}"}},
            f"data:image/png,{MEGABYTE}",
        ),
        ({"type": "input_audio", "input_audio": {"data": MEGABYTE}}, MEGABYTE),
        ({"type": "file", "file": {"file_data": MEGABYTE}}, MEGABYTE),
        (
            {"type": "image_url", "image_url": {"url": "https://example.org/a.png"}},
            "https://example.org/a.png",
        ),
    ],
    ids=["image", "sound", "file", "link"],
)
def test_media_counts_as_tokens_not_as_bytes(part, inline):
    body = chat([{"type": "text", "text": "what is it?"}, part])
    text = padded_length(len(encoded(body)) - len(inline) + BLINDING_BYTES)
    assert compute_units(body) == text + 16_384 + len(inline) // 8


@pytest.mark.parametrize(
    "messages",
    [
        None,
        [],
        [{"role": "assistant", "content": None, "tool_calls": []}],
        [{"role": "assistant"}],
        [{"role": "user", "content": [{"type": "text", "text": "x"}]}],
        [{"role": "user", "content": ["x", 7, {"image_url": "x"}]}],
    ],
)
def test_messages_of_any_shape_count_their_bytes(messages):
    body = {"model": "m", "messages": messages}
    assert compute_units(body) == len(blind(encoded(body)))


def test_an_embedding_request_counts_its_texts():
    body = {"model": "m", "input": ["a", "b" * 500], "encoding_format": "base64"}
    assert compute_units(body) == len(blind(encoded(body)))
