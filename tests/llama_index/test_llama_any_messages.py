"""Any list of messages: what the node opens, or an error of ours; never another's."""

import io
import json
from datetime import UTC, datetime

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from llama_index.core.base.llms.types import (
    AudioBlock,
    CacheControl,
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from odd_values import base64_texts, texts, urls, values
from verdicts import VERDICT
from wire_shape import check_messages

from atoma_confidential._json import parse_object
from atoma_confidential._reply import check_answer
from atoma_confidential._wire import Endpoint
from atoma_confidential.answers import as_delta
from atoma_confidential.errors import ConfidentialError
from atoma_confidential.parameters import wire_name
from llama_index_atoma import errors
from llama_index_atoma._answer import AnswerReader
from llama_index_atoma._convert import to_wire

OBJECTS = st.sampled_from([b"\xff", {1, 2}, datetime(2026, 1, 1, tzinfo=UTC), object])
anything = values(OBJECTS)


def closed():
    file = io.BytesIO(b"x")
    file.close()
    return file


data = (
    st.none()
    | st.binary(max_size=40)
    | base64_texts().map(lambda text: text.encode(errors="replace"))
    | st.just(b"\x89PNG\r\n\x1a\n" + bytes(16))
    | st.binary(max_size=9).map(io.BytesIO)
    | st.text(max_size=9).map(io.StringIO)
    | st.builds(closed)
)
# Of files, none but those that are not there: a name may be of anything.
paths = st.none() | st.sampled_from(["", "/nonexistent/a.png", "a\x00b", "\ud800"])
names = st.none() | texts()
mimetypes = names | st.sampled_from(["image/png", "audio/wav", "application/pdf"])


@st.composite
def built(draw, kind, **fields):
    """Draw a block of a class; in the place of what it refuses itself, a text."""
    try:
        return kind(**draw(st.fixed_dictionaries({}, optional=fields)))
    except (TypeError, ValueError, KeyError, AttributeError, OSError):
        return TextBlock(text="")


media = {"path": paths, "url": st.none() | urls()}
images = built(ImageBlock, image=data, image_mimetype=mimetypes, detail=names, **media)
documents = built(
    DocumentBlock, data=data, title=names, document_mimetype=mimetypes, **media
)
said = st.builds(TextBlock, text=texts())
citable = st.lists(said | images | documents, max_size=2)
blocks = st.one_of(
    said,
    said,
    images,
    documents,
    built(AudioBlock, audio=data, format=names, **media),
    built(VideoBlock, video=data, **media),
    built(
        ThinkingBlock,
        content=names,
        additional_information=st.dictionaries(texts(), anything, max_size=1),
    ),
    st.builds(CachePoint, cache_control=st.builds(CacheControl, type=texts())),
    built(CitableBlock, title=texts(), source=texts(), content=citable),
    built(
        CitationBlock,
        cited_content=said | images,
        source=texts(),
        title=texts(),
        additional_location_info=st.just({}),
    ),
    built(
        ToolCallBlock,
        tool_call_id=names,
        tool_name=texts(),
        tool_kwargs=texts() | st.dictionaries(texts(), anything, max_size=3),
    ),
)
legacy_calls = st.lists(
    anything
    | st.fixed_dictionaries(
        {
            "id": names | anything,
            "function": st.fixed_dictionaries(
                {"name": texts()}, optional={"arguments": texts() | anything}
            ),
        }
    ),
    max_size=2,
)
extras = st.fixed_dictionaries(
    {},
    optional={
        "tool_call_id": texts() | anything,
        "tool_calls": legacy_calls | anything,
        "name": texts() | anything,
        "refusal": anything,
        "function_call": anything,
    },
)
messages = st.builds(
    lambda role, blocks, extra: ChatMessage(
        role=role, blocks=blocks, additional_kwargs=extra
    ),
    st.sampled_from(MessageRole),
    st.lists(blocks, max_size=4),
    extras,
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
    st.booleans(),
)
def test_any_messages_are_mapped_or_refused(given_messages, reasoning, remote):
    mapped(given_messages, reasoning=reasoning, remote_images=remote)


def test_what_the_node_opens_is_what_was_mapped(scripted_chat, engine, canary):
    call = ToolCallBlock(tool_name="f", tool_kwargs={"a": "\x00", "b": 1e999})
    given_messages = [
        ChatMessage(role="user", content=f"{canary} ﷽\x00"),
        ChatMessage(role="assistant", blocks=[TextBlock(text="é"), call]),
        ChatMessage(role="tool", content="\u2028"),
    ]
    scripted_chat.chat(given_messages)
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
    }
    return draw(st.fixed_dictionaries({"role": st.just("assistant")}, optional=fields))


def parsed(message):
    """Return an answer with this message as LlamaIndex has it, as it came in JSON."""
    try:
        data = json.dumps({"model": "m", "choices": [{"message": message}]}).encode()
        body = check_answer(data, Endpoint.CHAT, errors.Exposure.SEALED)
        return AnswerReader().whole(body, VERDICT).message
    except ConfidentialError:
        return None


def streamed(message):
    """Return the same answer, from a stream that says it in one chunk."""
    reader = AnswerReader()
    data = json.dumps(message).encode()
    delta = as_delta(parse_object(data, "", errors.Exposure.SEALED))
    choice = {"index": 0, "delta": delta, "finish_reason": "stop"}
    reader.read({"id": "1", "choices": [choice]})
    return reader.finish(VERDICT).message


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(answers())
def test_an_answer_sent_back_as_history_is_the_same_answer(message):
    first = parsed(message)
    if first is None:
        return
    sent = mapped([first], reasoning="always")
    assert sent is not None
    second = parsed(sent[0])
    assert mapped([second], reasoning="always") == sent
    # Tools' own names are looked up by those that the engine was told.
    named = [
        block.model_copy(update={"tool_name": wire_name(block.tool_name)})
        if isinstance(block, ToolCallBlock)
        else block
        for block in first.blocks
    ]
    # By their text, for NaN is no equal of itself.
    assert repr(second.blocks) == repr(named)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(answers())
def test_a_stream_adds_up_to_the_whole_answer(message):
    whole = parsed(message)
    if whole is None:
        return
    added = streamed(message)
    assert mapped([added], reasoning="always") is not None
    assert [type(block) for block in added.blocks] == [type(b) for b in whole.blocks]
    assert added.content == whole.content
