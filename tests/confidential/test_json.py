"""JSON in and out: the wire's form, our errors, and no text in them."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoma_confidential import _json
from atoma_confidential._json import dump, parse_object
from atoma_confidential.errors import Exposure, InvalidInputError, RemoteProtocolError

texts = st.text(alphabet=st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda inner: st.lists(inner) | st.dictionaries(texts, inner),
    max_leaves=8,
).filter(lambda value: value not in (float("inf"), float("-inf")))


def cycle():
    value = []
    value.append(value)
    return value


def deep(levels):
    value = []
    for _ in range(levels):
        value = [value]
    return value


@given(st.dictionaries(texts, texts | st.integers() | st.lists(texts)))
def test_what_is_written_is_read_back(value):
    assert parse_object(dump(value), "It", Exposure.NOTHING) == value


def test_the_form_is_compact_and_unescaped():
    assert dump({"a": [1, "ü", "\u2028"]}).decode() == '{"a":[1,"ü","\u2028"]}'


@pytest.mark.parametrize(
    "value",
    [
        {"a": object()},
        {"a": b"bytes"},
        {"a": {1, 2}},
        {(1, 2): "a"},
        {"a": float("nan")},
        {"a": float("inf")},
        {"a": "canary \ud800"},
        {"canary \udfff": 1},
        {"a": cycle()},
        {"a": deep(100_000)},
    ],
    ids=["object", "bytes", "set", "key", "nan", "inf", "half", "half key", "", "deep"],
)
def test_what_is_no_json_is_refused_without_its_text(value):
    with pytest.raises(InvalidInputError, match="cannot be written as JSON") as caught:
        dump(value)
    error = caught.value
    assert "canary" not in f"{error}{error.args}"
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"null",
        b"7",
        b'"canary"',
        b"{",
        b"{}x",
        b"{'a': 1}",
        b'{"a": NaN}',
        b'{"a": Infinity}',
        b'{"a": -Infinity}',
        b'{"canary": \xff}',
        "{}".encode("utf-16"),
        b'{"a":' * 100_000,
        b'{"a": ' + b"1" * 5000 + b"}",
    ],
    ids=lambda data: data[:12],
)
def test_what_is_no_json_object_is_refused_without_its_text(data):
    with pytest.raises(RemoteProtocolError, match="It is not a JSON") as caught:
        parse_object(data, "It", Exposure.SEALED)
    error = caught.value
    assert error.exposure is Exposure.SEALED
    assert "canary" not in f"{error}{error.args}"
    assert error.__cause__ is None
    assert error.__context__ is None


@pytest.mark.parametrize(
    ("levels", "what"), [(100, "nested too deeply"), (900, "not a JSON object")]
)
@pytest.mark.parametrize("inmost", [b'"x"', rb'"\ud800"'])
def test_what_is_too_deep_for_whoever_walks_it_is_refused(levels, what, inmost):
    deep = b'{"a": ' + b"[" * levels + inmost + b"]" * levels + b"}"
    with pytest.raises(RemoteProtocolError, match=f"It is {what}"):
        parse_object(deep, "It", Exposure.SEALED)


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
@pytest.mark.parametrize("length", [0, 10_000])
def test_depth_is_bounded_in_long_text_and_in_short(opening, length):
    said = b'{"text": "' + b"x" * length + b'", "more": '
    closing = b"]" if opening == b"[" else b"}"

    def of(levels):
        return said + opening * levels + b"0" + closing * levels + b"}"

    assert parse_object(of(_json.MAX_DEPTH - 1), "It", Exposure.SEALED)["more"]
    with pytest.raises(RemoteProtocolError, match="It is nested too deeply"):
        parse_object(of(_json.MAX_DEPTH), "It", Exposure.SEALED)


@pytest.mark.parametrize("extra", [b"[]", b"{}", b'"["', b'"{"', b"0"])
def test_many_side_by_side_are_not_deep(extra):
    listed = b",".join([extra] * 10_000)
    value = parse_object(b'{"a":[' + listed + b"]}", "It", Exposure.SEALED)
    assert len(value["a"]) == 10_000


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity"])
@pytest.mark.parametrize("beside", ['"x"', '"\\ud800"'])
def test_what_is_no_number_of_json_is_refused(number, beside):
    with pytest.raises(RemoteProtocolError):
        parse_object(f'{{"a":{number},"b":{beside}}}'.encode(), "It", Exposure.SEALED)


@given(values.filter(lambda value: not isinstance(value, dict)))
def test_any_other_json_is_refused(value):
    with pytest.raises(RemoteProtocolError):
        parse_object(json.dumps(value).encode(), "It", Exposure.NOTHING)


@given(st.binary(max_size=60))
def test_noise_is_refused_or_an_object(noise):
    try:
        value = parse_object(noise, "It", Exposure.NOTHING)
    except RemoteProtocolError:
        return
    assert isinstance(value, dict)


@pytest.mark.parametrize("half", ["\\ud83d", "\\uDE00", "\\udead x"])
def test_halves_of_surrogate_pairs_are_replaced(half):
    data = f'{{"a{half}": ["{half}", {{"b": "{half}"}}, 1, "\\ud83d\\ude00"]}}'
    said = f"\ufffd{half[6:]}"
    value = parse_object(data.encode(), "It", Exposure.SEALED)
    assert value == {f"a{said}": [said, {"b": said}, 1, "\N{GRINNING FACE}"]}
    dump(value)
