"""Other legal ways in which engines stream the fragments of tool calls."""

from __future__ import annotations

from itertools import chain, zip_longest
from typing import Any

__all__ = ["interleave_calls", "join_calls", "unnumber_calls"]

Chunk = dict[str, Any]
Fragment = dict[str, Any]


def join_calls(chunks: list[Chunk]) -> list[Chunk]:
    """Put all fragments into one delta."""
    fragments = [f for chunk in chunks for f in _fragments(chunk)]
    return _refill(chunks, [fragments] if fragments else [])


def interleave_calls(chunks: list[Chunk]) -> list[Chunk]:
    """Let the calls take turns, a fragment in each delta."""
    calls: dict[Any, list[Fragment]] = {}
    for chunk in chunks:
        for fragment in _fragments(chunk):
            calls.setdefault(fragment["index"], []).append(fragment)
    turns = chain.from_iterable(zip_longest(*calls.values()))
    return _refill(chunks, [[fragment] for fragment in turns if fragment])


def unnumber_calls(chunks: list[Chunk]) -> list[Chunk]:
    """Leave the index out, as engines with one call at a time do."""
    bare = [
        [{k: v for k, v in f.items() if k != "index"} for f in _fragments(chunk)]
        for chunk in chunks
    ]
    return _refill(chunks, [fragments for fragments in bare if fragments])


def _fragments(chunk: Chunk) -> list[Fragment]:
    found: list[Fragment] = [
        fragment
        for choice in chunk["choices"]
        for fragment in choice["delta"].get("tool_calls") or ()
    ]
    return found


def _refill(chunks: list[Chunk], deltas: list[list[Fragment]]) -> list[Chunk]:
    """Put deltas where the first one stood; all other chunks stay as they are."""
    carriers = [chunk for chunk in chunks if _fragments(chunk)]
    if not carriers:
        return chunks
    model = carriers[0]
    (choice,) = model["choices"]
    filled = [
        model | {"choices": [choice | {"delta": choice["delta"] | {"tool_calls": d}}]}
        for d in deltas
    ]
    first = chunks.index(model)
    rest = [chunk for chunk in chunks[first:] if not _fragments(chunk)]
    return [*chunks[:first], *filled, *rest]
