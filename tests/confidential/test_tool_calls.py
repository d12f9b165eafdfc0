"""Fragments of tool calls, in the ways that engines send them, sorted into calls.

What each fragment adds must add up to the calls: one framework reads the first, the
other the second.
"""

import pytest
from fragments import assembled, called, fragment

from atoma_confidential.tool_calls import (
    CallAssembler,
    any_cut_off,
    is_object,
    numbered,
    parsed_arguments,
)


def test_no_fragments():
    assembler = CallAssembler()
    assert assembler.read(None) == assembler.read([]) == assembler.read(["x"]) == []
    assert assembler.calls == []


def test_one_call_in_fragments():
    assert assembled(
        fragment("", "get", index=0, id="c0"),
        fragment('{"a": ', index=0),
        fragment("1}", index=0),
    ) == [("c0", "get", '{"a": 1}')]


def test_interleaved_calls():
    assert assembled(
        fragment("", "f", index=0, id="c0"),
        fragment("", "g", index=1, id="c1"),
        fragment("{", index=0),
        fragment("{", index=1),
        [fragment("}", index=1), fragment("}", index=0)],
    ) == [("c0", "f", "{}"), ("c1", "g", "{}")]


@pytest.mark.parametrize("ids", [("c0", "c1"), (None, None)])
@pytest.mark.parametrize("indices", [(0, 1), (0, 0), (None, None)])
def test_two_calls_however_they_are_numbered(ids, indices):
    one, two = (
        {"id": call_id, "index": index}
        for call_id, index in zip(ids, indices, strict=True)
    )
    assert called(
        fragment('{"a": ', "get", **one),
        fragment("1}", index=one["index"]),
        fragment('{"a": 2}', "get", **two),
    ) == [("get", '{"a": 1}'), ("get", '{"a": 2}')]


@pytest.mark.parametrize("fields", [{"index": 0, "id": "c0"}, {"index": 0}, {}])
def test_a_name_in_each_fragment_is_one_name(fields):
    pieces = [fragment(piece, "get", **fields) for piece in ('{"a"', ": ", "1}")]
    assert called(*pieces) == [("get", '{"a": 1}')]


@pytest.mark.parametrize("again", [{}, {"id": "c0"}])
def test_a_name_in_two_parts(again):
    assert assembled(
        fragment(None, "get_", index=0, id="c0"),
        fragment("", "time", index=0, **again),
        fragment("{}", index=0),
    ) == [("c0", "get_time", "{}")]


@pytest.mark.parametrize(("first", "second"), [("", "{}"), ("{}", "{}"), ("{}", "")])
@pytest.mark.parametrize("ids", [{}, {"id": "c0"}])
def test_another_name_with_arguments_is_another_call(first, second, ids):
    assert called(
        fragment(first, "f", index=0, **ids), fragment(second, "g", index=0, **ids)
    ) == [("f", first), ("g", second)]


def test_a_name_repeated_behind_the_arguments_is_no_call():
    repeated = fragment("", "f", index=0)
    assert called(fragment("{}", "f", index=0), repeated) == [("f", "{}")]


def test_another_name_at_another_index_is_another_call():
    assert called(fragment("", "f", index=0), fragment("", "g", index=1)) == [
        ("f", ""),
        ("g", ""),
    ]


def test_another_name_under_a_new_id_is_another_call():
    assert assembled(fragment("", "f", index=0), fragment("", "g", index=0, id="c1"))[
        1
    ] == ("c1", "g", "")


@pytest.mark.parametrize("index", [{"index": 0}, {}])
def test_a_new_id_is_another_call_whatever_else_it_brings(index):
    assert assembled(
        fragment("", "get", id="c0", **index),
        fragment("", "get", id="c1", **index),
        fragment("", id="c2", **index),
        fragment("", "get", **index),
    ) == [("c0", "get", ""), ("c1", "get", ""), ("c2", "get", "")]


def test_the_rest_of_a_name_is_found_by_the_id():
    assert called(
        fragment("", "get_", id="c0"),
        fragment("", "put", id="c1"),
        fragment("", "time", id="c0"),
    ) == [("get_time", ""), ("put", "")]


def test_a_name_or_an_id_that_comes_late():
    ((call_id, *call),) = assembled(
        fragment("", index=0),
        fragment("", "get", index=0, id="late"),
        fragment("{}", index=0, id="late"),
    )
    assert call == ["get", "{}"]
    assert call_id.startswith("call_"), "an id is told when a call begins"


def test_a_late_id_finds_its_call_again():
    assert called(
        fragment("", "f", index=0),
        fragment("{", id="c0"),
        fragment("", "g", id="c1"),
        fragment("}", id="c0"),
    ) == [("f", "{}"), ("g", "")]


@pytest.mark.parametrize("index", [0, 1, None])
def test_two_tools_under_one_id(index):
    places = [{}] * 3 if index is None else [{"index": n} for n in (0, index, index)]
    pieces = [('{"a": 1}', "pay"), ('{"a": ', "refund"), ("2}", None)]
    one, two = assembled(
        *(
            fragment(*piece, id="c0", **place)
            for piece, place in zip(pieces, places, strict=True)
        )
    )
    assert one == ("c0", "pay", '{"a": 1}')
    assert two[1:] == ("refund", '{"a": 2}')
    assert two[0].startswith("call_")


@pytest.mark.parametrize("arguments", ["", "{}"])
def test_two_calls_of_a_tool_under_one_id(arguments):
    assert (
        called(
            fragment(arguments, "get", id="c0", index=0),
            fragment(arguments, "get", id="c0", index=1),
        )
        == [("get", arguments)] * 2
    )


def test_a_call_is_not_made_twice_because_it_is_repeated():
    whole = fragment('{"a": 1}', "get", id="c0", index=0)
    assert called(whole, whole) == [("get", '{"a": 1}{"a": 1}')]


def test_fragments_found_by_their_id():
    assert called(
        fragment("{", "f", id="c0"),
        fragment("{", "g", id="c1"),
        fragment("}", id="c0"),
        fragment("}", id="c1"),
    ) == [("f", "{}"), ("g", "{}")]


def test_side_by_side_without_indices_or_ids():
    assert called(
        [fragment("", "f"), fragment("", "f")],
        [fragment('{"a": ', None), fragment('{"b": ', None)],
        [fragment("1}"), fragment("2}")],
    ) == [("f", '{"a": 1}'), ("f", '{"b": 2}')]


def test_what_names_nothing_goes_on_with_the_last_call():
    assert called(
        fragment("", "f", index=0),
        fragment("", "g", index=1),
        fragment('{"a"'),
        [fragment(": "), fragment("1}")],
    )[1] == ("g", '{"a": 1}')
    assert called(fragment("{}")) == [("", "{}")]


def test_parts_of_another_kind_are_not_there():
    odd = {"index": [], "id": 7, "function": {"name": 7, "arguments": None}}
    assert called(odd, {"function": None}) == [("", "")]


@pytest.mark.parametrize(
    ("sent", "kept"),
    [({"a": "ü"}, '{"a": "ü"}'), ("null", "{}"), (None, ""), ([1], "[1]"), (1, "1")],
)
def test_arguments_of_any_kind(sent, kept):
    assert called(fragment(sent, "f", index=0)) == [("f", kept)]


def test_null_inside_of_arguments_is_a_part_of_them():
    pieces = [fragment(piece, "f", index=0) for piece in ('{"a": ', "null", "}")]
    assert called(*pieces) == [("f", '{"a": null}')]


def test_a_call_as_the_wire_has_it():
    assembler = CallAssembler()
    assembler.read([fragment("{}", "f", index=0, id="c0")])
    assert assembler.calls[0].as_wire() == {
        "id": "c0",
        "type": "function",
        "function": {"name": "f", "arguments": "{}"},
    }


def test_calls_of_a_whole_answer_never_go_on_each_other():
    whole = [fragment("", "f", id="c0"), fragment("", id="c0"), fragment("", "f")]
    assert called(numbered(whole)) == [("f", ""), ("", ""), ("f", "")]
    assert numbered(None) == []


@pytest.mark.parametrize(
    ("arguments", "cut"),
    [
        ([], False),
        (['{"a": 1}'], False),
        (["{}", " {} "], False),
        (['{"a": '], True),
        ([""], True),
        ([" "], True),
        (["[1"], True),
        (["nul"], True),
        (["", "{}"], False),
        (['{"a": ', "{}"], True),
        (["nonsense", "{}"], False),
    ],
)
def test_whether_the_token_limit_cut_a_call(arguments, cut):
    assembler = CallAssembler()
    assembler.read(numbered(fragment(one, "f") for one in arguments))
    assert any_cut_off(assembler.calls) is cut


@pytest.mark.parametrize(
    ("arguments", "parsed"),
    [
        ('{"a": 1}', {"a": 1}),
        ('{"a": "line\nbreak"} ', {"a": "line\nbreak"}),
        ({"a": 1}, {"a": 1}),
        ('{"a": 1', {}),
        ('{"a": 1}}', {}),
        ("[1]", {}),
        ("[{}", {}),
        ("null", {}),
        ("", {}),
        (None, {}),
        ([1], {}),
        ('{"a":' * 100_000 + "}" * 100_000, {}),
    ],
)
def test_arguments_are_parsed_if_they_are_an_object(arguments, parsed):
    assert parsed_arguments(arguments) == parsed
    if isinstance(arguments, str):
        assert is_object(arguments) is bool(parsed)


def test_what_a_chunk_adds_to_one_call_is_told_once():
    pieces = [fragment('{"y"', "f", index=0, id="c"), fragment(":7}", index=0)]
    (delta,) = CallAssembler().read(pieces)
    assert (delta.call_id, delta.name, delta.arguments) == ("c", "f", '{"y":7}')
