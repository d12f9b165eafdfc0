"""Content blocks of a prompt, as the parts that an OpenAI-shaped engine takes.

Strict: what cannot be carried over is refused by the name of its type, before anything
is sent. Files that a block names are read; URLs never are.
"""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Sequence
from io import IOBase
from pathlib import Path
from typing import Any

import filetype  # type: ignore[import-untyped]
from llama_index.core.base.llms.types import (
    AudioBlock,
    CachePoint,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from atoma_confidential.errors import InvalidInputError
from atoma_confidential.messages import (
    audio_part,
    base64_of,
    file_part,
    image_part,
    not_to_a_model,
    text_part,
)

__all__ = ["content_of", "flat", "text_of"]


def content_of(
    blocks: Sequence[Any], *, remote_images: bool
) -> str | list[dict[str, Any]]:
    """Return the content of a message; a string where there is nothing but text.

    Args:
        blocks: The message's.
        remote_images: Whether images may be URLs, which the node would fetch.

    Raises:
        InvalidInputError: A block cannot be carried, or cannot be read.
    """
    said = list(flat(blocks))
    if all(isinstance(block, TextBlock) for block in said):
        return text_of(said)
    return [_part(block, remote_images) for block in said]


def text_of(blocks: Sequence[Any]) -> str:
    """Return the texts of blocks, joined as `ChatMessage.content` joins them."""
    return "\n".join(block.text for block in blocks if isinstance(block, TextBlock))


def flat(blocks: Sequence[Any]) -> Iterator[Any]:
    """Yield what blocks say; cache hints, thoughts and calls are said elsewhere."""
    for block in blocks:
        match block:
            case CachePoint() | ThinkingBlock() | ToolCallBlock():
                continue
            case CitableBlock():
                yield from flat(block.content)
            case CitationBlock():
                yield from flat([block.cited_content])
            case _:
                yield block


def _part(block: Any, remote_images: bool) -> dict[str, Any]:
    match block:
        case TextBlock():
            return text_part(block.text)
        case ImageBlock():
            return _image(block, remote_images=remote_images)
        case AudioBlock():
            return _audio(block)
        case DocumentBlock():
            return _document(block)
    kind = getattr(block, "block_type", type(block).__name__)
    raise not_to_a_model(kind)


def _image(block: ImageBlock, *, remote_images: bool) -> dict[str, Any]:
    if block.url is None or block.image:
        data = _base64("image", block.image, block.path)
        url = f"data:{block.image_mimetype or _guessed(data)};base64,{data}"
        return image_part(url, block.detail or None)
    part = image_part(str(block.url), block.detail or None)
    if not remote_images and not part["image_url"]["url"].startswith("data:"):
        raise InvalidInputError(
            "An image is a URL, which the node would fetch; remote_images is False."
        )
    return part


def _guessed(data: str) -> str:
    kind = filetype.guess_mime(binascii.a2b_base64(data))
    if kind is None:
        raise InvalidInputError("A block of type 'image' needs an image_mimetype.")
    return str(kind)


def _audio(block: AudioBlock) -> dict[str, Any]:
    data = _base64("audio", block.audio, block.path)
    if not block.format:
        raise InvalidInputError("A block of type 'audio' needs a format.")
    return audio_part(data, block.format)


def _document(block: DocumentBlock) -> dict[str, Any]:
    data = _base64("document", block.data, block.path)
    if not block.document_mimetype:
        raise InvalidInputError("A block of type 'document' needs a document_mimetype.")
    return file_part(block.title or "document", block.document_mimetype, data)


def _base64(kind: str, given: bytes | IOBase | None, path: Path | str | None) -> str:
    """Return a block's data; core has encoded bytes already, but not files."""
    if isinstance(given, bytes) and given:
        return base64_of(kind, given.decode("ascii", errors="replace"))
    file = given if isinstance(given, IOBase) else path
    if not file:
        raise InvalidInputError(
            f"A block of type {kind!r} holds neither bytes nor a file."
        )
    data = _contents(file)
    if not isinstance(data, bytes):  # nor text: a file may be open as that
        raise InvalidInputError(f"The file of a block of type {kind!r} is unreadable.")
    return _encoded(kind, data)


def _contents(file: IOBase | Path | str) -> Any:
    """Return what a file holds; None if it is closed, gone or not to be read."""
    try:
        if not isinstance(file, IOBase):
            return Path(file).read_bytes()
        file.seek(0)
        return file.read()
    except (OSError, ValueError):  # the first would name the path
        return None


def _encoded(kind: str, data: bytes) -> str:
    if not data:
        raise InvalidInputError(f"A block of type {kind!r} holds no bytes.")
    return binascii.b2a_base64(data, newline=False).decode()
