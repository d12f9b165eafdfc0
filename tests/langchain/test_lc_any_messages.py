"""Any list of messages: what the node opens, or an error of ours; never another's."""

import json
from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    RemoveMessage,
    SystemMessage,
    ToolMessage,
)
from odd_values import base64_texts, texts, urls, values
from verdicts import VERDICT
from wire_shape import check_messages

from atoma_confidential._json import parse_object
from atoma_confidential._reply import check_answer
from atoma_confidential._wire import Endpoint
from atoma_confidential.answers import as_delta
from atoma_confidential.errors import ConfidentialError
from langchain_atoma import errors
from langchain_atoma._chunks import ChunkReader
from langchain_atoma._convert import to_wire
from langchain_atoma._parse import chat_result

# What is no JSON may stand wherever Python lets it.
OBJECTS = st.sampled_from([b"\xff", {1, 2}, datetime(2026, 1, 1, tzinfo=UTC), object])
anything = values(OBJECTS)
KINDS = (
    *("text", "text-plain", "image", "image_url", "audio", "input_audio", "file"),
    *("video", "reasoning", "thinking", "redacted_thinking", "refusal", "document"),
    *("tool_use", "tool_result", "tool_call", "invalid_tool_call", "function_call"),
    *("server_tool_call", "server_tool_result", "citation", "non_standard", "", "new"),
)
FIELDS = (
    *("text", "url", "base64", "data", "mime_type", "image_url", "source_type"),
    *("source", "file", "input_audio", "extras", "filename", "name", "id", "value"),
    *("input", "content", "tool_use_id", "thinking", "reasoning", "detail", "index"),
)
PLACES = {
    "image_url": urls()
    | st.fixed_dictionaries({"url": urls()}, optional={"detail": texts()}),
    "url": urls(),
    "base64": base64_texts(),
    "data": base64_texts(),
    "mime_type": st.sampled_from(["image/png", "audio/wav", "a/b;c", "image", ""]),
    "source_type": st.sampled_from(["base64", "url", "text", "id"]),
}
fields = {name: anything | PLACES.get(name, texts()) for name in FIELDS}
any_block = (
    st.fixed_dictionaries({"type": st.sampled_from(KINDS)}, optional=fields)
    | st.fixed_dictionaries({"type": st.just("text"), "text": texts()})
    | st.fixed_dictionaries({"type": st.just("image_url"), "image_url": urls()})
    | st.fixed_dictionaries({"type": anything}, optional=fields)
    | st.dictionaries(texts(), anything, max_size=2)
)


# Composites: hypothesis would write all of these out.


@st.composite
def blocks(draw):
    return draw(any_block)


@st.composite
def contents(draw):
    return draw(texts() | st.lists(texts() | blocks(), max_size=4))


tool_calls = st.lists(
    st.fixed_dictionaries(
        {"name": texts(), "args": st.dictionaries(texts(), anything, max_size=3)}
        | {"id": st.none() | texts(), "type": st.just("tool_call")}
    ),
    max_size=2,
)
broken_calls = st.lists(
    st.fixed_dictionaries(
        {name: st.none() | texts() for name in ("name", "args", "id", "error")}
        | {"type": st.just("invalid_tool_call")}
    ),
    max_size=2,
)
KWARGS = (
    *("function_call", "refusal", "reasoning_content", "tool_calls", "audio"),
    *("__openai_role__", "name"),
)
extras = st.dictionaries(st.sampled_from(KWARGS) | texts(), anything, max_size=2)
shared = {
    "content": contents(),
    "additional_kwargs": extras,
    "response_metadata": st.dictionaries(texts(), anything, max_size=2),
    "name": st.none() | texts(),
}


@st.composite
def built(draw, kind, **more):
    """Draw a message of a class; in the place of what it refuses itself, another."""
    fields = draw(st.fixed_dictionaries({}, optional=shared | more))
    try:
        return kind(**{"content": ""} | fields)
    except (TypeError, ValueError, KeyError, AttributeError, RecursionError):
        return HumanMessage("")


of_assistant = {"tool_calls": tool_calls, "invalid_tool_calls": broken_calls}
messages = st.one_of(
    built(HumanMessage),
    built(SystemMessage),
    built(AIMessage, **of_assistant),
    built(AIMessageChunk, **of_assistant),
    built(ToolMessage, tool_call_id=texts(), artifact=anything),
    built(FunctionMessage, name=texts()),
    built(ChatMessage, role=texts() | st.sampled_from(["user", "assistant", "tool"])),
    texts().map(lambda name: RemoveMessage(id=name)),
)


def mapped(given_messages, **options):
    """Return what a node would read; None where an error of ours has refused it."""
    before = repr(given_messages)
    refusal = None
    try:
        return check_messages(to_wire(given_messages, **options))
    except ConfidentialError as error:
        refusal = error
    finally:
        assert repr(given_messages) == before
    assert refusal.exposure is errors.Exposure.NOTHING
    assert len(str(refusal)) < 500
    return None


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    st.lists(messages, max_size=4),
    st.sampled_from(["never", "tool_loop", "always"]),
)
def test_any_messages_are_mapped_or_refused(given_messages, reasoning):
    mapped(given_messages, reasoning=reasoning)


def test_what_the_node_opens_is_what_was_mapped(scripted_chat, engine, canary):
    asked = HumanMessage([canary, {"type": "text", "text": "﷽\x00"}], name="ada")
    said = AIMessage(
        "é", tool_calls=[{"name": "f", "args": {"a": "\x00", "b": 1e999}, "id": ""}]
    )
    given_messages = [asked, said, ToolMessage("\u2028", tool_call_id="")]
    scripted_chat.invoke(given_messages)
    assert engine.asked[-1]["messages"] == to_wire(given_messages)


@st.composite
def answers(draw):
    """Draw the message of an engine's answer, on contract and off it."""
    called = st.fixed_dictionaries(
        {
            "id": texts() | st.none(),
            "function": st.fixed_dictionaries(
                {"name": texts(), "arguments": texts() | values()}
            ),
        }
    )
    fields = {
        "content": texts() | st.none() | values(),
        "reasoning_content": texts() | st.none() | values(),
        "refusal": texts() | st.none(),
        "tool_calls": st.none() | st.lists(called, max_size=3),
        "function_call": st.none()
        | st.fixed_dictionaries({"name": texts(), "arguments": texts()}),
    }
    return draw(st.fixed_dictionaries({"role": st.just("assistant")}, optional=fields))


def parsed(message):
    """Return an answer with this message as LangChain has it, as it came in JSON."""
    try:
        data = json.dumps({"model": "m", "choices": [{"message": message}]}).encode()
        body = check_answer(data, Endpoint.CHAT, errors.Exposure.SEALED)
        (one,) = chat_result(body, VERDICT, keep_truncated=False).generations
    except ConfidentialError:
        return None
    return one.message


def streamed(message):
    """Return the same answer, from a stream that says it in one chunk."""
    reader = ChunkReader(keep_truncated=True)
    data = json.dumps(message).encode()
    delta = as_delta(parse_object(data, "", errors.Exposure.SEALED))
    choice = {"index": 0, "delta": delta, "finish_reason": "stop"}
    chunk = reader.read({"id": "1", "choices": [choice]})
    last = reader.finish(VERDICT)
    return last.message if chunk is None else (chunk + last).message


def as_said(message):
    """Return what is said by a message; as text, for NaN is no equal of itself."""
    calls = message.tool_calls, message.invalid_tool_calls
    said = message.content, calls, message.additional_kwargs
    return json.dumps(said, sort_keys=True)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(answers())
def test_an_answer_sent_back_as_history_is_the_same_answer(message):
    first = parsed(message)
    if first is None:
        return
    sent = mapped([first], reasoning="always")
    assert sent is not None
    second = parsed(sent[0])
    assert as_said(second) == as_said(first)
    assert mapped([second], reasoning="always") == sent


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(answers())
def test_a_stream_adds_up_to_a_message_that_can_be_sent_back(message):
    if parsed(message) is None:
        return
    added = streamed(message)
    assert added.content == parsed(message).content
    mapped([added], reasoning="always")
