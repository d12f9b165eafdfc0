"""Tools, choices and formats as they are bound, and as the node receives them."""

from typing import TypedDict

import pytest
from langchain_core.tools import tool
from pydantic import BaseModel, Field

from langchain_atoma import errors


@tool
def weather(city: str) -> str:
    """Tell the weather."""
    return f"It rains in {city}."


class Search(BaseModel):
    """Search the archive."""

    words: str = Field(description="What to look for")


class Order(TypedDict):
    """Order something."""

    item: str


ANTHROPIC = {"name": "paint", "input_schema": {"type": "object", "properties": {}}}
FUNCTION = {"type": "function", "function": {"name": "raw", "parameters": {}}}
BUILT_IN = {"type": "web_search"}
TOOLS = [weather, Search, Order, ANTHROPIC, FUNCTION]
NAMES = ["weather", "Search", "Order", "paint", "raw"]


@pytest.fixture
def bound(scripted_chat, engine, canary):
    """Give the body that the node received with some tools."""

    def invoke(tools, **kwargs):
        scripted_chat.bind_tools(tools, **kwargs).invoke(canary)
        return engine.asked[-1]

    return invoke


def test_every_kind_of_tool_reaches_the_node(bound):
    body = bound(TOOLS)
    assert [entry["function"]["name"] for entry in body["tools"]] == NAMES
    assert body["tools"][0]["function"]["description"] == "Tell the weather."
    assert "tool_choice" not in body
    assert bound([BUILT_IN])["tools"] == [BUILT_IN]


@pytest.mark.parametrize(
    ("choice", "wire"),
    [
        (None, None),
        (False, None),
        ("", None),
        ("auto", "auto"),
        ("none", "none"),
        ("required", "required"),
        ("any", "required"),
        (True, "required"),
        ("Search", {"type": "function", "function": {"name": "Search"}}),
        (
            {"type": "function", "function": {"name": "raw"}},
            {"type": "function", "function": {"name": "raw"}},
        ),
    ],
)
def test_tool_choice(bound, choice, wire):
    assert bound(TOOLS, tool_choice=choice).get("tool_choice") == wire


def test_strict_and_parallel_calls(bound):
    body = bound([Search], strict=True, parallel_tool_calls=False)
    assert body["tools"][0]["function"]["strict"] is True
    assert body["tools"][0]["function"]["parameters"]["additionalProperties"] is False
    assert body["parallel_tool_calls"] is False


def test_no_tools_leave_no_trace_of_tools(bound):
    body = bound([], tool_choice="any", parallel_tool_calls=False)
    assert not body.keys() & {"tools", "tool_choice", "parallel_tool_calls"}


@pytest.mark.parametrize("tools", [[], [weather]])
def test_a_response_format_beside_tools(bound, tools):
    wired = {"type": "json_schema", "json_schema": {"name": "x", "schema": {}}}
    assert bound(tools, response_format=wired)["response_format"] == wired
    made = bound(tools, response_format=Search)["response_format"]["json_schema"]
    assert made["name"] == "Search"
    assert made["schema"]["properties"].keys() == {"words"}
    schema = {"title": "Words", "type": "object", "properties": {}}
    made = bound(tools, response_format=schema)["response_format"]["json_schema"]
    assert made == {"name": "Words", "schema": schema}


def test_tools_of_a_single_call(scripted_chat, engine, canary):
    scripted_chat.invoke(canary, tools=[weather, Search], tool_choice="any")
    body = engine.asked[-1]
    assert [entry["function"]["name"] for entry in body["tools"]] == [
        "weather",
        "Search",
    ]
    assert body["tool_choice"] == "required"
    scripted_chat.invoke(canary, tools=[weather], tool_choice="weather")
    assert engine.asked[-1]["tool_choice"]["function"]["name"] == "weather"


def test_functions_of_the_older_kind(scripted_chat, engine, canary):
    functions = [{"name": "get", "parameters": {}}]
    scripted_chat.invoke(canary, functions=functions, function_call="auto")
    assert engine.asked[-1]["functions"] == functions
    assert engine.asked[-1]["function_call"] == "auto"


@pytest.mark.parametrize(
    "broken",
    [
        {"type": "function", "function": {"parameters": {"x": "hunter2"}}},
        {"type": "function", "function": {"name": " "}},
        {"type": "object", "properties": {"hunter2": {}}},
        {"description": "hunter2"},
        {},
        7,
    ],
)
def test_a_tool_without_a_name_is_refused_by_position(scripted_chat, engine, broken):
    with pytest.raises(errors.InvalidInputError, match=r"tools\[1\] ") as caught:
        scripted_chat.bind_tools([weather, broken])
    with pytest.raises(errors.InvalidInputError, match=r"tools\[0\] "):
        scripted_chat.invoke("Hi", tools=[broken])
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None
    assert engine.asked == []


def test_a_schema_that_is_no_json_is_refused(scripted_chat):
    parameters = {"type": "object", "properties": {"x": {"default": {1, 2}}}}
    broken = {"type": "function", "function": {"name": "f", "parameters": parameters}}
    with pytest.raises(errors.InvalidInputError, match=r"tools\[0\] .* not JSON"):
        scripted_chat.bind_tools([broken])
    schema = {"title": "X", **parameters}
    with pytest.raises(errors.InvalidInputError, match=r"response_format .* not JSON"):
        scripted_chat.with_structured_output(schema)
    with pytest.raises(errors.InvalidInputError, match="no name"):
        scripted_chat.with_structured_output({"type": "object", "properties": {}})


def test_a_choice_that_names_no_tool_is_refused(scripted_chat):
    with pytest.raises(errors.InvalidInputError, match="not among the tools"):
        scripted_chat.bind_tools([weather], tool_choice="wether")
