"""Structured output, by each of its methods."""

import asyncio
import json
import traceback

import pytest
from langchain_core import exceptions as lc
from langchain_core.globals import set_debug
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.runnables import RunnablePassthrough, RunnableSequence
from pydantic import BaseModel, Field

from langchain_atoma import (
    RefusedAnswerError,
    TruncatedAnswerError,
    UnparsableAnswerError,
    errors,
)

METHODS = ["json_schema", "function_calling", "json_mode"]
COMPLETE = {"city": "Bern", "rain": True}


class Report(BaseModel):
    """A weather report."""

    city: str
    rain: bool = Field(description="Whether it rains")


SCHEMA = {
    "title": "Report",
    "type": "object",
    "properties": {"city": {"type": "string"}, "rain": {"type": "boolean"}},
    "required": ["city", "rain"],
}


def scripted_for(engine, method, data, finish_reason=None):
    """Let the engine answer with some JSON, in the way a method asks for it."""
    arguments = data if isinstance(data, str) else json.dumps(data)
    half = len(arguments) // 2
    pieces = [arguments[:half], arguments[half:]]
    if method == "function_calling":
        call = {"id": "1", "function": {"name": "Report", "arguments": arguments}}
        engine.message = {"content": None, "tool_calls": [call]}
        head = {"index": 0, "id": "1", "function": {"name": "Report"}}
        deltas = [{"tool_calls": [head]}]
        deltas += [
            {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
            for piece in pieces
        ]
        ended = finish_reason or "tool_calls"
    else:
        engine.message = {"content": arguments}
        deltas = [{"content": piece} for piece in pieces]
        ended = finish_reason or "stop"
    engine.choice = {"finish_reason": ended}
    engine.chunks = [{"delta": delta} for delta in deltas]
    engine.chunks.append({"delta": {}, "finish_reason": ended})


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("schema", [Report, SCHEMA])
async def test_parsed_whole_and_streamed(scripted_chat, engine, canary, method, schema):
    scripted_for(engine, method, COMPLETE)
    model = scripted_chat.with_structured_output(schema, method=method)
    wanted = Report(**COMPLETE) if schema is Report else COMPLETE
    assert model.invoke(canary) == wanted
    assert await model.ainvoke(canary) == wanted
    assert [*model.stream(canary)][-1] == wanted
    assert [part async for part in model.astream(canary)][-1] == wanted


def test_json_is_streamed_while_it_grows(scripted_chat, engine, canary):
    scripted_for(engine, "json_schema", {"city": "Bern", "rain": True})
    model = scripted_chat.with_structured_output(SCHEMA)
    parts = [*model.stream(canary)]
    assert len(parts) > 1
    assert parts[0] != COMPLETE


def test_what_each_method_asks_for(scripted_chat, engine, canary):
    def asked(method, **kwargs):
        scripted_for(engine, method, COMPLETE)
        scripted_chat.with_structured_output(Report, method=method, **kwargs).invoke(
            [SystemMessage("Be brief."), HumanMessage(canary)]
        )
        return engine.asked[-1]

    schema = asked("json_schema", strict=True)["response_format"]
    assert schema["type"] == "json_schema"
    assert schema["json_schema"]["name"] == "Report"
    assert schema["json_schema"]["strict"] is True
    assert schema["json_schema"]["schema"]["additionalProperties"] is False
    assert "strict" not in asked("json_schema")["response_format"]["json_schema"]

    called = asked("function_calling")
    assert called["tool_choice"] == {"type": "function", "function": {"name": "Report"}}
    assert called["parallel_tool_calls"] is False

    worded = asked("json_mode")
    assert worded["response_format"] == {"type": "json_object"}
    first, second = worded["messages"]
    assert first["content"].startswith("Be brief.\n\n")
    assert '"rain"' in first["content"]
    assert second == {"role": "user", "content": canary}


def test_json_mode_without_a_schema(scripted_chat, engine, canary):
    scripted_for(engine, "json_mode", {"any": 1})
    model = scripted_chat.with_structured_output(method="json_mode")
    assert model.invoke(canary) == {"any": 1}
    assert len(engine.asked[-1]["messages"]) == 1


def test_further_parameters_are_bound(scripted_chat, engine, canary):
    scripted_for(engine, "json_schema", COMPLETE)
    scripted_chat.with_structured_output(Report, temperature=0.5).invoke(canary)
    assert engine.asked[-1]["temperature"] == 0.5


@pytest.mark.parametrize("method", METHODS)
def test_with_the_raw_message(scripted_chat, engine, canary, method):
    model = scripted_chat.with_structured_output(
        Report, method=method, include_raw=True
    )
    scripted_for(engine, method, COMPLETE)
    result = model.invoke(canary)
    assert result["parsed"] == Report(**COMPLETE)
    assert result["parsing_error"] is None
    assert result["raw"].response_metadata["atoma"]["sealed"] is True

    scripted_for(engine, method, {"city": "hunter2"})
    for result in (model.invoke(canary), asyncio.run(model.ainvoke(canary))):
        assert result["parsed"] is None
        assert_tells_the_schema_alone(result["parsing_error"])


def assert_tells_the_schema_alone(error, name="Report"):
    assert isinstance(error, UnparsableAnswerError)
    assert isinstance(error, lc.OutputParserException)
    assert error.message == f"The answer does not fit the schema {name}."
    assert error.exposure is errors.Exposure.SEALED
    assert (error.llm_output, error.observation, error.send_to_llm) == (
        None,
        None,
        False,
    )
    assert error.__context__ is None
    assert "hunter2" not in "".join(traceback.format_exception(error))


@pytest.mark.parametrize("method", METHODS)
def test_an_answer_that_does_not_fit_is_not_quoted(
    scripted_chat, engine, canary, method
):
    scripted_for(engine, method, {"city": "Bern", "rain": "hunter2"})
    model = scripted_chat.with_structured_output(Report, method=method)
    with pytest.raises(UnparsableAnswerError) as caught:
        model.invoke(canary)
    assert_tells_the_schema_alone(caught.value)
    with pytest.raises(UnparsableAnswerError) as caught:
        asyncio.run(model.ainvoke(canary))
    assert_tells_the_schema_alone(caught.value)


@pytest.mark.parametrize(("schema", "name"), [(SCHEMA, "Report"), (None, "JSON")])
def test_an_answer_that_is_no_json_is_not_quoted(
    scripted_chat, engine, canary, schema, name
):
    scripted_for(engine, "json_mode", "hunter2")
    model = scripted_chat.with_structured_output(schema, method="json_mode")
    with pytest.raises(UnparsableAnswerError) as caught:
        model.invoke(canary)
    assert_tells_the_schema_alone(caught.value, name)


def test_a_streamed_call_of_another_tool_is_not_quoted(scripted_chat, engine, canary):
    function = {"name": "hunter2", "arguments": "{}"}
    call = {"index": 0, "id": "1", "function": function}
    engine.chunks = [
        {"delta": {"tool_calls": [call]}},
        {"delta": {}, "finish_reason": "tool_calls"},
    ]
    model = scripted_chat.with_structured_output(Report, method="function_calling")
    with pytest.raises(UnparsableAnswerError) as caught:
        [*model.stream(canary)]
    assert_tells_the_schema_alone(caught.value)


def test_the_parser_says_what_it_returns(scripted_chat):
    parser = scripted_chat.with_structured_output(Report).last
    assert parser.OutputType is Report
    assert parser.parse(json.dumps(COMPLETE)) == Report(**COMPLETE)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("streamed", [False, True])
def test_an_answer_that_is_cut_off_is_not_completed(
    scripted_chat, engine, canary, method, streamed
):
    scripted_for(engine, method, '{"city": "hunter2', finish_reason="length")
    model = scripted_chat.with_structured_output(SCHEMA, method=method)
    with pytest.raises(TruncatedAnswerError) as caught:
        [*model.stream(canary)] if streamed else model.invoke(canary)
    assert "hunter2" not in repr(caught.value) + str(caught.value)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("how", ["refusal", "content_filter"])
def test_a_refusal_is_no_parsing_error(
    scripted_chat, engine, canary, method, streamed, how
):
    refusal = {"refusal": "hunter2"} if how == "refusal" else {}
    ended = {"finish_reason": "stop" if refusal else "content_filter"}
    engine.message = {"content": None, **refusal}
    engine.choice = ended
    engine.chunks = [{"delta": refusal}, {"delta": {}, **ended}]
    model = scripted_chat.with_structured_output(SCHEMA, method=method)
    with pytest.raises(RefusedAnswerError) as caught:
        [*model.stream(canary)] if streamed else model.invoke(canary)
    # The class for it came with core 1.7.5.
    assert isinstance(caught.value, getattr(lc, "ModelRefusalError", lc.ModelError))
    assert "hunter2" not in repr(caught.value) + str(caught.value)


@pytest.mark.parametrize(
    ("schema", "options", "reason"),
    [
        (None, {}, "needs a schema"),
        (None, {"method": "function_calling"}, "needs a schema"),
        (SCHEMA, {"method": "json_mode", "strict": True}, "strict"),
        (SCHEMA, {"method": "yaml"}, "method is"),
        ({"type": "web_search"}, {"method": "function_calling"}, "no schema"),
    ],
)
def test_what_does_not_go_together(scripted_chat, schema, options, reason):
    with pytest.raises(errors.InvalidInputError, match=reason):
        scripted_chat.with_structured_output(schema, **options)


def test_a_name_that_servers_would_refuse(scripted_chat, engine, canary):
    scripted_for(engine, "json_schema", COMPLETE)
    schema = {**SCHEMA, "title": "Bericht [Zürich] " + "x" * 80}
    scripted_chat.with_structured_output(schema).invoke(canary)
    name = engine.asked[-1]["response_format"]["json_schema"]["name"]
    assert name == "Bericht__Z_rich__" + "x" * 47


def test_the_chain_is_cores_own_to_all_that_look_at_it(scripted_chat):
    asking = scripted_chat.with_structured_output(Report)
    assert isinstance(asking, RunnableSequence)
    assert asking.get_name() == "RunnableSequence"
    assert asking.lc_id() == RunnableSequence.lc_id()
    assert type(asking | str) is RunnableSequence
    assert type(RunnablePassthrough() | asking) is RunnableSequence


def test_copies_of_the_chain_are_guarded(scripted_chat, scripted):
    asking = scripted_chat.with_structured_output(Report)
    scripted_chat.tracing_policy = "refuse"
    set_debug(True)
    twins = [asking.model_copy(), asking.with_config(tags=["x"]), asking.bind()]
    for twin in twins:
        with pytest.raises(errors.PlaintextEgressError):
            twin.invoke("Rain?")
    assert scripted.exchanges == []
