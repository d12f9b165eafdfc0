"""What messages are made of: parts, calls, and the reasoning that is shown again."""

import base64

import pytest

from atoma_confidential import InvalidInputError
from atoma_confidential.messages import (
    arguments_as_json,
    audio_part,
    base64_of,
    file_part,
    first_shown,
    image_part,
    not_of_a_model,
    not_to_a_model,
    text_part,
    wire_call,
)

LINK = "https://images.example/cat.png"
DATA = base64.encodebytes(bytes(range(90))).decode()
COMPACT = DATA.replace("\n", "")


@pytest.mark.parametrize(
    ("reasoning", "first"), [("always", 0), ("never", 5), ("tool_loop", 3)]
)
def test_the_first_message_whose_reasoning_is_shown(reasoning, first):
    assert first_shown(reasoning, [True, False, True, False, False]) == first


def test_a_conversation_without_a_user_is_all_one_loop():
    assert first_shown("tool_loop", [False, False]) == 0
    assert first_shown("tool_loop", []) == 0


def test_texts():
    assert text_part("Hi") == {"type": "text", "text": "Hi"}


@pytest.mark.parametrize("url", [LINK, "http://images.example", "HTTPS://X.example"])
def test_images_that_the_node_fetches(url):
    assert image_part(url) == {"type": "image_url", "image_url": {"url": url}}


def test_images_as_data():
    part = image_part(f"data:image/png;base64,{DATA}", "low")
    url = f"data:image/png;base64,{COMPACT}"
    assert part == {"type": "image_url", "image_url": {"url": url, "detail": "low"}}
    assert "detail" not in image_part(LINK, 7)["image_url"]


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("file:///home/ada/cat.png", "passed as base64"),
        ("C:\\cat.png", "passed as base64"),
        ("", "passed as base64"),
        (f"data:text/html;base64,{COMPACT}", "of the form"),
        ("data:image/png,x", "of the form"),
        ("data:image/png;base64", "of the form"),
        ("data:image/png;base64,hunter2%", "'image' does not hold valid base64"),
    ],
)
def test_images_that_cannot_be_carried(url, why):
    with pytest.raises(InvalidInputError, match=why) as caught:
        image_part(url)
    assert "hunter2" not in str(caught.value)
    assert "ada" not in str(caught.value)
    assert caught.value.__context__ is None


def test_what_no_message_can_hold_is_named_by_its_kind():
    told = str(not_to_a_model("video"))
    assert told.startswith("Content blocks of type 'video' cannot be sent to a model.")
    told = str(not_of_a_model("image"))
    assert told.startswith("A model's own message cannot hold a block of type 'image'.")


@pytest.mark.parametrize("kind", ["", "what was asked", "é", "a\n", "x" * 65])
def test_what_is_no_name_of_a_kind_may_be_content(kind):
    told = str(not_to_a_model(kind))
    assert told.startswith("Content blocks of an unknown type cannot be sent")
    assert repr(kind) not in told or not kind


def test_sounds_and_files():
    assert audio_part(DATA, "mp3") == {
        "type": "input_audio",
        "input_audio": {"data": COMPACT, "format": "mp3"},
    }
    assert file_part("a.pdf", "application/pdf", DATA) == {
        "type": "file",
        "file": {
            "filename": "a.pdf",
            "file_data": f"data:application/pdf;base64,{COMPACT}",
        },
    }


@pytest.mark.parametrize("data", ["", " \n", "%%%", "QQ", "QQ==QQ==", "ü"])
def test_what_is_no_base64_is_refused_by_its_kind(data):
    with pytest.raises(InvalidInputError, match="'audio' does not hold valid base64"):
        base64_of("audio", data)


def test_calls():
    assert wire_call("c0", "f", arguments_as_json({"a": "ü"})) == {
        "id": "c0",
        "type": "function",
        "function": {"name": "f", "arguments": '{"a": "ü"}'},
    }


def cycle():
    found = {}
    found["again"] = found
    return found


@pytest.mark.parametrize("arguments", [{"x": {"hunter2"}}, cycle(), {("a",): 1}])
def test_arguments_that_are_not_json_are_refused(arguments):
    with pytest.raises(InvalidInputError, match="not JSON") as caught:
        arguments_as_json(arguments)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__context__ is None
