import json

import pytest

from atoma_confidential import InvalidInputError
from atoma_confidential._request import chat_request, embedding_request
from atoma_confidential._units import DEFAULT_COMPLETION_TOKENS
from atoma_confidential.parameters import ChatParameters

HELLO = [{"role": "user", "content": "Hello"}]

DOCUMENTED = {
    "frequency_penalty": 0.5,
    "function_call": "auto",
    "functions": [{"name": "f"}],
    "logit_bias": {"1": 2.0},
    "logprobs": True,
    "max_completion_tokens": 5,
    "max_tokens": 6,
    "n": 2,
    "parallel_tool_calls": False,
    "presence_penalty": 0.25,
    "response_format": {"type": "json_object"},
    "seed": 7,
    "stop": ["x"],
    "stream_options": {"include_usage": True},
    "temperature": 0.0,
    "tool_choice": "auto",
    "tools": [{"type": "function", "function": {"name": "t"}}],
    "top_logprobs": 2,
    "top_p": 0.9,
    "user": "u",
}


def chat(messages=HELLO, *, model="m", extra_body=None, stream=False, **parameters):
    return chat_request(
        messages,
        model=model,
        parameters=parameters,
        extra_body=extra_body,
        stream=stream,
    )


def embedding(texts, **changes):
    options = {
        "model": "m",
        "dimensions": None,
        "encoding_format": "base64",
        "user": None,
        "extra_body": None,
    }
    return embedding_request(texts, **(options | changes))


def test_every_documented_parameter_reaches_the_body():
    assert DOCUMENTED.keys() == ChatParameters.__annotations__.keys()
    body = json.loads(chat(**DOCUMENTED).encode(stream=False))
    expected = DOCUMENTED | {"model": "m", "messages": HELLO, "stream": False}
    del expected["stream_options"]
    assert body == expected


def test_none_is_not_sent_and_zero_is():
    body = chat(temperature=0, top_p=None, stop=None).body
    assert body["temperature"] == 0
    assert not {"top_p", "stop"} & body.keys()


def test_a_limit_is_always_sent():
    assert chat().body["max_completion_tokens"] == DEFAULT_COMPLETION_TOKENS
    assert "max_completion_tokens" not in chat(max_tokens=4).body


def test_engine_parameters_go_through_extra_body():
    assert chat(extra_body={"top_k": 3}).body["top_k"] == 3
    with pytest.raises(TypeError, match=r"top_k.*extra_body"):
        chat(top_k=3)


def test_a_stream_asks_for_usage():
    request = chat(stream=True, stream_options={"x": 1})
    assert json.loads(request.encode(stream=True)) == request.body | {
        "stream": True,
        "stream_options": {"x": 1, "include_usage": True},
    }
    assert "stream_options" not in json.loads(request.encode(stream=False))


@pytest.mark.parametrize("model", ["", "  \n", None])
def test_an_empty_model_is_refused(model):
    with pytest.raises(InvalidInputError, match="model"):
        chat(model=model)
    with pytest.raises(InvalidInputError, match="model"):
        embedding(["x"], model=model)


@pytest.mark.parametrize("messages", [[], "Hello", {"role": "user"}, b"Hello"])
def test_messages_are_a_list_of_some(messages):
    with pytest.raises(InvalidInputError, match="messages"):
        chat(messages)


@pytest.mark.parametrize("message", ["secret", {"content": "secret"}, {"role": 1}])
def test_a_message_without_role_is_named_by_index(message):
    with pytest.raises(InvalidInputError, match=r"messages\[1\]") as caught:
        chat([*HELLO, message])
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    "tool",
    [
        {"type": "function", "function": {"name": ""}},
        {"type": "function", "function": {}},
        {"type": "function"},
        {},
        "secret",
    ],
)
def test_a_tool_without_name_is_named_by_index(tool):
    with pytest.raises(InvalidInputError, match=r"tools\[0\]"):
        chat(tools=[tool])


@pytest.mark.parametrize("tools", [None, [], ()])
def test_without_tools_nothing_is_said_of_tools(tools):
    asked = {"tools": tools, "tool_choice": "auto", "parallel_tool_calls": False}
    assert not chat(**asked).body.keys() & asked.keys()
    assert not chat(extra_body=asked).body.keys() & asked.keys()
    tool = {"type": "function", "function": {"name": "t"}}
    assert chat(**asked | {"tools": [tool]}).body.keys() >= asked.keys()
    assert chat(**asked, extra_body={"tools": [tool]}).body.keys() >= asked.keys()


def test_a_built_in_tool_needs_no_function():
    tool = {"type": "web_search"}
    assert chat(tools=[tool]).body["tools"] == [tool]


@pytest.mark.parametrize(
    "extra",
    [
        {"messages": "secret"},
        {"model": "other"},
        {"stream": True},
        {"tools": 5},
        {"tools": {"secret": 1}},
        {"stream_options": None},
    ],
)
def test_extra_parameters_change_nothing_that_was_checked(extra):
    with pytest.raises(InvalidInputError) as caught:
        chat(extra_body=extra, stream=True)
    assert "secret" not in str(caught.value)
    if "input" not in extra:
        with pytest.raises(InvalidInputError):
            embedding(["a"], extra_body={"input": "secret"})


def test_messages_may_be_a_generator():
    assert chat(message for message in HELLO).body["messages"] == HELLO


def test_a_stream_has_one_choice():
    with pytest.raises(InvalidInputError, match="n must be 1"):
        chat(stream=True, n=2)


@pytest.mark.parametrize(
    "content", [{1, 2}, float("nan"), "half \ud800 a pair", object()]
)
def test_what_is_not_json_is_refused_without_showing_it(content):
    with pytest.raises(InvalidInputError) as caught:
        chat([{"role": "user", "content": content}])
    assert "half" not in str(caught.value)


def test_json_that_nests_without_end_is_refused():
    nested: list = []
    nested.append(nested)
    with pytest.raises(InvalidInputError):
        chat([{"role": "user", "content": nested}])
    deep: list = []
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(InvalidInputError):
        chat([{"role": "user", "content": deep}])


def test_an_embedding_body_holds_what_was_given():
    request = embedding(
        ["a", "b"], dimensions=8, user="u", extra_body={"truncate": True}
    )
    assert json.loads(request.encode(stream=False)) == {
        "model": "m",
        "input": ["a", "b"],
        "encoding_format": "base64",
        "dimensions": 8,
        "user": "u",
        "truncate": True,
    }


def test_a_single_text_may_travel_as_a_string():
    assert embedding(["a"], single=True).body["input"] == "a"


def test_an_unknown_encoding_is_refused():
    with pytest.raises(InvalidInputError, match="encoding_format"):
        embedding(["a"], encoding_format="hex")


def test_a_request_has_no_telling_repr():
    assert "Hello" not in repr(chat())
