"""Content blocks of a prompt, as the parts that an OpenAI-shaped engine takes.

Strict: what cannot be carried over is refused by the name of its type, before anything
is sent. Nothing is fetched and no file is opened.
"""

from __future__ import annotations

import binascii
from typing import TYPE_CHECKING, Any

from langchain_core.messages import HumanMessage

from atoma_confidential.messages import (
    audio_part,
    base64_of,
    file_part,
    image_part,
    not_to_a_model,
    text_part,
)

from ._errors import as_model_error, invalid_input

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["to_part"]

_AUDIO_FORMATS = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav", "vnd.wave": "wav"}


def to_part(block: str | dict[Any, Any]) -> dict[str, Any]:
    """Return the wire's part for one block of a user, system or tool message.

    Raises:
        InvalidInputError: The block cannot be carried, or cannot be read.
    """
    if isinstance(block, str):
        return text_part(block)
    if not isinstance(block, dict):  # in a tool's result, which nobody has validated
        raise _unsupported(block)
    match block:
        case {"type": "text", "text": str(text)}:
            return text_part(text)
        case {"type": "image_url", "image_url": str(url)}:
            return image_part(url)
        case {"type": "image_url", "image_url": {"url": str(url)} as image}:
            return image_part(url, image.get("detail"))
    return _standard_part(_as_standard_block(block))


def _as_standard_block(block: dict[Any, Any]) -> dict[str, Any]:
    """Let core translate what other providers and older versions call things."""
    try:
        (standard,) = HumanMessage([block]).content_blocks
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _unsupported(block) from None
    if standard["type"] == "non_standard":
        raise _unsupported(standard["value"])
    return dict(standard)


def _standard_part(block: dict[str, Any]) -> dict[str, Any]:
    match block:
        case {"type": "text", "text": str(text)}:
            return text_part(text)
        case {"type": "text-plain"}:
            return text_part(_plain_text(block))
        case {"type": "image", "url": str(url)}:
            return image_part(url, _extra(block, "detail"))
        case {"type": "image", "base64": str(data)}:
            url = f"data:{_mime_type(block)};base64,{data}"
            return image_part(url, _extra(block, "detail"))
        case {"type": "audio", "base64": str(data)}:
            return _audio(block, data)
        case {"type": "file", "base64": str(data)}:
            return _file(block, data)
        case {"type": "image" | "audio" | "file" as kind}:
            or_url = " or a URL" if kind == "image" else ""
            raise invalid_input(
                f"A block of type {kind!r} must hold base64 data{or_url}; the network "
                "stores no files."
            )
    raise _unsupported(block)


def _audio(block: Mapping[str, Any], data: str) -> dict[str, Any]:
    kind = _mime_type(block).partition("/")[2].partition(";")[0]
    return audio_part(data, _AUDIO_FORMATS.get(kind, kind))


def _file(block: Mapping[str, Any], data: str) -> dict[str, Any]:
    # Engines want a name; its own may say too much, so none is invented from content.
    name = _extra(block, "filename") or _extra(block, "name") or "document"
    return file_part(name, _mime_type(block), data)


def _plain_text(block: Mapping[str, Any]) -> str:
    match block:
        case {"text": str(text)}:
            return text
        case {"base64": str(data)}:
            try:
                return binascii.a2b_base64(base64_of("text-plain", data)).decode()
            except UnicodeDecodeError:
                pass
    raise invalid_input("A block of type 'text-plain' holds no readable text.")


def _mime_type(block: Mapping[str, Any]) -> str:
    mime_type = block.get("mime_type")
    if not isinstance(mime_type, str) or "/" not in mime_type:
        raise invalid_input(f"A block of type {block['type']!r} needs a mime_type.")
    return mime_type


def _extra(block: Mapping[str, Any], name: str) -> str | None:
    """Return a text that some versions of core keep beside a block's own fields."""
    extras = block.get("extras")
    found = [block.get(name), extras.get(name) if isinstance(extras, dict) else None]
    return next((text for text in found if text and isinstance(text, str)), None)


def _unsupported(block: Any) -> Exception:
    kind = block.get("type") if isinstance(block, dict) else None
    if not isinstance(kind, str):
        return invalid_input("A content block has no type.")
    return as_model_error(not_to_a_model(kind))
