"""Arguments of the wrong class are refused before any event, and not quoted."""

import asyncio
import io

import pytest
from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    DocumentBlock,
    ImageBlock,
)
from llama_index.core.prompts import PromptTemplate
from pydantic import BaseModel

from llama_index_atoma import errors


class Person(BaseModel):
    name: str


PROMPT = PromptTemplate("Who?")


async def gathered(items):
    return [item async for item in await items]


CHATS = {
    "chat": lambda m, given: m.chat(given),
    "named": lambda m, given: m.chat(messages=given),
    "achat": lambda m, given: asyncio.run(m.achat(given)),
    "stream_chat": lambda m, given: m.stream_chat(given),
    "astream_chat": lambda m, given: asyncio.run(gathered(m.astream_chat(given))),
    "structured llm": lambda m, given: m.as_structured_llm(Person).chat(given),
    "structured stream": lambda m, given: m.as_structured_llm(Person).stream_chat(
        given
    ),
}
PROMPTS = {
    "predict": lambda m, given: m.predict(given),
    "apredict": lambda m, given: asyncio.run(m.apredict(given)),
    "stream": lambda m, given: m.stream(given),
    "astream": lambda m, given: asyncio.run(gathered(m.astream(given))),
    "structured": lambda m, given: m.structured_predict(Person, given),
    "named": lambda m, given: m.structured_predict(Person, prompt=given),
    "astructured": lambda m, given: asyncio.run(m.astructured_predict(Person, given)),
    "stream_structured": lambda m, given: m.stream_structured_predict(Person, given),
    "astream_structured": lambda m, given: asyncio.run(
        gathered(m.astream_structured_predict(Person, given))
    ),
    "structured llm": lambda m, given: m.as_structured_llm(Person).structured_predict(
        Person, given
    ),
}
TEXTS = {
    "complete": lambda m, given: m.complete(given),
    "acomplete": lambda m, given: asyncio.run(m.acomplete(given)),
    "stream_complete": lambda m, given: m.stream_complete(given),
    "astream_complete": lambda m, given: asyncio.run(
        gathered(m.astream_complete(given))
    ),
    "structured llm": lambda m, given: m.as_structured_llm(Person).complete(given),
}


@pytest.fixture
def refused(scripted_chat, engine, events, canary):
    """Call a model with something; it has to be refused without a word of it."""
    scripted_chat.tracing_policy = "allow"

    def check(call, given, told):
        with pytest.raises(errors.InvalidInputError) as caught:
            call(scripted_chat, given)
        error = caught.value
        assert str(error).startswith(told), str(error)
        for one in (error, error.__cause__, error.__context__):
            assert canary not in f"{one}{one!r}"
        assert events.events == []
        assert engine.asked == []

    return check


@pytest.mark.parametrize("call", CHATS.values(), ids=CHATS)
def test_messages(call, refused, canary):
    good = ChatMessage(content=canary)
    refused(call, canary, "messages is of class str, not a sequence of ChatMessage.")
    refused(call, good, "messages is of class ChatMessage, not a sequence")
    refused(call, None, "messages is of class NoneType, not a sequence")
    wire = {"role": "user", "content": canary}
    refused(call, [good, wire], "messages[1] is of class dict, not a ChatMessage.")
    refused(call, [canary], "messages[0] is of class str, not a ChatMessage.")


@pytest.mark.parametrize("call", PROMPTS.values(), ids=PROMPTS)
def test_prompt_templates(call, refused, canary):
    refused(call, canary, "prompt is of class str, not a prompt template.")


@pytest.mark.parametrize("call", TEXTS.values(), ids=TEXTS)
def test_prompts(call, refused, canary):
    refused(call, [canary], "prompt is of class list, not a string.")


@pytest.mark.parametrize("given", [{"type": "object"}, dict, Person(name="x"), None])
def test_output_classes(refused, given):
    told = f"output_cls is of class {type(given).__name__}, not a pydantic class."
    refused(lambda m, cls: m.structured_predict(cls, PROMPT), given, told)


def test_what_is_missing_is_left_to_the_method(scripted_chat):
    with pytest.raises(TypeError, match="messages"):
        scripted_chat.chat()
    with pytest.raises(ValueError, match="No prompt"):
        scripted_chat.complete()


def test_files_that_cannot_be_read(scripted_chat, engine, canary, tmp_path):
    closed = io.BytesIO(b"x")
    image = ImageBlock(image=closed, image_mimetype="image/png")
    closed.close()
    kept = tmp_path / f"{canary}.wav"
    kept.touch()
    audio = AudioBlock(path=kept, format="wav")
    document = DocumentBlock(path=kept, document_mimetype="text/plain")
    kept.unlink()
    for block in (image, audio, document):
        told = f"file of a block of type '{block.block_type}' is unreadable"
        with pytest.raises(errors.InvalidInputError, match=told) as caught:
            scripted_chat.chat([ChatMessage(blocks=[block])])
        assert canary not in f"{caught.value}{caught.value.__context__}"
    assert engine.asked == []
