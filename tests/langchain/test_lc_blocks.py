"""Images, sound, documents and other blocks, as the node receives them."""

import base64

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from langchain_atoma import errors

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(64)).decode()
PDF = base64.b64encode(b"%PDF-1.7 " + bytes(64)).decode()
WAV = base64.b64encode(b"RIFF" + bytes(64)).decode()
IMAGE = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}
LINK = "https://example.com/cat.png"
FILE = {"filename": "a.pdf", "file_data": f"data:application/pdf;base64,{PDF}"}


@pytest.fixture
def sent(scripted_chat, engine, canary):
    """Give the parts that the node received for a block, and send the canary along."""

    def send(block, message=HumanMessage, **fields):
        text = {"type": "text", "text": canary}
        scripted_chat.invoke([HumanMessage("x"), message([text, block], **fields)])
        return engine.asked[-1]["messages"][1]["content"][1]

    return send


@pytest.mark.parametrize(
    ("block", "part"),
    [
        pytest.param(IMAGE, IMAGE, id="openai-image"),
        pytest.param(
            {"type": "image_url", "image_url": {"url": LINK, "detail": "low"}},
            {"type": "image_url", "image_url": {"url": LINK, "detail": "low"}},
            id="openai-image-link",
        ),
        pytest.param(
            {"type": "image_url", "image_url": LINK},
            {"type": "image_url", "image_url": {"url": LINK}},
            id="bare-link",
        ),
        pytest.param(
            {"type": "image", "base64": PNG, "mime_type": "image/png"},
            IMAGE,
            id="v1-image",
        ),
        pytest.param(
            {"type": "image", "url": LINK, "extras": {"detail": "high"}},
            {"type": "image_url", "image_url": {"url": LINK, "detail": "high"}},
            id="v1-image-link",
        ),
        pytest.param(
            {
                "type": "image",
                "source_type": "base64",
                "data": PNG,
                "mime_type": "image/png",
            },
            IMAGE,
            id="v0-image",
        ),
        pytest.param(
            {"type": "image", "source_type": "url", "url": LINK},
            {"type": "image_url", "image_url": {"url": LINK}},
            id="v0-image-link",
        ),
        pytest.param(
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": PNG},
            },
            IMAGE,
            id="anthropic-image",
        ),
        pytest.param(
            {
                "type": "image",
                "base64": f"{PNG[:8]}\r\n{PNG[8:]}",
                "mime_type": "image/png",
            },
            IMAGE,
            id="base64-in-lines",
        ),
        pytest.param(
            {"type": "audio", "base64": WAV, "mime_type": "audio/wav"},
            {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}},
            id="v1-wav",
        ),
        pytest.param(
            {"type": "audio", "base64": WAV, "mime_type": "audio/mpeg"},
            {"type": "input_audio", "input_audio": {"data": WAV, "format": "mp3"}},
            id="v1-mp3",
        ),
        pytest.param(
            {
                "type": "audio",
                "source_type": "base64",
                "data": WAV,
                "mime_type": "audio/x-wav",
            },
            {"type": "input_audio", "input_audio": {"data": WAV, "format": "wav"}},
            id="v0-wav",
        ),
        pytest.param(
            {"type": "input_audio", "input_audio": {"data": WAV, "format": "mp3"}},
            {"type": "input_audio", "input_audio": {"data": WAV, "format": "mp3"}},
            id="openai-audio",
        ),
        pytest.param(
            {"type": "file", "file": FILE},
            {"type": "file", "file": FILE},
            id="openai-file",
        ),
        pytest.param(
            {
                "type": "file",
                "base64": PDF,
                "mime_type": "application/pdf",
                "extras": {"filename": "a.pdf"},
            },
            {"type": "file", "file": FILE},
            id="v1-file",
        ),
        pytest.param(
            {
                "type": "file",
                "source_type": "base64",
                "data": PDF,
                "mime_type": "application/pdf",
                "filename": "a.pdf",
            },
            {"type": "file", "file": FILE},
            id="v0-file",
        ),
        pytest.param(
            {"type": "file", "base64": PDF, "mime_type": "application/pdf"},
            {"type": "file", "file": {**FILE, "filename": "document"}},
            id="file-without-a-name",
        ),
        pytest.param(
            {"text": "Grüezi"}, {"type": "text", "text": "Grüezi"}, id="bedrock-text"
        ),
        pytest.param(
            {"type": "text-plain", "text": "Grüezi", "mime_type": "text/plain"},
            {"type": "text", "text": "Grüezi"},
            id="text-plain",
        ),
        pytest.param(
            {
                "type": "text-plain",
                "base64": base64.b64encode("Grüezi".encode()).decode(),
                "mime_type": "text/plain",
            },
            {"type": "text", "text": "Grüezi"},
            id="text-plain-base64",
        ),
    ],
)
def test_a_block_becomes_a_part(sent, block, part):
    assert sent(block) == part


def test_a_tool_may_answer_with_an_image(sent):
    block = {"type": "image", "base64": PNG, "mime_type": "image/png"}
    assert sent(block, ToolMessage, tool_call_id="call_1") == IMAGE


@pytest.mark.parametrize(
    ("block", "reason"),
    [
        ({"type": "video", "base64": PNG, "mime_type": "video/mp4"}, "'video'"),
        ({"type": "document", "title": "x"}, "'document'"),
        ({"type": "image", "source": {"type": "base64"}}, "'image'"),
        ({"type": "server_tool_call", "name": "x", "args": {}}, "'server_tool_call'"),
        ({"text": "x", "kind": "odd"}, "has no type"),
        (
            {
                "type": "tool_result",
                "tool_use_id": "1",
                "content": [{"type": "image", "source_type": "base64"}],
            },
            "'image'",
        ),
        ({"type": "image", "file_id": "file-1"}, "base64 data or a URL"),
        ({"type": "file", "file_id": "file-1"}, "stores no files"),
        ({"type": "file", "url": LINK}, "stores no files"),
        ({"type": "audio", "url": LINK}, "stores no files"),
        ({"type": "audio", "base64": WAV}, "needs a mime_type"),
        ({"type": "image", "base64": "%%%", "mime_type": "image/png"}, "valid base64"),
        ({"type": "image", "base64": "QQ", "mime_type": "image/png"}, "valid base64"),
        ({"type": "image", "base64": "", "mime_type": "image/png"}, "valid base64"),
        ({"type": "audio", "base64": "%%%", "mime_type": "audio/wav"}, "valid base64"),
        ({"type": "image", "url": "/home/ada/cat.png"}, "read and passed as base64"),
        ({"type": "image", "url": "file:///home/ada/cat.png"}, "passed as base64"),
        ({"type": "image", "url": "C:\\cat.png"}, "passed as base64"),
        (
            {"type": "image_url", "image_url": {"url": "data:image/png;base64,%%%"}},
            "valid base64",
        ),
        (
            {"type": "image_url", "image_url": {"url": f"data:text/html;base64,{PNG}"}},
            "of the form",
        ),
        ({"type": "image_url", "image_url": {"detail": "low"}}, "'image_url'"),
        (
            {"type": "text-plain", "base64": "/w==", "mime_type": "text/plain"},
            "no readable text",
        ),
        (
            {"type": "text-plain", "url": LINK, "mime_type": "text/plain"},
            "readable text",
        ),
        ({"type": "non_standard", "value": "text"}, "'non_standard'"),
        ({"type": "input_audio", "input_audio": "text"}, "'input_audio'"),
        ({"type": "what was asked"}, "of an unknown type"),
        ({"type": "tool_result", "tool_use_id": "1", "content": 7}, "tool's result"),
        ({"type": "tool_result", "tool_use_id": "1", "content": [None]}, "has no type"),
    ],
)
def test_what_cannot_be_carried_is_refused(
    scripted_chat, engine, canary, block, reason
):
    with pytest.raises(errors.InvalidInputError, match=reason) as caught:
        scripted_chat.invoke([HumanMessage([canary, block])])
    assert canary not in str(caught.value)
    assert caught.value.exposure is errors.Exposure.NOTHING
    assert engine.asked == []


@pytest.mark.parametrize("extras", [None, "text", ["detail"], {"detail": 7}])
def test_extras_that_are_none_are_not_sent(sent, extras):
    block = {"type": "image", "url": LINK, "detail": None, "extras": extras}
    assert sent(block) == {"type": "image_url", "image_url": {"url": LINK}}


def test_the_name_of_a_file_is_a_text(sent):
    block = {"type": "file", "base64": PDF, "mime_type": "application/pdf", "name": 7}
    assert sent(block)["file"] == FILE | {"filename": "document"}


def test_a_model_says_no_images(scripted_chat, engine):
    with pytest.raises(errors.InvalidInputError, match="'image_url'"):
        scripted_chat.invoke([AIMessage([IMAGE])])
    with pytest.raises(errors.InvalidInputError, match="no type"):
        scripted_chat.invoke([AIMessage([{"text": "x"}])])
    assert engine.asked == []
