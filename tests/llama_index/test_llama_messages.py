"""How LlamaIndex's messages look on the wire, as an engine opens them."""

import base64
import io
import json

import pytest
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
from pydantic import BaseModel

from llama_index_atoma import errors

PNG = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5"
    "ErkJggg=="
)
PNG_URL = f"data:image/png;base64,{base64.b64encode(PNG).decode()}"
PDF = b"%PDF-1.4\n%\xe2\xe3\xcf\xd3\n"


@pytest.fixture
def wire(scripted_chat, engine):
    """Send messages; give those that the engine was sent."""

    def send(*messages, **fields):
        model = scripted_chat.model_copy(update=fields)
        model.chat(messages)
        return engine.asked[-1]["messages"]

    return send


def user(*blocks):
    return ChatMessage(role="user", blocks=list(blocks))


def assistant(*blocks, **extra):
    return ChatMessage(role="assistant", blocks=list(blocks), additional_kwargs=extra)


def call(name="lookup", call_id="call_1", arguments=None):
    arguments = {"x": 1} if arguments is None else arguments
    return ToolCallBlock(tool_call_id=call_id, tool_name=name, tool_kwargs=arguments)


def result(text="42", **extra):
    return ChatMessage(role="tool", content=text, additional_kwargs=extra)


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("system", "system"),
        ("developer", "system"),
        ("user", "user"),
        ("assistant", "assistant"),
        ("chatbot", "assistant"),
        ("model", "assistant"),
        (MessageRole.USER, "user"),
    ],
)
def test_roles_and_text_stay_strings(wire, canary, role, expected):
    assert wire(ChatMessage(role=role, content=canary)) == [
        {"role": expected, "content": canary}
    ]


def test_several_texts_are_joined_as_content_joins_them(wire):
    message = user(TextBlock(text="one"), TextBlock(text="two"))
    assert wire(message)[0]["content"] == message.content == "one\ntwo"


def test_a_message_without_blocks_is_empty_text(wire):
    assert wire(user(), assistant()) == [
        {"role": "user", "content": ""},
        {"role": "assistant", "content": ""},
    ]


def test_of_additional_kwargs_only_a_name_is_sent(wire):
    message = ChatMessage(
        role="user",
        content="Hi",
        additional_kwargs={"name": "ann", "thinking_delta": "x", "atoma": {}},
    )
    assert wire(message)[0] == {"role": "user", "content": "Hi", "name": "ann"}


@pytest.mark.parametrize(
    "block",
    [
        ImageBlock(image=PNG),
        ImageBlock(image=base64.b64encode(PNG)),
        ImageBlock(image=PNG, image_mimetype="image/png"),
        ImageBlock(url=PNG_URL),
    ],
)
def test_images_become_data_urls(wire, canary, block):
    assert wire(user(TextBlock(text=canary), block))[0]["content"] == [
        {"type": "text", "text": canary},
        {"type": "image_url", "image_url": {"url": PNG_URL}},
    ]


def test_an_image_file_is_read_and_detail_kept(wire, tmp_path):
    path = tmp_path / "dot.png"
    path.write_bytes(PNG)
    part = wire(user(ImageBlock(path=path, detail="low")))[0]["content"][0]
    assert part == {
        "type": "image_url",
        "image_url": {"url": PNG_URL, "detail": "low"},
    }


def test_an_open_image_file_is_read(wire, tmp_path):
    path = tmp_path / "dot.png"
    path.write_bytes(PNG)
    with path.open("rb") as file:
        part = wire(user(ImageBlock(image=file)))[0]["content"][0]
    assert part["image_url"]["url"] == PNG_URL


def test_a_remote_image_is_named_and_never_fetched(wire, egress):
    url = "https://images.example/cat.png"
    part = wire(user(ImageBlock(url=url)))[0]["content"][0]
    assert part["image_url"]["url"] == url
    assert egress == []


def test_remote_images_can_be_refused(wire, engine):
    with pytest.raises(errors.InvalidInputError, match="remote_images is False"):
        wire(user(ImageBlock(url="https://images.example/c")), remote_images=False)
    assert engine.asked == []


def test_audio(wire):
    data = b"RIFF\x24\x00\x00\x00WAVEfmt \xff\xfe"
    part = wire(user(AudioBlock(audio=data, format="wav")))[0]["content"][0]
    assert part["type"] == "input_audio"
    assert base64.b64decode(part["input_audio"]["data"]) == data
    assert part["input_audio"]["format"] == "wav"


def test_documents(wire):
    block = DocumentBlock(data=PDF, title="a.pdf", document_mimetype="application/pdf")
    encoded = base64.b64encode(PDF).decode()
    assert wire(user(block))[0]["content"] == [
        {
            "type": "file",
            "file": {
                "filename": "a.pdf",
                "file_data": f"data:application/pdf;base64,{encoded}",
            },
        }
    ]


def test_cache_points_are_dropped_and_citations_become_text(wire):
    message = user(
        TextBlock(text="See"),
        CachePoint(cache_control=CacheControl(type="ephemeral")),
        CitableBlock(title="t", source="s", content="cited"),
        CitationBlock(
            cited_content="said", source="s", title="t", additional_location_info={}
        ),
    )
    assert wire(message)[0]["content"] == "See\ncited\nsaid"


SECRET = "do-not-show-this"


@pytest.mark.parametrize(
    ("block", "named"),
    [
        (VideoBlock(video=SECRET.encode(), video_mimetype="video/mp4"), "'video'"),
        (ImageBlock(image=SECRET.encode()), "image_mimetype"),
        (ImageBlock(), "'image'"),
        (ImageBlock(url=f"ftp://{SECRET}/x.png"), "http"),
        (AudioBlock(audio=SECRET.encode()), "'audio' needs a format"),
        (AudioBlock(url=f"https://{SECRET}/x.mp3"), "'audio' holds neither"),
        (DocumentBlock(data=SECRET.encode()), "document_mimetype"),
        (ImageBlock(url=f"data:image/png;base64,{SECRET}@"), "valid base64"),
        (AudioBlock(audio=io.BytesIO(b""), format="wav"), "no bytes"),
        (AudioBlock(audio=io.StringIO(SECRET), format="wav"), "unreadable"),
    ],
)
def test_what_cannot_be_sent_is_refused_by_name(wire, engine, block, named):
    with pytest.raises(errors.InvalidInputError, match=named) as caught:
        wire(user(TextBlock(text=SECRET), block))
    assert SECRET not in str(caught.value)
    assert caught.value.exposure is errors.Exposure.NOTHING
    assert engine.asked == []


def test_a_model_says_no_images(wire):
    with pytest.raises(errors.InvalidInputError, match="'image'"):
        wire(assistant(ImageBlock(image=PNG)))


@pytest.mark.parametrize(
    ("mode", "shown"),
    [("never", []), ("tool_loop", [3]), ("always", [1, 3])],
)
def test_thoughts_are_shown_again_only_where_asked_for(wire, mode, shown):
    messages = wire(
        ChatMessage(role="user", content="Q1"),
        assistant(ThinkingBlock(content="hm"), TextBlock(text="A1")),
        ChatMessage(role="user", content="Q2"),
        assistant(ThinkingBlock(content="hmm"), call()),
        result(tool_call_id="call_1"),
        reasoning_passback=mode,
    )
    assert [i for i, m in enumerate(messages) if "reasoning_content" in m] == shown
    assert messages[1]["content"] == "A1"


def test_calls_carry_json_and_null_content(wire):
    messages = wire(
        ChatMessage(role="user", content="Q"),
        assistant(call(arguments={"city": "Zürich"})),
        result(tool_call_id="call_1"),
    )
    assert messages[1] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "call_1",
                "type": "function",
                "function": {"name": "lookup", "arguments": '{"city": "Zürich"}'},
            }
        ],
    }
    assert messages[2] == {"role": "tool", "tool_call_id": "call_1", "content": "42"}


def test_text_and_calls_of_one_turn_are_both_kept(wire):
    messages = wire(
        assistant(TextBlock(text="Let me see."), call()), result(tool_call_id="call_1")
    )
    assert messages[0]["content"] == "Let me see."
    assert len(messages[0]["tool_calls"]) == 1


@pytest.mark.parametrize(
    ("arguments", "sent"),
    [
        ({"a": 1}, {"a": 1}),
        ('{"a": 1}', {"a": 1}),
        ('{"a": ', {}),
        ("", {}),
        ("[1]", {}),
        ({}, {}),
    ],
)
def test_arguments_are_json_objects_whatever_a_stream_has_left(wire, arguments, sent):
    messages = wire(assistant(call(arguments=arguments)), result(tool_call_id="call_1"))
    (one,) = messages[0]["tool_calls"]
    assert json.loads(one["function"]["arguments"]) == sent


def test_ids_are_made_where_missing_and_used_for_the_results(wire):
    history = [
        assistant(call("a", None), call("b", None)),
        result("1"),
        result("2", tool_call_id=None),
    ]
    messages = wire(*history)
    ids = [one["id"] for one in messages[0]["tool_calls"]]
    assert len(set(ids)) == 2
    assert [m["tool_call_id"] for m in messages[1:]] == ids
    assert wire(*history) == messages, "the same history gives the same ids"


def test_an_id_is_made_of_any_name(wire):
    (message,) = wire(assistant(call("half \ud800", None)))
    (one,) = message["tool_calls"]
    assert one["function"]["name"] == "half__"
    assert one["id"].startswith("call_")


def test_a_result_without_a_call_is_refused(wire):
    with pytest.raises(errors.InvalidInputError, match="no tool_call_id"):
        wire(ChatMessage(role="user", content="Q"), result("1"))


def test_a_tool_call_id_on_an_assistants_message_is_not_sent(wire):
    # FunctionAgent puts it there for tools that return directly.
    messages = wire(
        assistant(call()),
        result(tool_call_id="call_1"),
        assistant(TextBlock(text="42"), tool_call_id="call_1"),
    )
    assert messages[2] == {"role": "assistant", "content": "42"}


def test_blocks_win_over_the_older_place(wire):
    older = {"id": "x", "function": {"name": "other", "arguments": "{}"}}
    messages = wire(
        assistant(call(), tool_calls=[older]), result(tool_call_id="call_1")
    )
    assert [c["function"]["name"] for c in messages[0]["tool_calls"]] == ["lookup"]


class SdkFunction(BaseModel):
    name: str
    arguments: str


class SdkCall(BaseModel):
    id: str
    function: SdkFunction
    type: str = "function"


@pytest.mark.parametrize(
    "older",
    [
        {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}},
        {"id": "c", "index": 0, "function": {"name": "f", "arguments": None}},
        SdkCall(id="c", function=SdkFunction(name="f", arguments="{}")),
    ],
)
def test_calls_kept_by_other_providers_are_understood(wire, older):
    messages = wire(
        assistant(tool_calls=[older], thinking_delta="x"), result(tool_call_id="c")
    )
    assert messages[0] == {
        "role": "assistant",
        "content": None,
        "tool_calls": [
            {
                "id": "c",
                "type": "function",
                "function": {"name": "f", "arguments": "{}"},
            }
        ],
    }


@pytest.mark.parametrize(
    "older", [{"id": "c"}, {"function": {"arguments": SECRET}}, SECRET, None]
)
def test_what_is_no_call_is_refused(wire, older):
    with pytest.raises(errors.InvalidInputError, match="no call") as caught:
        wire(assistant(tool_calls=[older]))
    assert SECRET not in str(caught.value)


def test_arguments_that_are_no_json_are_refused(wire):
    with pytest.raises(errors.InvalidInputError, match="not JSON") as caught:
        wire(assistant(call(arguments={"x": {SECRET}})))
    assert SECRET not in str(caught.value)


def test_a_result_with_an_image_keeps_it(wire):
    tool = ChatMessage(
        role="tool",
        blocks=[TextBlock(text="a chart"), ImageBlock(image=PNG)],
        additional_kwargs={"tool_call_id": "call_1"},
    )
    messages = wire(assistant(call()), tool)
    assert [part["type"] for part in messages[1]["content"]] == ["text", "image_url"]


def test_no_null_is_sent_for_what_is_not_set(scripted_chat, engine):
    scripted_chat.chat([ChatMessage(content="Q")])
    body = engine.asked[-1]
    assert None not in body.values()
    assert not body.keys() & {"tools", "tool_choice", "parallel_tool_calls", "stop"}
    assert "stream_options" not in body


def test_the_callers_messages_are_not_changed(wire):
    history = [
        ChatMessage(role="user", content="Q"),
        assistant(call(call_id=None)),
        result("1"),
    ]
    before = [message.model_dump() for message in history]
    wire(*history)
    assert [message.model_dump() for message in history] == before
