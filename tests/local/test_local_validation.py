"""The engine refuses what a strict engine refuses, each by its own mistake."""

import copy

import pytest

from atoma_local import BuiltInBackend, EngineError

USER = {"role": "user", "content": "Hello there"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
CALLING = {"role": "assistant", "content": None, "tool_calls": [CALL]}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "done"}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


def body(*messages, **parameters):
    return {"model": "m", "messages": list(messages or [USER]), **parameters}


def block(**inner):
    return {"role": "user", "content": [inner]}


def changed(value, path, new):
    value = copy.deepcopy(value)
    target = value
    for key in path[:-1]:
        target = target[key]
    target[path[-1]] = new
    return value


IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}

GOOD = [
    body(),
    body(
        temperature=0, top_p=1.0, seed=1, n=2, user="u", stop=["a", "b"], max_tokens=9
    ),
    body(temperature=None, tools=None, tool_choice=None, stream_options=None),
    body(top_k=5, min_p=0.1, repetition_penalty=1.1, cache_salt="x"),
    body(
        chat_template_kwargs={"enable_thinking": False}, guided_json={"type": "object"}
    ),
    body(stream=True, stream_options={"include_usage": True}),
    body(tools=[TOOL], tool_choice="none"),
    body(tools=[TOOL], tool_choice={"type": "function", "function": {"name": "f"}}),
    body(USER, CALLING, RESULT),
    body(USER, CALLING | {"content": ""}, RESULT | {"name": "f"}),
    body(
        {"role": "system", "content": "a"}, {"role": "developer", "content": "b"}, USER
    ),
    body(USER | {"name": "ada"}, {"role": "assistant", "content": "x"}, USER),
    body(block(type="text", text="look"), {"role": "user", "content": [IMAGE]}),
    body(block(type="input_audio", input_audio={"data": "AA", "format": "wav"})),
    body(block(type="file", file={"filename": "a.pdf", "file_data": "AA"})),
    body(logprobs=True, top_logprobs=2),
]

BAD = {
    "unknown parameter": body(invented=1),
    "no messages": {"model": "m"},
    "empty messages": {"model": "m", "messages": []},
    "no model": {"messages": [USER]},
    "temperature": body(temperature=2.5),
    "a bool for a number": body(temperature=True),
    "a bool for a count": body(n=True),
    "max_tokens 0": body(max_tokens=0),
    "five stops": body(stop=["a", "b", "c", "d", "e"]),
    "an empty stop": body(stop=""),
    "stream_options without stream": body(stream_options={"include_usage": True}),
    "top_logprobs without logprobs": body(top_logprobs=2),
    "tool_choice without tools": body(tool_choice="auto"),
    "empty tools": body(tools=[]),
    "unknown tool_choice": body(tools=[TOOL], tool_choice="any"),
    "another tool_choice": body(
        tools=[TOOL],
        tool_choice={"type": "function", "function": {"name": "g"}},
    ),
    "cache_control on a tool": body(tools=[TOOL | {"cache_control": {}}]),
    "an unknown key in a function": body(tools=[changed(TOOL, ["function", "x"], 1)]),
    "a tool without a name": body(tools=[changed(TOOL, ["function", "name"], "")]),
    "a tool message without its call": body(USER, RESULT),
    "a tool message for another call": body(
        USER, CALLING, RESULT | {"tool_call_id": "c2"}
    ),
    "empty tool_calls": body(USER, CALLING | {"content": "", "tool_calls": []}),
    "arguments as an object": body(
        USER, changed(CALLING, ["tool_calls", 0, "function", "arguments"], {}), RESULT
    ),
    "a call without an id": body(USER, changed(CALLING, ["tool_calls", 0, "id"], "")),
    "a call with more keys": body(USER, changed(CALLING, ["tool_calls", 0, "x"], 1)),
    "an unknown role": body({"role": "human", "content": "x"}),
    "no role": body({"content": "x"}),
    "an unknown key in a message": body(USER | {"id": "lc_1"}),
    "tool_calls of a user": body(USER | {"tool_calls": [CALL]}),
    "no content": body({"role": "user", "content": None}),
    "content of another type": body({"role": "user", "content": {"text": "x"}}),
    "an unknown block": body(block(type="tool_use", id="x")),
    "a block with an id": body(block(type="text", text="x", id="lc_2")),
    "a block with cache_control": body(block(type="text", text="x", cache_control={})),
    "a block without text": body(block(type="text", text=None)),
    "an image with unknown keys": body(block(type="image_url", image_url={"x": 1})),
    "an empty name": body(USER | {"name": ""}),
    "an unknown format": body(response_format={"type": "xml"}),
    "a format without a schema": body(response_format={"type": "json_schema"}),
    "a format with unknown keys": body(
        response_format={"type": "json_schema", "json_schema": {"schema": {}, "x": 1}}
    ),
}


@pytest.mark.parametrize("given", GOOD)
def test_accepts_what_engines_accept(given):
    backend = BuiltInBackend()
    if given.get("stream"):
        assert list(backend.stream_chat(given))
    else:
        assert backend.chat(given)["choices"]


@pytest.mark.parametrize("mistake", BAD)
def test_refuses_a_mistake(mistake):
    for answer in (BuiltInBackend().chat, BuiltInBackend().stream_chat):
        with pytest.raises(EngineError) as caught:
            answer(BAD[mistake])
        assert caught.value.status == 400
        assert "Hello there" not in str(caught.value)


@pytest.mark.parametrize(
    "given",
    [
        {"model": "m"},
        {"model": "m", "input": []},
        {"model": "m", "input": ""},
        {"model": "m", "input": ["a", ""]},
        {"model": "m", "input": [1, 2]},
        {"model": "m", "input": "a", "encoding_format": "hex"},
        {"model": "m", "input": "a", "dimensions": 0},
        {"model": "m", "input": "a", "stream": True},
    ],
)
def test_refuses_wrong_embeddings_bodies(given):
    with pytest.raises(EngineError):
        BuiltInBackend().embed(given)


def test_refuses_what_is_too_long():
    backend = BuiltInBackend(context_length=20)
    assert backend.chat(body())

    with pytest.raises(EngineError, match="maximum context length is 20"):
        backend.chat(body({"role": "user", "content": "word " * 30}))
