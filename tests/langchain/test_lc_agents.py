"""Agents and graphs, end to end over HTTP and the sealed path."""

import asyncio
import warnings
from operator import add
from typing import Annotated, TypedDict

import pytest
from langchain.agents import create_agent
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage
from langchain_core.tools import tool
from langgraph.graph import END, START, StateGraph
from pydantic import BaseModel

PLACE = "canary-heliotrope-5f1d9c"


@tool
def weather(city: str) -> str:
    """Tell the weather in a city."""
    return f"It rains in {city}."


@tool
def temperature(city: str) -> str:
    """Tell the temperature in a city."""
    return f"It has 12 degrees in {city}."


TOOLS = [weather, temperature]
QUESTION = {"messages": [HumanMessage(f'What is the weather in the city "{PLACE}"?')]}


def steps(messages):
    return [type(message).__name__ for message in messages]


@pytest.fixture
def two_calls(engine):
    """An engine that calls both tools at once, then answers from their results."""

    def answered(body):
        return any(message["role"] == "tool" for message in body["messages"])

    whole, streamed = engine.chat, engine.stream_chat
    calls = [
        {
            "index": n,
            "id": f"call_{n}",
            "type": "function",
            "function": {"name": name, "arguments": f'{{"city": "{PLACE}"}}'},
        }
        for n, name in enumerate(["weather", "temperature"])
    ]

    def chat(body):
        engine.message = {"content": f"Rain in {PLACE}, 12 degrees."}
        engine.choice = {"finish_reason": "stop"}
        if not answered(body):
            engine.message = {"content": "Let me look.", "tool_calls": calls}
            engine.choice = {"finish_reason": "tool_calls"}
        return whole(body)

    def stream_chat(body):
        words = ["Rain in ", f"{PLACE}, ", "12 degrees."]
        engine.chunks = [{"delta": {"content": word}} for word in words]
        engine.chunks.append({"delta": {}, "finish_reason": "stop"})
        if not answered(body):
            engine.chunks = [
                {"delta": {"content": "Let me look.", "tool_calls": calls[:1]}},
                {"delta": {"tool_calls": calls[1:]}},
                {"delta": {}, "finish_reason": "tool_calls"},
            ]
        return streamed(body)

    engine.chat, engine.stream_chat = chat, stream_chat
    return engine


@pytest.fixture
def agent(two_calls, scripted_chat):
    return create_agent(scripted_chat, TOOLS)


LOOP = ["HumanMessage", "AIMessage", "ToolMessage", "ToolMessage", "AIMessage"]


def test_an_agent_with_the_built_in_model(chat):
    messages = create_agent(chat, TOOLS).invoke(QUESTION)["messages"]
    assert steps(messages)[:3] == LOOP[:3]
    assert messages[1].tool_calls[0]["args"] == {"city": PLACE}
    assert PLACE in messages[-1].text


def test_an_agent_calls_two_tools(agent, two_calls):
    messages = agent.invoke(QUESTION)["messages"]
    assert steps(messages) == LOOP
    assert {message.name for message in messages[2:4]} == {"weather", "temperature"}
    assert messages[-1].text == f"Rain in {PLACE}, 12 degrees."
    assert all(
        message.response_metadata["atoma"]["sealed"]
        for message in messages
        if isinstance(message, AIMessage)
    )
    roles = [message["role"] for message in two_calls.asked[-1]["messages"]]
    assert roles == ["user", "assistant", "tool", "tool"]


async def test_an_agent_in_async(agent):
    messages = (await agent.ainvoke(QUESTION))["messages"]
    assert steps(messages) == LOOP


def collected(parts):
    return [
        (part.id, part.text)
        for part, _metadata in parts
        if isinstance(part, AIMessageChunk)
    ]


def check_streamed(parts, *, final):
    chunks = collected(parts)
    # One id for each of the two messages, and their text in order.
    assert len(dict.fromkeys(identity for identity, _ in chunks)) == 2
    assert "".join(text for _, text in chunks) == (
        f"Let me look.Rain in {PLACE}, 12 degrees."
    )
    assert chunks[-1][0] == final.id


def test_messages_are_streamed(agent):
    parts, final = [], None
    for mode, part in agent.stream(QUESTION, stream_mode=["messages", "values"]):
        if mode == "messages":
            parts.append(part)
        else:
            final = part["messages"][-1]
    check_streamed(parts, final=final)


async def test_messages_are_streamed_in_async(agent):
    parts, final = [], None
    modes = ["messages", "values"]
    async for mode, part in agent.astream(QUESTION, stream_mode=modes):
        if mode == "messages":
            parts.append(part)
        else:
            final = part["messages"][-1]
    check_streamed(parts, final=final)


async def test_updates_are_streamed(agent):
    def read(update):
        ((node, state),) = update.items()
        return node, steps(state["messages"])

    updates = [read(part) for part in agent.stream(QUESTION, stream_mode="updates")]
    assert updates[0] == ("model", ["AIMessage"])
    assert updates[-1] == ("model", ["AIMessage"])
    assert sorted(updates[1:-1]) == [("tools", ["ToolMessage"])] * 2
    again = [
        read(part) async for part in agent.astream(QUESTION, stream_mode="updates")
    ]
    assert sorted(again) == sorted(updates)


async def test_events_of_an_agent(agent):
    events = [event async for event in agent.astream_events(QUESTION, version="v2")]
    names = [event["event"] for event in events]
    assert names.count("on_chat_model_start") == names.count("on_chat_model_end") == 2
    assert names.count("on_tool_end") == 2
    said = [
        event["data"]["chunk"].text
        for event in events
        if event["event"] == "on_chat_model_stream"
    ]
    assert "".join(said) == f"Let me look.Rain in {PLACE}, 12 degrees."


async def test_events_of_version_3(agent):
    with warnings.catch_warnings(action="ignore"):  # beta
        stream = await agent.astream_events(QUESTION, version="v3")
        texts = [await message.text async for message in stream.messages]
    assert texts == ["Let me look.", f"Rain in {PLACE}, 12 degrees."]


class Weather(BaseModel):
    """The weather."""

    city: str


@pytest.mark.parametrize("strategy", [ProviderStrategy, ToolStrategy])
@pytest.mark.parametrize("tools", [[], TOOLS])
def test_an_agent_with_structured_output(chat, strategy, tools):
    agent = create_agent(chat, tools, response_format=strategy(Weather))
    assert agent.invoke(QUESTION)["structured_response"] == Weather(city=PLACE)


@pytest.mark.parametrize(
    ("known", "asks"), [(True, "response_format"), (None, "tools")]
)
def test_the_profile_decides_how_an_agent_asks(
    scripted, engine, make_chat, known, asks
):
    model = make_chat(scripted, profile={"structured_output": known} if known else {})
    call = {"id": "1", "function": {"name": "Weather", "arguments": '{"city": "x"}'}}
    engine.message = {"content": '{"city": "x"}'} | (
        {} if known else {"tool_calls": [call]}
    )
    create_agent(model, [], response_format=Weather).invoke(QUESTION)
    assert asks in engine.asked[0]
    assert len(engine.asked[0].keys() & {"response_format", "tools"}) == 1


def test_a_failing_tool_is_told_to_the_model(two_calls, scripted_chat):
    call = {"id": "call_0", "name": "weather", "args": {"city": PLACE}}
    failed = ToolMessage(PLACE, tool_call_id="call_0", status="error")
    asked = AIMessage("", tool_calls=[call])
    scripted_chat.bind_tools(TOOLS).invoke([*QUESTION["messages"], asked, failed])
    told = two_calls.asked[-1]["messages"][-1]
    assert told == {"role": "tool", "tool_call_id": "call_0", "content": PLACE}


class State(TypedDict):
    said: Annotated[list[str], add]


@pytest.mark.parametrize("version", ["sync", "async"])
def test_tokens_inside_a_graph(two_calls, scripted_chat, version):
    def ask(_state):
        return {"said": [scripted_chat.invoke(PLACE).text]}

    async def aask(_state):
        return {"said": [(await scripted_chat.ainvoke(PLACE)).text]}

    graph = StateGraph(State)
    graph.add_node("ask", ask if version == "sync" else aask)
    graph.add_edge(START, "ask")
    graph.add_edge("ask", END)
    compiled = graph.compile()

    async def collect():
        return [
            part
            async for part in compiled.astream({"said": []}, stream_mode="messages")
        ]

    if version == "sync":
        parts = [*compiled.stream({"said": []}, stream_mode="messages")]
    else:
        parts = asyncio.run(collect())
    assert "".join(text for _, text in collected(parts)) == "Let me look."
