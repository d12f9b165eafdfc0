import base64
import struct
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from atoma_confidential import Exposure, InvalidInputError, RemoteProtocolError
from atoma_confidential._batches import measure, plan, vectors_of
from atoma_confidential._plan import plan_embedding


def answer(*items):
    return {"data": [{"index": index, "embedding": vector} for index, vector in items]}


def vectors(body, count, dimensions=None):
    return vectors_of(
        body, count=count, dimensions=dimensions, exposure=Exposure.SEALED
    )


def packed(*numbers):
    return base64.b64encode(struct.pack(f"<{len(numbers)}f", *numbers)).decode()


@given(
    lengths=st.lists(st.integers(1, 60)),
    batch_size=st.integers(1, 10),
    batch_bytes=st.integers(1, 50),
)
def test_batches_hold_each_text_once_in_order_and_keep_both_limits(
    lengths, batch_size, batch_bytes
):
    batches = plan(lengths, batch_size=batch_size, batch_bytes=batch_bytes)
    assert [i for batch in batches for i in batch] == list(range(len(lengths)))
    for batch in batches:
        size = sum(lengths[i] for i in batch)
        assert 1 <= len(batch) <= batch_size
        assert size <= batch_bytes or len(batch) == 1


@pytest.mark.parametrize("limits", [(0, 1), (1, 0)])
def test_a_limit_below_one_is_refused(limits):
    with pytest.raises(InvalidInputError):
        plan([1], batch_size=limits[0], batch_bytes=limits[1])


def test_empty_texts_are_named_by_index_only():
    with pytest.raises(InvalidInputError, match=r"empty: 1, 3\.") as caught:
        measure(["secret", "", "secret", " \n"])
    assert "secret" not in str(caught.value)


def test_an_instruction_stands_before_each_text_and_counts():
    told = {"model": "m", "instruction": "query: ", "batch_bytes": 16}
    planned = plan_embedding(["ab", "cd"], confidential=True, **told)
    assert planned.texts == ["query: ab", "query: cd"]
    assert planned.batches == [range(1), range(1, 2)]
    bare = plan_embedding(["ab", "cd"], confidential=True, **told | {"instruction": ""})
    assert bare.texts == ["ab", "cd"]
    assert bare.batches == [range(2)]


@pytest.mark.parametrize(
    ("text", "why"), [("", "empty: 1"), (" ", "empty: 1"), (5, "not strings: 1")]
)
def test_an_instruction_makes_no_text_of_what_is_none(text, why):
    with pytest.raises(InvalidInputError, match=why):
        plan_embedding(["x", text], confidential=True, model="m", instruction="query: ")


def test_many_empty_texts_are_counted():
    with pytest.raises(InvalidInputError, match=r"8, 9 and 15 more\."):
        measure([""] * 25)


def test_half_a_surrogate_pair_is_named_by_index_only():
    with pytest.raises(InvalidInputError, match=r"not valid Unicode: 1\."):
        measure(["Grüße", "\ud800"])
    assert measure(["Grüße", "a"]) == [7, 1]


def test_texts_that_are_none_are_named_by_index_only():
    with pytest.raises(InvalidInputError, match=r"not strings: 1\."):
        measure(["a", b"secret"])


def test_vectors_come_back_in_the_order_of_the_texts():
    body = answer((1, [3.0, 4.0]), (0, [1.0, 2.0]))
    assert vectors(body, 2) == [[1.0, 2.0], [3.0, 4.0]]


def test_base64_and_numbers_give_the_same_python_floats():
    numbers = vectors(answer((0, [1, 0.5])), 1, dimensions=2)
    text = vectors(answer((0, packed(1, 0.5))), 1, dimensions=2)
    assert numbers == text == [[1.0, 0.5]]
    assert all(type(number) is float for number in numbers[0])


def test_the_wire_is_little_endian_on_any_machine(monkeypatch):
    other = {"little": "big", "big": "little"}[sys.byteorder]
    swapped = base64.b64encode(struct.pack(">3f", 1, 0.5, -7)).decode()
    assert vectors(answer((0, packed(1, 0.5, -7))), 1) == [[1.0, 0.5, -7.0]]
    monkeypatch.setattr(sys, "byteorder", other)
    assert vectors(answer((0, swapped)), 1) == [[1.0, 0.5, -7.0]]


@pytest.mark.parametrize(
    "body",
    [
        answer((0, [1.0])),
        answer((0, [1.0]), (0, [1.0])),
        answer((0, [1.0]), (2, [1.0])),
        answer((0, [1.0]), (1, [1.0]), (1, [1.0])),
        answer((0, [1.0]), ("1", [1.0])),
        {"data": [{"embedding": [1.0]}, {"index": 1, "embedding": [1.0]}]},
        {"data": [None, None]},
        answer((0, [1.0]), (1, [1.0, 2.0])),
        answer((0, []), (1, [])),
        answer((0, [1.0]), (1, [float("nan")])),
        answer((0, [1.0]), (1, [float("inf")])),
        answer((0, [1.0]), (1, packed(float("inf")))),
        answer((0, [1.0]), (1, ["1.0"])),
        answer((0, [1.0]), (1, [10**400])),
        answer((0, [1.0, 1.0]), (1, [10**400, -(10**400)])),
        answer((0, [1.0]), (1, None)),
        answer((0, [1.0]), (1, {"0": 1.0})),
        answer((0, [1.0]), (1, "AAAA")),
        answer((0, [1.0]), (1, "not base64!")),
    ],
)
def test_an_answer_without_one_good_vector_for_each_text_is_refused(body):
    with pytest.raises(RemoteProtocolError):
        vectors(body, 2)


def test_an_answer_of_another_length_than_asked_is_refused():
    with pytest.raises(RemoteProtocolError, match="another length"):
        vectors(answer((0, [1.0, 2.0])), 1, dimensions=3)
