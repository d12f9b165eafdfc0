"""Objects that grow while they come, also through core's structured model."""

import asyncio
import json

import pytest
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel, Field, create_model

from llama_index_atoma import RefusedAnswerError

ASKED = [ChatMessage(role="user", content="Who?")]
PROMPT = PromptTemplate("Who?")

# Core's own, about how it writes partial objects.


class Song(BaseModel):
    """A song."""

    title: str
    minutes: int | None = None


class Album(BaseModel):
    """An album."""

    name: str
    songs: list[Song] = Field(default_factory=list)


ALBUM = {
    "name": "Nocturnes",
    "songs": [{"title": "Dusk", "minutes": 3}, {"title": "Dawn", "minutes": None}],
}
MODES = {"json_schema": True, "tools": False}


@pytest.fixture(params=MODES)
def model(request, scripted_chat, engine):
    """A model that asks in one of two modes, and an engine that says an album."""
    text = json.dumps(ALBUM)
    pieces = [text[i : i + 4] for i in range(0, len(text), 4)]
    if request.param == "tools":
        head = {"index": 0, "id": "c", "function": {"name": "Album"}}
        deltas = [{"tool_calls": [head]}]
        deltas += [
            {"tool_calls": [{"index": 0, "function": {"arguments": piece}}]}
            for piece in pieces
        ]
    else:
        deltas = [{"content": piece} for piece in pieces]
    end = {"delta": {}, "finish_reason": "stop"}
    engine.chunks = [*({"delta": delta} for delta in deltas), end]
    update = {"should_use_structured_outputs": MODES[request.param]}
    return scripted_chat.model_copy(update=update)


async def gathered(items):
    return [item async for item in await items]


STREAMS = {
    "stream": lambda m: list(m.stream_structured_predict(Album, PROMPT)),
    "astream": lambda m: asyncio.run(
        gathered(m.astream_structured_predict(Album, PROMPT))
    ),
    "llm stream": lambda m: [
        item.raw for item in m.as_structured_llm(Album).stream_chat(ASKED)
    ],
    "llm astream": lambda m: [
        item.raw
        for item in asyncio.run(
            gathered(m.as_structured_llm(Album).astream_chat(ASKED))
        )
    ],
}


@pytest.mark.parametrize("stream", STREAMS.values(), ids=STREAMS)
def test_nested_objects_grow(model, stream):
    parts = stream(model)
    assert parts[-1] == Album(**ALBUM)
    counts = [len(part.songs or ()) for part in parts]
    assert counts == sorted(counts), "songs come, and none goes"
    assert set(counts) == {0, 1, 2}
    names = [part.name or "" for part in parts]
    assert all("Nocturnes".startswith(name) for name in names)
    assert len(set(names)) > 2
    # Core leaves what is inside of a partial object as it comes.
    first = [part.model_dump()["songs"][0] for part in parts if part.songs]
    assert {"title": "Dusk", "minutes": 3} in first[:-1]


def test_whole_objects_from_completions(chat, no_plaintext):
    fact = "My name is Heliodora and I am 57 years old."
    no_plaintext(fact, "Heliodora")
    person = create_model("Person", name=(str, ...), age=(int, 0))
    structured = chat.as_structured_llm(person)
    whole = structured.complete(fact).raw
    assert (whole.name, whole.age) == ("Heliodora", 57)
    assert asyncio.run(structured.acomplete(fact)).raw == whole
    *_, last = structured.stream_chat([ChatMessage(role="user", content=fact)])
    assert last.raw == whole
    assert json.loads(last.message.content) == {"name": "Heliodora", "age": 57}


def test_core_streams_no_completions_of_objects(chat):
    structured = chat.as_structured_llm(Album)
    with pytest.raises(NotImplementedError):
        list(structured.stream_complete("Who?"))

    async def run():
        with pytest.raises(NotImplementedError):
            await structured.astream_complete("Who?")

    asyncio.run(run())


FORMS = {"whole": lambda m: m.structured_predict(Album, PROMPT), **STREAMS}


@pytest.mark.parametrize("run", FORMS.values(), ids=FORMS)
def test_what_a_filter_withheld_is_no_object(model, engine, run):
    engine.message = {"role": "assistant", "content": json.dumps(ALBUM)}
    engine.choice = {"finish_reason": "content_filter"}
    engine.chunks[-1]["finish_reason"] = "content_filter"
    with pytest.raises(RefusedAnswerError) as caught:
        run(model)
    assert "Nocturnes" not in str(caught.value)


def test_a_long_name_is_cut(scripted_chat, engine):
    long = create_model("Long" * 30, name=(str, ...))
    engine.message = {"role": "assistant", "content": '{"name": "x"}'}
    update = {"should_use_structured_outputs": True}
    model = scripted_chat.model_copy(update=update)
    assert model.structured_predict(long, PROMPT).name == "x"
    sent = engine.asked[-1]["response_format"]["json_schema"]
    assert sent["name"] == ("Long" * 30)[:64]
    assert "strict" not in sent
