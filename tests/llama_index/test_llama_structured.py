"""Structured prediction: four forms, three modes."""

import asyncio
import json
from typing import Generic, TypeVar

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.program import FunctionCallingProgram
from llama_index.core.prompts import ChatPromptTemplate, PromptTemplate
from llama_index.core.types import PydanticProgramMode
from pydantic import BaseModel, Field

from llama_index_atoma import (
    RefusedAnswerError,
    TruncatedAnswerError,
    UnparsableAnswerError,
    errors,
)


class Person(BaseModel):
    """A person."""

    name: str
    age: int = Field(default=0, description="In years.")


T = TypeVar("T")


class Box(BaseModel, Generic[T]):
    content: T


PROMPT = PromptTemplate("Who is {who}?")
ANNA = '{"name": "Anna", "age": 41}'
MODES = {
    "json_schema": {"should_use_structured_outputs": True},
    "tools": {},
    "text": {"pydantic_program_mode": PydanticProgramMode.LLM},
    "text without tools": {"is_function_calling_model": False},
    "function": {"pydantic_program_mode": PydanticProgramMode.FUNCTION},
}


def predict(model, cls, prompt=PROMPT, llm_kwargs=None, **args):
    return [model.structured_predict(cls, prompt, llm_kwargs, **args)]


def apredict(model, cls, prompt=PROMPT, llm_kwargs=None, **args):
    return [asyncio.run(model.astructured_predict(cls, prompt, llm_kwargs, **args))]


def stream(model, cls, prompt=PROMPT, llm_kwargs=None, **args):
    return list(model.stream_structured_predict(cls, prompt, llm_kwargs, **args))


def astream(model, cls, prompt=PROMPT, llm_kwargs=None, **args):
    async def run():
        items = await model.astream_structured_predict(cls, prompt, llm_kwargs, **args)
        return [item async for item in items]

    return asyncio.run(run())


@pytest.fixture(params=[predict, apredict, stream, astream], ids=lambda f: f.__name__)
def form(request):
    return request.param


@pytest.fixture(params=MODES)
def mode(request):
    return request.param


@pytest.fixture
def says(engine):
    """Let the engine say JSON, by a call or as text, whole and in pieces."""

    def script(text, mode, **choice):
        ended = {"finish_reason": "stop", **choice}
        pieces = [text[i : i + 3] for i in range(0, len(text), 3)]
        if mode in ("tools", "function"):
            call = {"index": 0, "id": "c", "function": {"name": "Person"}}
            whole = {**call["function"], "arguments": text}
            message = {"content": None, "tool_calls": [{**call, "function": whole}]}
            deltas = [{"tool_calls": [call]}]
            deltas += [
                {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
                for piece in pieces
            ]
        else:
            message = {"content": text}
            deltas = [{"content": piece} for piece in pieces]
        engine.message, engine.choice = {"role": "assistant", **message}, ended
        engine.chunks = [*({"delta": d} for d in deltas), {"delta": {}, **ended}]

    return script


@pytest.fixture
def model(scripted_chat, mode):
    return scripted_chat.model_copy(update=MODES[mode])


def test_all_forms_in_all_modes(model, mode, form, says, engine, canary):
    says(ANNA, mode)
    items = form(model, Person, who=canary)
    assert items[-1] == Person(name="Anna", age=41)
    assert type(items[-1]) is Person
    body = engine.asked[-1]
    if mode == "json_schema":
        assert body["response_format"]["type"] == "json_schema"
        assert body["response_format"]["json_schema"]["name"] == "Person"
        assert "tools" not in body
    elif "text" in mode:
        assert "JSON schema" in body["messages"][-1]["content"]
        assert not body.keys() & {"tools", "response_format"}
    else:
        forced = {"type": "function", "function": {"name": "Person"}}
        assert body["tool_choice"] == forced
        assert body["parallel_tool_calls"] is False


def test_parts_come_before_the_whole(model, mode, says):
    says(ANNA, mode)
    names = [part.name for part in stream(model, Person, who="x")]
    assert names[-1] == "Anna"
    assert "An" in names[:-1]


def test_the_system_prompt_is_sent_in_every_form(model, mode, form, says, engine):
    model.system_prompt = "S"
    says(ANNA, mode)
    form(model, Person, who="x")
    assert engine.asked[-1]["messages"][0] == {"role": "system", "content": "S"}


def test_parameters_pass_and_are_not_changed(model, mode, form, says, engine):
    says(ANNA, mode)
    given = {"temperature": 0.5, "tool_choice": "auto", "tool_required": False}
    before = dict(given)
    form(model, Person, llm_kwargs=given, who="x")
    assert engine.asked[-1]["temperature"] == 0.5
    assert engine.asked[-1].get("tool_choice") != "auto"
    assert given == before


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('{"age": "not-a-number-0451"}', ["name (missing)", "age (int_parsing)"]),
        ('{"name": "x", "age": [', ["json_invalid"]),
        ("no json at all 0451", ["json_invalid"]),
    ],
)
def test_what_does_not_fit_is_an_error_without_content(
    model, mode, form, says, text, told
):
    says(text, mode)
    with pytest.raises(UnparsableAnswerError) as caught:
        form(model, Person, who="x")
    assert "Person" in str(caught.value)
    assert "0451" not in str(caught.value)
    assert any(one in str(caught.value) for one in told)
    assert caught.value.exposure is errors.Exposure.SEALED


def test_an_answer_that_met_its_limit_is_no_object(model, mode, form, says):
    # Core's reader would complete it.
    says('{"name": "Anna", "age": 4', mode, finish_reason="length")
    with pytest.raises(TruncatedAnswerError):
        form(model, Person, who="x")


def test_a_refusal_is_no_object(model, form, engine):
    refusal = "I will not say 0451."
    engine.message = {"role": "assistant", "content": None, "refusal": refusal}
    engine.chunks = [{"delta": {"refusal": refusal}, "finish_reason": "stop"}]
    with pytest.raises(RefusedAnswerError) as caught:
        form(model, Person, who="x")
    assert "0451" not in str(caught.value)


def test_words_instead_of_a_call(scripted_chat, form, engine):
    engine.message = {"role": "assistant", "content": "Anna, 0451."}
    with pytest.raises(UnparsableAnswerError, match="in words") as caught:
        form(scripted_chat, Person, who="x")
    assert "0451" not in str(caught.value)
    assert isinstance(caught.value, ValueError)


def test_json_in_a_fence(scripted_chat, says, form):
    model = scripted_chat.model_copy(update=MODES["text"])
    says(f"Here it is:\n```json\n{ANNA}\n```\nThat is all.", "text")
    assert form(model, Person, who="x")[-1].name == "Anna"


def test_the_prompt_is_not_changed_by_text_mode(scripted_chat, says):
    model = scripted_chat.model_copy(update=MODES["text"])
    says(ANNA, "text")
    prompt = ChatPromptTemplate([ChatMessage(role="user", content="Who?")])
    predict(model, Person, prompt)
    predict(model, Person, prompt)
    assert prompt.format_messages()[0].content == "Who?"


def test_names_of_generic_classes(scripted_chat, says, engine):
    says('{"content": 3}', "tools")
    assert predict(scripted_chat, Box[int], who="x")[0].content == 3
    assert engine.asked[-1]["tools"][0]["function"]["name"] == "Box_int_"
    model = scripted_chat.model_copy(update=MODES["json_schema"])
    says('{"content": 3}', "json_schema")
    assert predict(model, Box[int], who="x")[0].content == 3
    assert engine.asked[-1]["response_format"]["json_schema"]["name"] == "Box_int_"


def test_strict_is_sent_with_a_strict_schema(scripted_chat, says, engine):
    update = {**MODES["json_schema"], "strict": True}
    says(ANNA, "json_schema")
    predict(scripted_chat.model_copy(update=update), Person, who="x")
    schema = engine.asked[-1]["response_format"]["json_schema"]
    assert schema["strict"] is True
    assert schema["schema"]["required"] == ["name", "age"]
    assert schema["schema"]["additionalProperties"] is False


def test_another_providers_mode_is_refused(scripted_chat, engine):
    update = {"pydantic_program_mode": PydanticProgramMode.OPENAI}
    with pytest.raises(errors.InvalidInputError, match="openai"):
        predict(scripted_chat.model_copy(update=update), Person, who="x")
    assert engine.asked == []


def test_events_are_one_of_each(scripted_chat, mode, form, says, events, legacy):
    model = scripted_chat.model_copy(update={**MODES[mode], "tracing_policy": "allow"})
    model.callback_manager.add_handler(legacy)
    says(ANNA, mode)
    form(model, Person, who="x")
    for name in ("LLMStructuredPredictStart", "LLMStructuredPredictEnd"):
        assert events.names.count(f"{name}Event") == 1
    assert events.names.count("LLMChatStartEvent") == 1
    assert len(legacy.of("llm")) == 1
    assert legacy.balanced


@pytest.mark.parametrize("mode", ["json_schema", "tools", "text"])
def test_the_engine_fills_a_schema(chat, mode, form, no_plaintext):
    fact = "My name is Heliodora and I am 57 years old."
    no_plaintext(fact, "Heliodora")
    model = chat.model_copy(update=MODES[mode])
    found = form(model, Person, PromptTemplate("{fact}"), fact=fact)[-1]
    assert found == Person(name="Heliodora", age=57)


@pytest.mark.parametrize("mode", ["json_schema", "tools", "text"])
def test_as_structured_llm(scripted_chat, says, mode):
    says(ANNA, mode)
    model = scripted_chat.model_copy(update=MODES[mode]).as_structured_llm(Person)
    asked = [ChatMessage(role="user", content="Who?")]
    anna = Person(name="Anna", age=41)
    assert model.chat(asked).raw == anna
    assert json.loads(model.chat(asked).message.content) == anna.model_dump()
    assert asyncio.run(model.achat(asked)).raw == anna
    assert model.complete("Who?").raw == anna
    parts = [item.raw for item in model.stream_chat(asked)]
    assert parts[-1] == anna
    assert len(parts) > 2

    async def run():
        return [item.raw async for item in await model.astream_chat(asked)]

    assert asyncio.run(run())[-1] == anna


@pytest.mark.parametrize("mode", ["json_schema", "tools", "text"])
def test_structured_answers_carry_verdict_and_usage(scripted_chat, says, mode):
    says(ANNA, mode)
    model = scripted_chat.model_copy(update=MODES[mode]).as_structured_llm(Person)
    asked = [ChatMessage(role="user", content="Who?")]

    async def run():
        whole = await model.achat(asked)
        return [whole, *[item async for item in await model.astream_chat(asked)]]

    first, *items = asyncio.run(run())
    wholes = [first, items[-1], model.chat(asked), model.complete("Who?")]
    *parts, last = model.stream_chat(asked)
    for one in (*wholes, last):
        assert one.additional_kwargs["atoma"]["sealed"] is True
        assert one.additional_kwargs["total_tokens"] == 12
    assert {str(p.additional_kwargs) for p in (*parts, *items[:-1])} == {"{}"}


def test_what_is_told_of_an_answer_stays_with_it(scripted_chat, says):
    says(ANNA, "tools")
    model = scripted_chat.as_structured_llm(Person)
    asked = [ChatMessage(role="user", content="Who?")]
    begun = model.stream_chat(asked)
    next(begun)
    *_, last = model.stream_chat(asked)
    assert "atoma" in last.additional_kwargs
    assert next(begun).additional_kwargs == {}, "of another answer nothing is told"
    begun.close()


def test_the_last_verdict_is_there_for_what_returns_objects(
    scripted_chat, says, form, mode
):
    says(ANNA, mode)
    model = scripted_chat.model_copy(update=MODES[mode])
    assert model.last_verdict is None
    form(model, Person, who="x")
    assert model.last_verdict.sealed
    assert model.as_structured_llm(Person).last_verdict is model.last_verdict


def test_cores_own_program_finds_the_calls(scripted_chat, says):
    says(ANNA, "tools")
    program = FunctionCallingProgram.from_defaults(
        output_cls=Person, prompt=PROMPT, llm=scripted_chat
    )
    assert program(who="x") == Person(name="Anna", age=41)
    assert asyncio.run(program.acall(who="x")) == Person(name="Anna", age=41)
    *_, last = program.stream_call(who="x")
    assert last == Person(name="Anna", age=41)
