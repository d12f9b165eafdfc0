"""JSON schemas as engines take them. Pure."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from atoma_confidential.parameters import json_schema_format

__all__ = ["response_format_of", "strict_schema"]

_SUBSCHEMAS = ("properties", "$defs", "definitions")
_BRANCHES = ("anyOf", "allOf", "oneOf", "prefixItems")


def response_format_of(
    output_cls: type[BaseModel], *, strict: bool | None
) -> dict[str, Any]:
    """Return the response format that asks for JSON of this class."""
    schema = output_cls.model_json_schema()
    said = {"description": schema["description"]} if schema.get("description") else {}
    return json_schema_format(
        output_cls.__name__,  # that of a generic class holds brackets
        strict_schema(schema) if strict else schema,
        strict=strict,
        **said,
    )


def strict_schema(schema: Any) -> Any:
    """Return a schema whose objects are closed and require all of their properties.

    That is what `strict` means on the wire: defaults are dropped, since nothing can be
    left out. Objects without named properties, such as dicts, stay open: closing them
    would empty them.
    """
    if not isinstance(schema, dict):
        return schema
    made = {key: value for key, value in schema.items() if key != "default"}
    for key in _SUBSCHEMAS:
        if isinstance(made.get(key), dict):
            # Here the keys are names, one of which may be "default".
            made[key] = {name: strict_schema(one) for name, one in made[key].items()}
    for key in _BRANCHES:
        if isinstance(made.get(key), list):
            made[key] = [strict_schema(one) for one in made[key]]
    if "items" in made:
        made["items"] = strict_schema(made["items"])
    if made.get("properties"):
        made |= {"additionalProperties": False, "required": list(made["properties"])}
    return made
