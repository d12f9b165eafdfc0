"""Hypothesis strategies for what applications and engines put where a text belongs."""

import base64

from hypothesis import strategies as st

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(16)).decode()

_ODD = (
    *(
        "",
        " ",
        "\x00",
        "a\x00b",
        "\ud800",
        "x\udfff",
        "\u2028\r\n",
        "﷽👩‍👧",
        "null",
        "{}",
    ),
    *("{", '{"a": 1}', '{"a": NaN}', '{"a": 1e999}', "a.b"),
    *('{"a": ' + "9" * 5000 + "}", '{"a": ' + "[" * 3000, "w" * 5000),
)
_URLS = (
    *("https://example.com/a.png", "http://x", "file:///etc/passwd", "", "x:y"),
    *(f"data:image/png;base64,{PNG}", "data:image/png,x", "data:;base64,AA=="),
    *("data:image/png;base64,é", "DATA:image/png;base64,AAAA", "\ud800", "data:"),
)
_BASE64 = (PNG, "AA==", "AB==", "A", "", "é", "AA\nAA", "\ud800")


# Composites, and not unions: hypothesis writes a union out, long texts and all.


@st.composite
def texts(draw):
    if draw(st.booleans()):
        return draw(st.text(max_size=8))
    return _ODD[draw(st.integers(0, len(_ODD) - 1))]


@st.composite
def urls(draw):
    return draw(st.sampled_from(_URLS))


@st.composite
def base64_texts(draw):
    return draw(st.sampled_from(_BASE64))


@st.composite
def scalars(draw):
    numbers = st.integers() | st.floats() | st.just(10**400)
    return draw(st.none() | st.booleans() | numbers | texts())


@st.composite
def values(draw, odd=None, names=None, depth=2):
    """Draw a scalar, or a list or an object of such values, no deeper than this."""
    scalar = scalars() if odd is None else scalars() | odd
    if depth == 0 or draw(st.integers(0, 2)) == 0:
        return draw(scalar)
    inner = values(odd, names, depth - 1)
    named = st.dictionaries(names or texts(), inner, max_size=3)
    return draw(st.lists(inner, max_size=3) | named)
