"""What messages are made of in the shape that engines take: parts, calls, reasoning.

Pure: nothing is fetched and no file is opened. What cannot be carried is refused by the
name of its kind, before anything is sent.
"""

from __future__ import annotations

import binascii
import json
import re
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias

from .errors import InvalidInputError

__all__ = [
    "ReasoningPassback",
    "arguments_as_json",
    "audio_part",
    "base64_of",
    "file_part",
    "first_shown",
    "image_part",
    "not_of_a_model",
    "not_to_a_model",
    "text_part",
    "wire_call",
]

ReasoningPassback: TypeAlias = Literal["never", "tool_loop", "always"]
"""Which of the model's own reasoning it is shown again.

Providers have changed this contract repeatedly: some refuse a turn with tool calls
that lacks its reasoning, others one that has it. `tool_loop` shows what was thought
since the last message of the user, which reasoning models that call tools want.
"""


def first_shown(reasoning: ReasoningPassback, of_user: Sequence[bool]) -> int:
    """Return the index of the first message whose reasoning is shown again.

    Args:
        reasoning: Which is shown.
        of_user: For each message, whether the user has written it.
    """
    if reasoning == "always":
        return 0
    if reasoning == "never":
        return len(of_user)
    return 1 + max((i for i, is_users in enumerate(of_user) if is_users), default=-1)


def text_part(text: str) -> dict[str, Any]:
    """Return a text as the wire's part."""
    # And nothing else, such as an `id`: strict servers refuse it.
    return {"type": "text", "text": text}


def image_part(url: str, detail: object = None) -> dict[str, Any]:
    """Return an image as the wire's part.

    Args:
        url: An http(s) URL, which the node fetches, or `data:image/…;base64,…`.
        detail: `low`, `high` or `auto`; anything but a string is left out.

    Raises:
        InvalidInputError: It is another URL, or its data is no base64.
    """
    scheme = url.partition(":")[0].lower()
    if scheme == "data":
        url = _checked_data_url(url)
    elif scheme not in ("https", "http"):
        raise InvalidInputError(
            "An image is neither data nor an http(s) URL; a file has to be read and "
            "passed as base64."
        )
    image = {"url": url} | ({"detail": detail} if isinstance(detail, str) else {})
    return {"type": "image_url", "image_url": image}


def audio_part(data: str, audio_format: str) -> dict[str, Any]:
    """Return a sound, of base64 data and of a format such as `mp3`, as the wire's."""
    audio = {"data": base64_of("audio", data), "format": audio_format}
    return {"type": "input_audio", "input_audio": audio}


def file_part(name: str, mime_type: str, data: str) -> dict[str, Any]:
    """Return a file of base64 data as the wire's part."""
    url = f"data:{mime_type};base64,{base64_of('file', data)}"
    return {"type": "file", "file": {"filename": name, "file_data": url}}


def base64_of(kind: str, data: str) -> str:
    """Return base64 data without the line breaks that MIME encoders insert.

    Raises:
        InvalidInputError: It is none, or empty; `kind` is named.
    """
    compact = "".join(data.split())
    try:
        if binascii.a2b_base64(compact, strict_mode=True):
            return compact
    except ValueError:
        pass
    raise InvalidInputError(
        f"A block of type {kind!r} does not hold valid base64 data."
    )


def not_to_a_model(kind: str) -> InvalidInputError:
    """Return the error for a content block that a prompt cannot hold.

    Args:
        kind: The name of its type.
    """
    return InvalidInputError(f"Content blocks {_of(kind)} cannot be sent to a model.")


def not_of_a_model(kind: str) -> InvalidInputError:
    """Return the error for one that a model's own message cannot hold."""
    return InvalidInputError(f"A model's own message cannot hold a block {_of(kind)}.")


def wire_call(call_id: str, name: str, arguments: str) -> dict[str, Any]:
    """Return a tool call in OpenAI's shape."""
    function = {"name": name, "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def arguments_as_json(arguments: Any) -> str:
    """Return the arguments of a tool call as the wire has them.

    Raises:
        InvalidInputError: They are not JSON.
    """
    try:
        return json.dumps(arguments, ensure_ascii=False)
    except (TypeError, ValueError, RecursionError):
        pass
    raise InvalidInputError("The arguments of a tool call are not JSON.")


def _of(kind: str) -> str:
    """Name a type; what does not look like the name of one may be content."""
    is_name = re.fullmatch(r"[\w.:-]{1,64}", kind, re.ASCII)
    return f"of type {kind!r}" if is_name else "of an unknown type"


def _checked_data_url(url: str) -> str:
    head, comma, data = url.partition(",")
    if not comma or not head.startswith("data:image/") or not head.endswith(";base64"):
        raise InvalidInputError(
            "An image's data URL is not of the form data:image/…;base64,…"
        )
    return f"{head},{base64_of('image', data)}"
