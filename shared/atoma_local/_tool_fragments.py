"""Other legal ways in which engines stream the fragments of tool calls."""

from __future__ import annotations

from itertools import chain, zip_longest
from typing import Any

__all__ = [
    "interleave_calls",
    "join_calls",
    "put_calls_at_one_index",
    "put_text_before_calls",
    "repeat_names",
    "unnumber_calls",
]

Chunk = dict[str, Any]
Fragment = dict[str, Any]


def join_calls(chunks: list[Chunk]) -> list[Chunk]:
    """Put all fragments into one delta."""
    fragments = [f for chunk in chunks for f in _fragments(chunk)]
    return _refill(chunks, [fragments] if fragments else [])


def interleave_calls(chunks: list[Chunk]) -> list[Chunk]:
    """Let the calls take turns, a fragment in each delta."""
    turns = chain.from_iterable(zip_longest(*_by_call(chunks).values()))
    return _refill(chunks, [[fragment] for fragment in turns if fragment])


def unnumber_calls(chunks: list[Chunk]) -> list[Chunk]:
    """Leave the index out, as engines with one call at a time do."""
    bare = [
        [{k: v for k, v in f.items() if k != "index"} for f in _fragments(chunk)]
        for chunk in chunks
    ]
    return _refill(chunks, [fragments for fragments in bare if fragments])


def put_calls_at_one_index(chunks: list[Chunk]) -> list[Chunk]:
    """Send each call whole, and all of them at index 0, as Ollama does."""
    whole: list[Fragment] = []
    for fragments in _by_call(chunks).values():
        arguments = "".join(f["function"].get("arguments") or "" for f in fragments)
        function = fragments[0]["function"] | {"arguments": arguments}
        whole.append(fragments[0] | {"index": 0, "function": function})
    return _refill(chunks, [[fragment] for fragment in whole])


def repeat_names(chunks: list[Chunk]) -> list[Chunk]:
    """Let each fragment say again which call it belongs to."""
    heads = {index: fragments[0] for index, fragments in _by_call(chunks).items()}
    repeated = [
        [_headed(f, heads[f["index"]]) for f in _fragments(chunk)] for chunk in chunks
    ]
    return _refill(chunks, [fragments for fragments in repeated if fragments])


def put_text_before_calls(chunks: list[Chunk]) -> list[Chunk]:
    """Say something before the first call."""
    first = next((n for n, chunk in enumerate(chunks) if _fragments(chunk)), None)
    if first is None:
        return chunks
    said = [c | {"delta": {"content": "I look."}} for c in chunks[first]["choices"]]
    return [*chunks[:first], chunks[first] | {"choices": said}, *chunks[first:]]


def _headed(fragment: Fragment, head: Fragment) -> Fragment:
    function = fragment["function"] | {"name": head["function"]["name"]}
    return fragment | {"id": head["id"], "type": "function", "function": function}


def _by_call(chunks: list[Chunk]) -> dict[Any, list[Fragment]]:
    calls: dict[Any, list[Fragment]] = {}
    for chunk in chunks:
        for fragment in _fragments(chunk):
            calls.setdefault(fragment["index"], []).append(fragment)
    return calls


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
