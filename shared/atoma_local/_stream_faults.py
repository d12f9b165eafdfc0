"""The rows of the fault table that are about streams."""

from __future__ import annotations

import enum
import json
from typing import TYPE_CHECKING, Any

from ._tool_fragments import (
    interleave_calls,
    join_calls,
    put_calls_at_one_index,
    put_text_before_calls,
    repeat_names,
    unnumber_calls,
)
from .faults import Call, Fault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["CLEAR_EVENT", "ENGINE_ERROR", "STREAM_FAULTS", "Mark", "nested"]

Frames = list["bytes | Mark"]
Chunks = list[dict[str, Any]]

ENGINE_ERROR = {
    "error": {"message": "engine failed", "type": "InternalServerError", "code": 500}
}
CLEAR_CHUNK = {
    "id": "chatcmpl-clear",
    "object": "chat.completion.chunk",
    "created": 0,
    "model": "clear",
    "choices": [{"index": 0, "delta": {"content": "clear"}, "finish_reason": None}],
}
CLEAR_EVENT = b"data: " + json.dumps(CLEAR_CHUNK).encode() + b"\n\n"
_MEBIBYTE = 1 << 20


class Mark(enum.Enum):
    """What a stream may do besides sending bytes."""

    CUT = "close the connection without ending the body"
    STALL = "send keep-alives for ever"
    SILENCE = "send nothing for ever"


def _frames(edit: Callable[[Frames], Frames], about: str) -> Fault:
    return Fault("frames", lambda frames, _: edit(frames), about)


def _chunks(edit: Callable[[Chunks], Chunks], about: str) -> Fault:
    return Fault("chunks", lambda chunks, _: edit(chunks), about)


def _chunk_at(
    number: int, edit: Callable[[dict[str, Any]], Chunks], about: str
) -> Fault:
    return _chunks(
        lambda chunks: [
            edited
            for n, chunk in enumerate(chunks)
            for edited in (edit(chunk) if n == number else [chunk])
        ],
        about,
    )


def _resplit(frames: Frames, size: int) -> Frames:
    body = b"".join(frame for frame in frames if isinstance(frame, bytes))
    return [body[start : start + size] for start in range(0, len(body), size)]


def _rotate_before(chunks: Chunks, number: int, call: Call) -> Iterator[dict[str, Any]]:
    """Let a chunk be sealed under another key than those before it."""
    for n, chunk in enumerate(chunks):
        if n == number:
            call.node.rotate()
        yield chunk


def _finishes(chunk: dict[str, Any]) -> bool:
    return any(choice.get("finish_reason") for choice in chunk["choices"])


def _without_delta(chunk: dict[str, Any]) -> Chunks:
    bare = [choice | {"delta": None} for choice in chunk["choices"]]
    return [chunk | {"choices": bare}, chunk]


def nested(levels: int) -> list[Any]:
    """Lists inside one another, as many as JSON can be written of."""
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def _swollen(chunk: dict[str, Any], mebibytes: int) -> dict[str, Any]:
    text = "x" * (mebibytes * _MEBIBYTE)
    choices = [choice | {"delta": {"content": text}} for choice in chunk["choices"]]
    return chunk | {"choices": choices}


STREAM_FAULTS: dict[str, Fault | Callable[[int], Fault]] = {
    # -- how the node seals it ---------------------------------------------------
    "nonces-reused": Fault(
        "nonces", lambda *_: "reused", "all events of the stream have one nonce"
    ),
    "nonces-fresh": Fault(
        "nonces", lambda *_: "fresh", "each event of the stream has its own nonce"
    ),
    # -- its events --------------------------------------------------------------
    "stream-empty": _frames(lambda _: [], "a clean end before the first event"),
    "stream-truncated": lambda k: _frames(
        lambda f: f[:k], "a clean end after N events"
    ),
    "stream-cut": lambda k: _frames(
        lambda f: [*f[:k], Mark.CUT], "the connection is closed after N events"
    ),
    "stream-dropped": lambda k: _frames(
        lambda f: f[:k] + f[k + 1 :], "event N is missing"
    ),
    "stream-duplicated": lambda k: _frames(
        lambda f: f[: k + 1] + f[k:], "event N comes twice"
    ),
    "stream-reordered": lambda k: _frames(
        lambda f: [*f[:k], *f[k : k + 2][::-1], *f[k + 2 :]],
        "events N and N+1 are swapped",
    ),
    "stream-clear-event": lambda k: _frames(
        lambda f: [*f[:k], CLEAR_EVENT, *f[k:]], "an event in clear before event N"
    ),
    "stream-garbage": lambda k: _frames(
        lambda f: [*f[:k], b"data: {\n\n", *f[k:]],
        "half a JSON object as an event before event N",
    ),
    "stream-coalesced": _frames(
        lambda f: _resplit(f, 1 << 30), "all events in one write"
    ),
    "stream-resplit": lambda k: _frames(
        lambda f: _resplit(f, k), "writes of N bytes, whatever they tear apart"
    ),
    "stream-done": _frames(
        lambda f: [*f, b"data: [DONE]\n\n"], "the event [DONE] at the end"
    ),
    "stream-stalled": lambda k: _frames(
        lambda f: [*f[:k], Mark.STALL], "only keep-alives after N events"
    ),
    "stream-silent": lambda k: _frames(
        lambda f: [*f[:k], Mark.SILENCE], "not a byte after N events"
    ),
    "key-rotated-in-stream": lambda k: Fault(
        "chunks",
        lambda chunks, call: _rotate_before(chunks, k, call),
        "the node changes its key before event N of the stream",
    ),
    # -- what the engine says ----------------------------------------------------
    "stream-engine-error": lambda k: _chunks(
        lambda chunks: [*chunks[:k], dict(ENGINE_ERROR)],
        "the engine fails after N chunks, and says so in one",
    ),
    "stream-no-finish": _chunks(
        lambda chunks: [chunk for chunk in chunks if not _finishes(chunk)],
        "no choice ever finishes",
    ),
    "stream-finish-twice": _chunks(
        lambda chunks: [
            c for chunk in chunks for c in [chunk] * (1 + _finishes(chunk))
        ],
        "the chunk that finishes comes twice, each sealed by itself",
    ),
    "stream-two-ids": lambda k: _chunks(
        lambda chunks: [
            chunk | {"id": "chatcmpl-other"} if n >= k else chunk
            for n, chunk in enumerate(chunks)
        ],
        "another id from chunk N on",
    ),
    "stream-no-choices": lambda k: _chunk_at(
        k, lambda chunk: [chunk | {"choices": []}, chunk], "no choices before chunk N"
    ),
    "stream-delta-null": lambda k: _chunk_at(
        k, _without_delta, "a chunk whose delta is null before chunk N"
    ),
    "stream-huge": lambda mebibytes: _chunk_at(
        1, lambda chunk: [_swollen(chunk, mebibytes)], "chunk 1 has N MiB of text"
    ),
    "stream-deep": lambda levels: _chunk_at(
        1,
        lambda chunk: [chunk | {"nested": nested(levels)}],
        "chunk 1 has a field of N levels",
    ),
    "tool-calls-joined": _chunks(
        join_calls, "all fragments of the tool calls in one delta"
    ),
    "tool-calls-interleaved": _chunks(
        interleave_calls, "fragments of several tool calls in turn"
    ),
    "tool-calls-unnumbered": _chunks(
        unnumber_calls, "fragments of tool calls without their index"
    ),
    "tool-calls-one-index": _chunks(
        put_calls_at_one_index, "each tool call whole, all at index 0"
    ),
    "tool-calls-repeated": _chunks(
        repeat_names, "each fragment of a tool call with its id and name"
    ),
    "tool-calls-and-text": _chunks(
        put_text_before_calls, "text before the tool calls of an answer"
    ),
}
