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
            return {"type": "text", "text": block.text}
        case ImageBlock():
            return _image(block, remote_images=remote_images)
        case AudioBlock():
            return _audio(block)
        case DocumentBlock():
            return _document(block)
    kind = getattr(block, "block_type", type(block).__name__)
    raise InvalidInputError(
        f"Content blocks of type {kind!r} cannot be sent to a model."
    )


def _image(block: ImageBlock, *, remote_images: bool) -> dict[str, Any]:
    if block.url is not None and not block.image:
        url = _image_url(str(block.url), remote_images=remote_images)
    else:
        data = _base64("image", block.image, block.path)
        url = f"data:{block.image_mimetype or _guessed(data)};base64,{data}"
    image = {"url": url} | ({"detail": block.detail} if block.detail else {})
    return {"type": "image_url", "image_url": image}


def _image_url(url: str, *, remote_images: bool) -> str:
    head, _, data = url.partition(",")
    if head.startswith("data:image/") and head.endswith(";base64"):
        return f"{head},{_checked('image', data)}"
    if url.partition(":")[0].lower() not in ("http", "https"):
        raise InvalidInputError(
            "An image is neither bytes, nor a file, nor an http(s) or image data URL."
        )
    if not remote_images:
        raise InvalidInputError(
            "An image is a URL, which the node would fetch; remote_images is False."
        )
    return url


def _guessed(data: str) -> str:
    kind = filetype.guess_mime(binascii.a2b_base64(data))
    if kind is None:
        raise InvalidInputError("A block of type 'image' needs an image_mimetype.")
    return str(kind)


def _audio(block: AudioBlock) -> dict[str, Any]:
    data = _base64("audio", block.audio, block.path)
    if not block.format:
        raise InvalidInputError("A block of type 'audio' needs a format.")
    return {
        "type": "input_audio",
        "input_audio": {"data": data, "format": block.format},
    }


def _document(block: DocumentBlock) -> dict[str, Any]:
    data = _base64("document", block.data, block.path)
    if not block.document_mimetype:
        raise InvalidInputError("A block of type 'document' needs a document_mimetype.")
    return {
        "type": "file",
        "file": {
            "filename": block.title,
            "file_data": f"data:{block.document_mimetype};base64,{data}",
        },
    }


def _base64(kind: str, given: bytes | IOBase | None, path: Path | str | None) -> str:
    """Return a block's data; core has encoded bytes already, but not files."""
    if isinstance(given, bytes) and given:
        return _checked(kind, given.decode("ascii", errors="replace"))
    if isinstance(given, IOBase):
        given.seek(0)
        return _encoded(kind, given.read())
    if path:
        return _encoded(kind, Path(path).read_bytes())
    raise InvalidInputError(f"A block of type {kind!r} holds neither bytes nor a file.")


def _encoded(kind: str, data: bytes) -> str:
    if not data:
        raise InvalidInputError(f"A block of type {kind!r} holds no bytes.")
    return binascii.b2a_base64(data, newline=False).decode()


def _checked(kind: str, data: str) -> str:
    try:
        if binascii.a2b_base64(data, strict_mode=True):
            return data
    except ValueError:
        pass
    raise InvalidInputError(
        f"A block of type {kind!r} does not hold valid base64 data."
    )
