"""Agents and workflows, with an engine that checks their history as strictly as vLLM.

The built-in engine refuses calls without answers, answers without calls, unknown keys
and nulls: an agent that garbles its own history does not get far.
"""

import json
import re

import pytest
from adding import add
from llama_index.core.agent.workflow import (
    AgentStream,
    AgentWorkflow,
    FunctionAgent,
    ReActAgent,
    ToolCallResult,
)
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import Context, JsonSerializer
from pydantic import BaseModel

from atoma_local import BuiltInBackend

# Of workflows and of core, about themselves.
pytestmark = pytest.mark.filterwarnings(
    "ignore::pydantic.warnings.PydanticDeprecatedSince20",
    "ignore::pydantic.warnings.PydanticDeprecatedSince211",
    "ignore:is_running called from within a step:DeprecationWarning",
    "ignore:Skipping serialization of known unserializable key",
)


def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


async def run(agent, message, **kwargs):
    """Run an agent; give its answer, and the events of its run."""
    handler = agent.run(user_msg=message, **kwargs)
    events = [event async for event in handler.stream_events()]
    return await handler, events


def results(events):
    found = [event for event in events if isinstance(event, ToolCallResult)]
    return {event.tool_name: event.tool_output.raw_output for event in found}


@pytest.fixture(params=[True, False], ids=["streaming", "whole"])
def streaming(request):
    return request.param


async def test_one_tool(chat, streaming, canary, no_plaintext):
    no_plaintext("Add two numbers")
    agent = FunctionAgent(
        tools=[add], llm=chat, streaming=streaming, system_prompt=canary
    )
    answer, events = await run(agent, "Add 17 and 25.")
    assert results(events) == {"add": 42}
    assert "42" in str(answer)
    assert answer.raw["usage"]["total_tokens"] > 0
    json.dumps(answer.raw)
    assert chat.last_verdict.sealed


async def test_calls_in_parallel(chat, streaming, atoma):
    agent = FunctionAgent(tools=[add, multiply], llm=chat, streaming=streaming)
    answer, events = await run(agent, "Add 17 to 25; multiply 6 by 8.")
    assert results(events) == {"add": 42, "multiply": 48}
    assert "42" in str(answer)
    assert "48" in str(answer)
    last = atoma.opened[-1].body["messages"]
    ids = [call["id"] for m in last for call in m.get("tool_calls", ())]
    answered = [m["tool_call_id"] for m in last if m["role"] == "tool"]
    assert sorted(ids) == sorted(answered)
    assert len(set(ids)) == 2


async def test_interleaved_parallel_calls(scripted_chat, engine):
    def piece(index, text, **fields):
        function = {"arguments": text} | (
            {"name": fields.pop("name")} if fields else {}
        )
        return {
            "delta": {"tool_calls": [{"index": index, "function": function, **fields}]}
        }

    pieces = [
        piece(0, "", name="add", id="c0"),
        piece(1, "", name="multiply", id="c1"),
        piece(0, '{"a": 17, '),
        piece(1, '{"a": 6, '),
        piece(0, '"b": 25}'),
        piece(1, '"b": 8}'),
        {"delta": {}, "finish_reason": "tool_calls"},
    ]
    answered = {"delta": {"content": "Done."}, "finish_reason": "stop"}
    engine.chunks = pieces
    spoken = engine.stream_chat

    def stream_chat(body):
        if body["messages"][-1]["role"] == "tool":
            engine.chunks = [answered]
        return spoken(body)

    engine.stream_chat = stream_chat
    agent = FunctionAgent(tools=[add, multiply], llm=scripted_chat)
    answer, events = await run(agent, "go")
    assert results(events) == {"add": 42, "multiply": 48}
    assert str(answer) == "Done."


async def test_one_at_a_time_where_parallel_calls_are_not_allowed(chat, atoma):
    agent = FunctionAgent(
        tools=[add, multiply], llm=chat, allow_parallel_tool_calls=False
    )
    _answer, events = await run(agent, "Add 17 to 25; multiply 6 by 8.")
    assert results(events)
    sent = [m for opened in atoma.opened for m in opened.body["messages"]]
    assert {len(m["tool_calls"]) for m in sent if "tool_calls" in m} == {1}


async def test_a_tool_that_returns_directly_and_a_further_turn(chat, streaming):
    tool = FunctionTool.from_defaults(add, return_direct=True)
    agent = FunctionAgent(tools=[tool], llm=chat, streaming=streaming)
    memory = ChatMemoryBuffer.from_defaults(token_limit=10_000)
    answer, _ = await run(agent, "Add 17 and 25.", memory=memory)
    assert str(answer) == "42"
    answer, events = await run(agent, "Add 1 and 2.", memory=memory)
    assert results(events) == {"add": 3}
    assert str(answer) == "3"


async def test_memory_keeps_plain_messages(chat):
    agent = FunctionAgent(tools=[add], llm=chat)
    memory = ChatMemoryBuffer.from_defaults(token_limit=10_000)
    await run(agent, "Add 17 and 25.", memory=memory)
    kept = memory.get_all()
    assert [message.role.value for message in kept] == [
        "user",
        "assistant",
        "tool",
        "assistant",
    ]
    stored = json.dumps([message.model_dump() for message in kept])
    assert "proxy_asserted" not in stored, "verdicts are no part of a conversation"
    again = [ChatMessage.model_validate(one) for one in json.loads(stored)]
    assert chat.chat(again).message.content


async def test_a_context_can_be_stored_and_taken_up_again(chat):
    agent = FunctionAgent(tools=[add], llm=chat)
    context = Context(agent)
    await run(agent, "Add 17 and 25.", ctx=context)
    stored = json.dumps(context.to_dict(JsonSerializer()))
    restored = Context.from_dict(agent, json.loads(stored), JsonSerializer())
    assert await restored.store.get("user_msg_str") == "Add 17 and 25."
    answer, _ = await run(agent, "Add 1 and 2.", ctx=restored)
    assert "3" in str(answer)


async def test_a_forced_first_tool(chat, atoma):
    agent = FunctionAgent(tools=[add, multiply], llm=chat, initial_tool_choice="add")
    _, events = await run(agent, "17 and 25, please")
    assert results(events)["add"] == 42
    choices = [opened.body.get("tool_choice") for opened in atoma.opened]
    assert {"type": "function", "function": {"name": "add"}} in choices


async def test_a_tool_whose_name_engines_refuse(chat):
    tool = FunctionTool.from_defaults(add, name="add numbers")
    agent = FunctionAgent(tools=[tool], llm=chat)
    answer, events = await run(agent, "Add the numbers 17 and 25.")
    assert results(events) == {"add numbers": 42}
    assert "42" in str(answer)


async def test_thoughts_are_streamed_beside_the_answer(atoma, make_chat):
    thinking = {"chat_template_kwargs": {"enable_thinking": True}}
    chat = make_chat(atoma, extra_body=thinking)
    answer, events = await run(FunctionAgent(tools=[add], llm=chat), "Add 17 and 25.")
    streamed = [event for event in events if isinstance(event, AgentStream)]
    thought = "".join(event.thinking_delta or "" for event in streamed)
    assert "The question is about" in thought
    assert "The question is about" not in str(answer)
    assert "The question is about" not in "".join(event.delta for event in streamed)


class Sum(BaseModel):
    """A sum."""

    total: int


async def test_an_agent_with_an_output_class(chat):
    def in_words(a: int, b: int) -> str:
        """Add two numbers."""
        return f"The total is {a + b}."

    tool = FunctionTool.from_defaults(in_words, name="add")
    agent = FunctionAgent(tools=[tool], llm=chat, output_cls=Sum)
    answer, _ = await run(agent, "Add 17 and 25.")
    assert answer.get_pydantic_model(Sum) == Sum(total=42)


class Reasoner:
    """An engine that acts and answers in the words of a ReAct prompt."""

    def __init__(self, inner):
        self.inner = inner
        self.models = inner.models
        self.asked = []

    def chat(self, body):
        answer = self.inner.chat(body)
        answer["choices"][0]["message"]["content"] = self._said(body)
        return answer

    def stream_chat(self, body):
        self.asked.append(body)
        head = {"id": "c", "model": body["model"]}
        for word in re.findall(r"\s*\S+", self._said(body)):
            choice = {"index": 0, "delta": {"content": word}, "finish_reason": None}
            yield {**head, "choices": [choice]}
        end = {"index": 0, "delta": {}, "finish_reason": "stop"}
        yield {**head, "choices": [end]}
        usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
        yield {**head, "choices": [], "usage": usage}

    def _said(self, body):
        last = body["messages"][-1]["content"]
        if seen := re.search(r"Observation: (.+)", last):
            return f"Thought: I can answer now.\nAnswer: It is {seen[1]}."
        assert "add" in str(body["messages"][0]), "the tools stand in the prompt"
        a, b = re.findall(r"\d+", last)
        arguments = json.dumps({"a": int(a), "b": int(b)})
        return f"Thought: A tool helps.\nAction: add\nAction Input: {arguments}"


async def test_a_react_agent(make_atoma, make_chat, streaming, no_plaintext):
    no_plaintext("Action Input", "Thought: A tool helps")
    chat = make_chat(make_atoma(backend=Reasoner(BuiltInBackend())), stream_mode="live")
    agent = ReActAgent(tools=[add], llm=chat, streaming=streaming)
    answer, events = await run(agent, "Add 17 and 25.")
    assert results(events) == {"add": 42}
    assert str(answer) == "It is 42."


class Attentive:
    """The built-in engine, which does not take a handoff for an answer."""

    def __init__(self, inner):
        self.inner = inner
        self.models = inner.models

    def stream_chat(self, body):
        handed = [
            call["id"]
            for message in body["messages"]
            for call in message.get("tool_calls", ())
            if call["function"]["name"] == "handoff"
        ]
        left = [
            message
            for message in body["messages"]
            if message.get("tool_call_id") not in handed
            and not any(call["id"] in handed for call in message.get("tool_calls", ()))
        ]
        return self.inner.stream_chat({**body, "messages": left})


async def test_a_workflow_of_two_agents(make_atoma, make_chat, no_plaintext):
    no_plaintext("You add", "You multiply")
    chat = make_chat(make_atoma(backend=Attentive(BuiltInBackend())))
    adder = FunctionAgent(
        name="adder",
        description="Adds numbers.",
        system_prompt="You add.",
        tools=[add],
        llm=chat,
        initial_tool_choice="handoff",
        can_handoff_to=["multiplier"],
    )
    multiplier = FunctionAgent(
        name="multiplier",
        description="Multiplies numbers.",
        system_prompt="You multiply.",
        tools=[multiply],
        llm=chat,
        can_handoff_to=[],
    )
    workflow = AgentWorkflow(agents=[adder, multiplier], root_agent="adder")
    answer, events = await run(workflow, "Hand off to multiplier: multiply 6 and 7.")
    assert "multiplier is now handling" in results(events)["handoff"]
    assert results(events)["multiply"] == 42
    assert answer.current_agent_name == "multiplier"
    assert "42" in str(answer)
