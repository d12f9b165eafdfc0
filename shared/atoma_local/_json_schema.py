"""Reading JSON schemas: references, unions, kinds, bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["clamped", "is_nullable", "kind_of", "resolved", "whole_if_possible"]

_UNIONS = ("anyOf", "oneOf", "allOf")
_STEPS = 16  # references may point at each other for ever


def resolved(schema: Any, root: Mapping[str, Any]) -> dict[str, Any]:
    """Follow references into `root`, and take a union's first branch but null."""
    if not isinstance(schema, dict):
        return {}
    found: dict[str, Any] = schema
    for _ in range(_STEPS):
        if "$ref" in found:
            rest = {key: value for key, value in found.items() if key != "$ref"}
            found = {**_target(str(found["$ref"]), root), **rest}
        elif union := next((name for name in _UNIONS if found.get(name)), None):
            found = _first_branch(found, union)
        else:
            break
    return found


def _target(reference: str, root: Mapping[str, Any]) -> Mapping[str, Any]:
    target: Any = root
    for part in reference.removeprefix("#").strip("/").split("/"):
        target = target.get(part, {}) if isinstance(target, dict) else {}
    return target if isinstance(target, dict) else {}


def _first_branch(schema: dict[str, Any], union: str) -> dict[str, Any]:
    branches = [branch for branch in schema[union] if isinstance(branch, dict)]
    full = [branch for branch in branches if branch.get("type") != "null"]
    rest = {key: value for key, value in schema.items() if key != union}
    chosen = {**(full[0] if full else {"type": "null"}), **rest}
    return chosen if len(full) == len(branches) else {**chosen, "nullable": True}


def kind_of(schema: Mapping[str, Any]) -> str:
    """Name the type; a schema that names none is an object or a text."""
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((k for k in kind if k != "null"), "null")
    if kind is None:
        return "object" if "properties" in schema else "string"
    return str(kind)


def is_nullable(schema: Mapping[str, Any]) -> bool:
    """Whether null is a valid value."""
    kinds = schema.get("type")
    listed = isinstance(kinds, list) and "null" in kinds
    return listed or kinds == "null" or schema.get("nullable") is True


def clamped(number: float, schema: Mapping[str, Any]) -> float:
    """Move a number between the schema's bounds."""
    step = 1 if schema.get("type") == "integer" else 0.01
    lows = [schema.get("minimum"), _beyond(schema.get("exclusiveMinimum"), step)]
    highs = [schema.get("maximum"), _beyond(schema.get("exclusiveMaximum"), -step)]
    number = max([number, *(low for low in lows if low is not None)])
    return float(min([number, *(high for high in highs if high is not None)]))


def _beyond(bound: Any, step: float) -> float | None:
    # An early draft of JSON schema has a boolean here.
    if isinstance(bound, bool) or not isinstance(bound, int | float):
        return None
    return bound + step


def whole_if_possible(number: float, schema: Mapping[str, Any]) -> float:
    """Write 3.0 as 3, and never a fraction where an integer is wanted."""
    whole = kind_of(schema) == "integer" or float(number).is_integer()
    return int(number) if whole else number
