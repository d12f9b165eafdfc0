"""JSON schemas filled from a prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._extract import extract
from ._json_schema import clamped, is_nullable, kind_of, resolved, whole_if_possible
from ._text import identifier_words

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._clues import Clues

__all__ = ["SchemaFiller"]

_ANSWERS = {
    "answer", "explanation", "reply", "response", "result", "summary", "text",
    "conclusion", "content", "output", "reasoning", "rationale", "evidence", "quote",
}  # fmt: skip
_SOURCES = {
    "source", "sources", "citation", "citations", "passage", "passages", "reference",
    "references",
}  # fmt: skip
_CERTAINTY = {"confidence", "score", "probability", "certainty", "relevance"}
_DEEPEST = 8


class SchemaFiller:
    """Fills schemas with what a prompt offers.

    Args:
        clues: where values come from.
        answer: what the model would have answered in prose; for fields that ask for
            it. Empty for tool calls.
        material: passages to quote from, likewise.
        certainty: for fields that ask how sure the answer is.
        labels: numbers of the passages the answer cites.
        fallback: for required texts that nothing else fits; else the request.
    """

    def __init__(
        self,
        clues: Clues,
        *,
        answer: str = "",
        material: str = "",
        certainty: float = 0.0,
        labels: tuple[str, ...] = (),
        fallback: str = "",
    ) -> None:
        self._clues = clues
        self._answer = answer
        self._material = material
        self._certainty = certainty
        self._labels = labels
        self._otherwise = fallback
        self._definitions: Mapping[str, Any] = {}

    def fill(self, schema: Mapping[str, Any]) -> dict[str, Any]:
        """Fill an object schema: all required fields, optional ones if known."""
        self._definitions = schema
        self._clues.reserved |= {*schema.get("properties", ())}
        return self._object(schema, 0)

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        required = set(schema.get("required", ()))
        filled = {}
        for name, inner in schema.get("properties", {}).items():
            value = self._value(inner, name, depth + 1)
            if value is None and name in required:
                value = self._fallback(self._resolved(inner), depth + 1)
                filled[name] = value
            elif value is not None:
                filled[name] = value
        return filled

    def _value(self, schema: Any, name: str, depth: int) -> Any:
        """Find a value, or None where the prompt offers none."""
        schema = self._resolved(schema)
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return next(iter(self._options(schema["enum"])), None)
        if depth > _DEEPEST:
            return None
        match kind_of(schema):
            case "object":
                found: Any = self._object(schema, depth) or None
            case "array":
                found = self._array(schema, name, depth)
            case "boolean":
                found = self._clues.flag(name)
            case "integer" | "number":
                found = self._number(schema, name)
            case "null":
                found = None
            case _:
                found = self._string(schema, name)
        return found

    def _options(self, options: list[Any]) -> list[Any]:
        texts = {str(option): option for option in options if option is not None}
        return [texts[named] for named in self._clues.mentioned(texts)]

    def _number(self, schema: Mapping[str, Any], name: str) -> float | None:
        hints = {*identifier_words(name)}
        if self._answer and hints & _CERTAINTY:
            scale = 100 if schema.get("maximum") == 100 else 1  # noqa: PLR2004
            found: float | None = round(self._certainty * scale, 2)
        else:
            found = self._clues.number(name)
        if found is None:
            return None
        return whole_if_possible(clamped(found, schema), schema)

    def _string(self, schema: Mapping[str, Any], name: str) -> str | None:
        hints = {*identifier_words(name)}
        description = str(schema.get("description", ""))
        found = self._clues.pattern(schema["pattern"]) if "pattern" in schema else None
        if found is None and self._answer and hints & _ANSWERS:
            found = self._answer
        if found is None:
            found = self._clues.string(name, description)
        if found is None and self._material:
            asked = f"{' '.join(identifier_words(name))} {description}"
            found = extract(asked, self._material).text or None
        return found if found is None else found[: schema.get("maxLength")]

    def _array(
        self, schema: Mapping[str, Any], name: str, depth: int
    ) -> list[Any] | None:
        item = self._resolved(schema.get("items", {}))
        kind = kind_of(item)
        values: list[Any] = []
        if {*identifier_words(name)} & _SOURCES and self._answer:
            values = [int(n) if kind == "integer" else n for n in self._labels]
        elif "enum" in item:
            values = self._options(item["enum"])
        elif kind in {"integer", "number"}:
            numbers = dict.fromkeys(self._clues.all_numbers())
            values = [whole_if_possible(n, item) for n in numbers]
        elif kind == "string":
            values = [*self._clues.items(name)]
        else:
            one = self._value(item, name, depth + 1)
            values = [] if one is None else [one]
        if not values:
            return None
        return self._padded(values, schema, depth)[: schema.get("maxItems")]

    def _padded(
        self, values: list[Any], schema: Mapping[str, Any], depth: int
    ) -> list[Any]:
        item = self._resolved(schema.get("items", {}))
        missing = max(0, schema.get("minItems", 0) - len(values))
        return values + [self._fallback(item, depth + 1) for _ in range(missing)]

    def _fallback(self, schema: Mapping[str, Any], depth: int) -> Any:
        """Give something valid for a required field the prompt is silent about."""
        if "default" in schema or is_nullable(schema):
            return schema.get("default")
        if "enum" in schema:
            return schema["enum"][0]
        match kind_of(schema):
            case "object":
                value: Any = self._object(schema, depth) if depth <= _DEEPEST else {}
            case "array":
                value = self._padded([], schema, depth) if depth <= _DEEPEST else []
            case "boolean":
                value = False
            case "integer" | "number":
                value = whole_if_possible(clamped(0.0, schema), schema)
            case _:
                text = self._otherwise or self._clues.rest()
                value = text[: schema.get("maxLength")]
        return value

    def _resolved(self, schema: Any) -> dict[str, Any]:
        return resolved(schema, self._definitions)
