"""Which tools a request calls for, and with which arguments."""

# ruff: noqa: RUF001  quotation marks and full stops of several languages

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ._clues import Clues
from ._schema import SchemaFiller
from ._text import STOP_WORDS, content_stems, identifier_words, stem

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from ._prompt import Prompt

    Filler = Callable[[str], SchemaFiller]

__all__ = ["ToolCall", "choose_calls"]

# Verbs that half of all tools begin with; matching one says nothing.
_COMMON = {
    stem(word)
    for word in (
        "get", "set", "fetch", "find", "search", "lookup", "look", "list", "create",
        "make", "run", "call", "do", "show", "read", "write", "update", "add", "tool",
        "function", "use", "query", "check", "calculate", "compute", "data", "info",
        "information", "value", "my", "the", "result", "return", "given", "take",
    )
}  # fmt: skip
_OPERATORS = {
    "+": "add sum plus addition adder total",
    "-": "subtract minus difference subtraction",
    "*": "multiply times product multiplication",
    "×": "multiply times product multiplication",
    "/": "divide quotient division ratio",
    "^": "power exponent",
}
_CLAUSE = re.compile(r"\s+(?:and|then|but)\s+|[;?.]\s+")
_NAME_WEIGHT, _PARAMETER_WEIGHT, _DESCRIPTION_WEIGHT = 3.0, 1.5, 1.0
_ENOUGH = 3.0


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call as the model makes it; the arguments are an object."""

    name: str
    arguments: dict[str, Any]

    @property
    def json(self) -> str:
        """The arguments as engines write them."""
        return json.dumps(self.arguments, ensure_ascii=False)


@dataclass(frozen=True, slots=True)
class _Candidate:
    function: Mapping[str, Any]
    score: float
    matched: frozenset[str]
    complete: bool


def choose_calls(
    tools: Sequence[Mapping[str, Any]],
    prompt: Prompt,
    *,
    choice: Any = None,
    parallel: bool = True,
    called: Sequence[str] = (),
    filler: Filler | None = None,
) -> list[ToolCall]:
    """Decide on calls as `tool_choice` demands; an empty list means: answer in text.

    Args:
        tools: the tools of the request body.
        prompt: what is asked.
        choice: `tool_choice`, absent for auto.
        parallel: whether several calls are allowed at once.
        called: tools already called in this turn; they come last.
        filler: builds what fills the arguments of a call that is demanded, from the
            request without the tool's name; such a call may stand for an answer.
    """
    functions = [tool["function"] for tool in tools]
    if isinstance(choice, dict):
        name = choice["function"]["name"]
        named = next(f for f in functions if f["name"] == name)
        return [_call(named, prompt, filler)]
    if not functions or choice == "none" or (called and choice != "required"):
        return []
    ranked = sorted(
        (_rate(function, prompt.request) for function in functions),
        key=lambda c: (c.function["name"] in called, -c.score),
    )
    fitting = [c for c in ranked if c.score >= _ENOUGH]
    if choice == "required":
        new = [c for c in ranked if c.function["name"] not in called]
        fitting = [c for c in fitting if c in new] or new[:1] or ranked[:1]
        parallel = parallel and not called
    else:
        filler = None
    chosen = _distinct(fitting) if parallel else fitting[:1]
    return [
        call
        for candidate in chosen
        for clause in [_clause_for(candidate, prompt, among=len(chosen))]
        for call in _calls(candidate.function, clause, filler, several=parallel)
    ]


def _rate(function: Mapping[str, Any], request: str) -> _Candidate:
    asked = set(content_stems(request))
    for sign, names in _OPERATORS.items():
        if re.search(rf"\d\s*{re.escape(sign)}\s*\d", request):
            asked |= {stem(name) for name in names.split()}
    name = str(function["name"])
    name_stems = {stem(w) for w in identifier_words(name)} - _COMMON - STOP_WORDS
    properties = (function.get("parameters") or {}).get("properties", {})
    parameters = {stem(w) for key in properties for w in identifier_words(key)}
    description = set(content_stems(str(function.get("description") or "")))
    matched = name_stems & asked
    score = _NAME_WEIGHT * len(matched)
    score += _PARAMETER_WEIGHT * len((parameters - name_stems - _COMMON) & asked)
    score += _DESCRIPTION_WEIGHT * len((description - name_stems - _COMMON) & asked)
    if name.casefold() in request.casefold():
        score += 2 * _ENOUGH
        matched |= name_stems or {name}
    return _Candidate(function, score, frozenset(matched), matched >= name_stems)


def _distinct(fitting: list[_Candidate]) -> list[_Candidate]:
    """Keep the best, and others whose whole name was asked for by other words."""
    chosen: list[_Candidate] = []
    for candidate in fitting:
        covered = frozenset().union(*(c.matched for c in chosen))
        if not chosen or (candidate.complete and candidate.matched - covered):
            chosen.append(candidate)
    return chosen


def _clause_for(candidate: _Candidate, prompt: Prompt, *, among: int) -> Prompt:
    """Read "weather in Paris and time in Tokyo" clause by clause."""
    if among == 1:
        return prompt
    clauses = _CLAUSE.split(prompt.request)
    meant = [c for c in clauses if candidate.matched & set(content_stems(c))]
    return replace(prompt, request=meant[0]) if len(meant) == 1 else prompt


def _calls(
    function: Mapping[str, Any], prompt: Prompt, filler: Filler | None, *, several: bool
) -> list[ToolCall]:
    call = _call(function, prompt, filler)
    properties = (function.get("parameters") or {}).get("properties", {})
    if not several or len(call.arguments) != 1 or len(properties) != 1:
        return [call]
    [(name, value)] = call.arguments.items()
    return [ToolCall(call.name, {name: part}) for part in _each_of(value, prompt)]


def _each_of(value: Any, prompt: Prompt) -> list[Any]:
    """Read "in Paris and in Tokyo" as two values, where the first was taken."""
    if not isinstance(value, str) or not value[:1].isupper():
        return [value]
    match = re.search(
        rf"\b{re.escape(value)}\s+and\s+(?:in\s+|for\s+|at\s+)?([A-Z][\w'’-]*"
        r"(?:\s+[A-Z][\w'’-]*)*)",
        prompt.request,
    )
    return [value, match[1]] if match else [value]


def _call(
    function: Mapping[str, Any], prompt: Prompt, filler: Filler | None
) -> ToolCall:
    name = str(function["name"])
    request = re.sub(rf"(?<!\w){re.escape(name)}(?!\w)", " ", prompt.request)
    filling = filler(request) if filler else SchemaFiller(Clues(request))
    return ToolCall(name, filling.fill(function.get("parameters") or {}))
