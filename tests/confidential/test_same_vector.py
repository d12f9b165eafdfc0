"""Whether a stored vector is the one that a model gives."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoma_confidential import Exposure, VectorMismatchError
from atoma_confidential._same_vector import check_same_vector

MODEL = "some/model"
vectors = st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=8).filter(
    lambda numbers: math.hypot(*numbers) > 1e-3
)


def check(stored, given_now):
    check_same_vector(stored, given_now, model=MODEL, exposure=Exposure.SEALED)


@given(vectors, st.floats(0.01, 100))
def test_the_same_direction_is_the_same_vector(vector, factor):
    check([number * factor for number in vector], vector)


@given(vectors)
def test_what_8_bits_keep_of_a_vector_is_the_same_vector(vector):
    step = max(map(abs, vector)) / 127

    check([round(number / step) * step for number in vector], vector)


@given(vectors)
def test_the_opposite_direction_is_another_vector(vector):
    with pytest.raises(VectorMismatchError):
        check([-number for number in vector], vector)


@pytest.mark.parametrize(
    ("failure", "stored"),
    [
        ("another direction", [0.0, 1.0]),
        ("near, but not near enough", [1.0, 0.2]),
        ("no direction", [0.0, 0.0]),
        ("no number", [math.nan, 1.0]),
        ("no finite number", [math.inf, 1.0]),
    ],
)
def test_another_vector_is_refused_by_name_of_the_model(failure, stored):
    with pytest.raises(VectorMismatchError, match=MODEL) as caught:
        check(stored, [1.0, 0.0])

    assert caught.value.exposure is Exposure.SEALED
    assert "built with" in str(caught.value)


def test_another_length_is_refused_with_both_lengths():
    with pytest.raises(VectorMismatchError, match=r"of 3 numbers, and .* gives 2"):
        check([1.0, 0.0, 0.0], [1.0, 0.0])
