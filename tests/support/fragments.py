"""Fragments of tool calls, and the calls that are read from them."""

from atoma_confidential.tool_calls import CallAssembler


def fragment(arguments=None, name=None, **fields):
    function = {"name": name} if name else {}
    function |= {} if arguments is None else {"arguments": arguments}
    return {"function": function, **fields}


def added_up(deltas):
    """The calls that deltas add up to, as LangChain adds them."""
    calls = {}
    for delta in deltas:
        call = calls.setdefault(delta.number, [delta.call_id, "", ""])
        assert delta.call_id in (None, call[0]), "an id is told once"
        call[1] += delta.name
        call[2] += delta.arguments
    return [tuple(calls[number]) for number in range(len(calls))]


def assembled(*chunks):
    """The calls of some chunks, each of which is one fragment or a list of them."""
    assembler = CallAssembler()
    deltas = []
    for chunk in chunks:
        deltas += assembler.read(chunk if isinstance(chunk, list) else [chunk])
    calls = [(call.call_id, call.name, call.arguments) for call in assembler.calls]
    assert added_up(deltas) == calls
    assert [call.number for call in assembler.calls] == list(range(len(calls)))
    assert len({call_id for call_id, *_ in calls} - {""}) == len(calls)
    return calls


def called(*chunks):
    return [call[1:] for call in assembled(*chunks)]
