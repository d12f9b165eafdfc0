"""What the built-in model says: prose, JSON, or calls, all from the prompt."""

# ruff: noqa: RUF001  quotation marks and full stops of several languages

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ._clues import Clues
from ._extract import Extract, extract, summarise
from ._prompt import read_prompt
from ._schema import SchemaFiller
from ._text import content_stems, sentences
from ._tools import ToolCall, choose_calls

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from ._prompt import Prompt

__all__ = ["Answer", "answer"]

_SHORT = 400
_UNKNOWN = re.compile(
    r"(?i)\bif\b[^.\n]*\b(?:not|don't|cannot|can't|no)\b[^.\n]*?"
    r"\b(?:say|answer|reply|respond)\b[^.\n\"'“]*[\"'“]([^\"”\n]+?)[\"'”]"
)
_KEY = re.compile(r"[\"'`“‘]([A-Za-z_]\w*)[\"'`”’]")
_WANTS_JSON = re.compile(r"\bJSON\b")


@dataclass(frozen=True, slots=True)
class Answer:
    """Text or calls, and how they came about."""

    text: str | None
    calls: tuple[ToolCall, ...]
    reasoning: str


def answer(body: Mapping[str, Any]) -> Answer:
    """Answer a checked chat body."""
    messages = body["messages"]
    prompt = read_prompt(messages)
    found = _find(prompt)
    text = found.text or _silence(prompt)
    reasoning = _reasoning(prompt, found)
    calls = choose_calls(
        body.get("tools") or (),
        prompt,
        choice=body.get("tool_choice"),
        parallel=body.get("parallel_tool_calls") is not False,
        called=_called(messages, body.get("tools") or ()),
        filler=lambda request: _filler(prompt, found, request),
    )
    if calls:
        return Answer(None, tuple(calls), reasoning)
    schema = _wanted_schema(body, prompt)
    if schema is not None:
        topic = _without_format(prompt.request)
        filled = _filler(prompt, found, topic, text=text).fill(schema)
        return Answer(json.dumps(filled, ensure_ascii=False), (), reasoning)
    if choices := body.get("guided_choice"):
        named = Clues(prompt.request, prompt.material).mentioned(choices)
        return Answer((named or choices)[0], (), reasoning)
    return Answer(text, (), reasoning)


def _find(prompt: Prompt) -> Extract:
    """Answer from tool results where there are any, else from the material."""
    if prompt.tool_results:
        said = [_flattened(result) for result in prompt.tool_results]
        joined = "\n\n".join(said)
        if len(joined) <= _SHORT:
            return Extract(tuple(_closed(text) for text in said), 1.0, len(said))
        found = extract(prompt.question, joined)
        return found if found.sentences else summarise(joined)
    if prompt.wants_rewrite:
        return Extract((prompt.question,), 1.0, 1)
    if prompt.wants_summary:
        return summarise(prompt.material)
    return extract(prompt.question, prompt.material, background=prompt.background)


def _silence(prompt: Prompt) -> str:
    """Say honestly that there is nothing to answer from, in the words asked for."""
    if prompt.material and (wanted := _UNKNOWN.search(prompt.instructions)):
        return wanted[1]
    asked = " ".join(prompt.question.split())
    asked = f"{asked[:120]}…" if len(asked) > 120 else asked  # noqa: PLR2004
    if prompt.material:
        return f"The passages do not say anything that answers “{asked}”."
    return (
        "I am a local stand-in and answer from the passages in a prompt. "
        f"There are none here to answer “{asked}” from."
    )


def _reasoning(prompt: Prompt, found: Extract) -> str:
    about = (
        ", ".join(dict.fromkeys(content_stems(prompt.question))) or "nothing special"
    )
    return (
        f"The question is about: {about}. "
        f"I compared it with {found.units} sentences; the best fits to "
        f"{found.score:.0%}."
    )


def _filler(
    prompt: Prompt, found: Extract, request: str, *, text: str = ""
) -> SchemaFiller:
    material = "\n\n".join([prompt.material, *prompt.tool_results]).strip()
    spoken = text or found.text
    labels = tuple(dict.fromkeys(re.findall(r"\[(\d+)\]", spoken)))
    return SchemaFiller(
        Clues(request if request.strip() else prompt.request, material),
        answer=re.sub(r" \[\d+\]", "", spoken),
        material=material,
        certainty=found.score,
        labels=labels,
        fallback=found.text,
    )


def _wanted_schema(body: Mapping[str, Any], prompt: Prompt) -> dict[str, Any] | None:
    """Find the schema of the JSON that is wanted, however it was asked for."""
    wanted = body.get("response_format") or {"type": "text"}
    if wanted["type"] == "json_schema":
        return dict(wanted["json_schema"]["schema"])
    guided = body.get("guided_json") or (body.get("structured_outputs") or {}).get(
        "json"
    )
    if guided:
        return dict(json.loads(guided) if isinstance(guided, str) else guided)
    told = f"{prompt.instructions}\n{prompt.request}"
    spelled = _spelled_schema(told) if _WANTS_JSON.search(told) else None
    if wanted["type"] == "json_object":
        return spelled or _object_of(_named_keys(told) or ["answer"])
    return spelled if spelled and "properties" in spelled else None


def _spelled_schema(text: str) -> dict[str, Any] | None:
    """Find the last JSON schema written out in a text, else its last object's keys."""
    schema: dict[str, Any] | None = None
    decoder, place = json.JSONDecoder(), text.find("{")
    example: dict[str, Any] | None = None
    while place >= 0:
        try:
            value, end = decoder.raw_decode(text, place)
        except ValueError:
            end = place + 1
        else:
            if isinstance(value, dict) and isinstance(value.get("properties"), dict):
                schema = value
            elif isinstance(value, dict) and value:
                example = value
        place = text.find("{", end)
    return schema or (_object_of([*example]) if example else None)


def _named_keys(text: str) -> list[str]:
    """Read "a JSON with 'setup' and 'punchline' keys"."""
    lines = re.split(r"(?<=[.!?\n])\s+", text)
    asking = [
        line for line in lines if re.search(r"(?i)\b(json|keys?|fields?)\b", line)
    ]
    return list(dict.fromkeys(_KEY.findall(" ".join(asking))))


def _without_format(request: str) -> str:
    """Drop the sentences about JSON; what they say is no value for a field."""
    said = [text for text in sentences(request) if not _WANTS_JSON.search(text)]
    return " ".join(said) or request


def _object_of(keys: Sequence[str]) -> dict[str, Any]:
    properties = {key: {"type": "string"} for key in keys}
    return {"type": "object", "properties": properties, "required": [*keys]}


def _called(
    messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]
) -> list[str]:
    """Name the tools called since the user last spoke.

    A tool that is not offered was called by another agent, before it handed over.
    """
    offered = {tool["function"]["name"] for tool in tools}
    names: list[str] = []
    for message in messages:
        if message["role"] == "user":
            names = []
        names += [c["function"]["name"] for c in message.get("tool_calls") or ()]
    return [name for name in names if name in offered]


def _flattened(result: str) -> str:
    """Turn a JSON result into words; other results are words already."""
    try:
        value = json.loads(result)
    except ValueError:
        return result.strip()
    return _spoken(value)


def _spoken(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{key}: {_spoken(inner)}" for key, inner in value.items())
    if isinstance(value, list):
        return ", ".join(_spoken(inner) for inner in value)
    return str(value)


def _closed(text: str) -> str:
    return text if text[-1:] in ".!?。" else f"{text}."
