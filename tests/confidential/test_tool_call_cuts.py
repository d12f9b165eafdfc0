"""Tool calls however they are cut or interleaved, and how many there may be."""

import itertools
import json

from fragments import assembled, called, fragment
from hypothesis import given
from hypothesis import strategies as st

from atoma_confidential.tool_calls import MAX_CALLS, CallAssembler, parsed_arguments

values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=8,
)
objects = st.dictionaries(st.text(max_size=4), values, max_size=4)


@st.composite
def cut_up(draw, text):
    """Some pieces of a text, which may be empty."""
    cuts = draw(st.lists(st.integers(0, len(text)), max_size=6))
    edges = [0, *sorted(cuts), len(text)]
    return [text[a:b] for a, b in itertools.pairwise(edges)]


@st.composite
def engines(draw):
    """A way to mark the fragments of one call: what all of them repeat."""
    index, call_id, repeat_id, repeat_name = draw(st.tuples(*[st.booleans()] * 4))
    return {
        "index": index,
        "id": call_id,
        "repeat_id": repeat_id and call_id,
        # Without an id, a name after a whole object is another call.
        "repeat_name": repeat_name and repeat_id and call_id,
    }


def fragments_of(pieces, engine, *, number, name):
    for position, piece in enumerate(pieces):
        first = position == 0
        fields = {"index": number} if engine["index"] else {}
        if engine["id"] and (first or engine["repeat_id"]):
            fields["id"] = f"c{number}"
        yield fragment(
            piece, name if first or engine["repeat_name"] else None, **fields
        )


@given(st.data(), objects, engines())
def test_any_cut_of_the_arguments_gives_the_same_arguments(data, arguments, engine):
    text = json.dumps(arguments, ensure_ascii=False)
    pieces = data.draw(cut_up(text))
    assert called(*fragments_of(pieces, engine, number=0, name="f")) == [("f", text)]
    assert parsed_arguments(text) == arguments


@given(st.data(), st.lists(objects, min_size=1, max_size=3), engines())
def test_any_interleaving_by_index_gives_the_same_calls(data, all_arguments, engine):
    texts = [json.dumps(arguments) for arguments in all_arguments]
    engine = engine | {"index": True}
    queues = [
        list(fragments_of(data.draw(cut_up(text)), engine, number=number, name="f"))
        for number, text in enumerate(texts)
    ]
    chunks = [queue.pop(0) for queue in queues]  # calls begin in their order
    rest = [number for number, queue in enumerate(queues) for _ in queue]
    chunks += [queues[number].pop(0) for number in data.draw(st.permutations(rest))]
    assert called(*chunks) == [("f", text) for text in texts]


@given(
    st.lists(
        st.lists(
            values
            | st.dictionaries(
                st.sampled_from(["index", "id", "function"]),
                values
                | st.dictionaries(st.sampled_from(["name", "arguments"]), values),
            ),
            max_size=3,
        ),
        max_size=4,
    )
)
def test_whatever_comes_is_read(chunks):
    assembled(*chunks)


def test_there_is_a_limit_to_the_calls_of_one_answer():
    assembler = CallAssembler()
    for index in range(MAX_CALLS):
        assembler.read([{"index": index, "function": {"name": "f"}}])
    assert not assembler.too_many
    for index in range(3):
        function = {"name": "f", "arguments": "{}"}
        assembler.read([{"index": MAX_CALLS + index, "function": function}])
    assert assembler.too_many
    assert len(assembler.calls) <= MAX_CALLS + 1
    assert assembler.read([{"index": 0, "function": {"arguments": "x"}}]) == []
