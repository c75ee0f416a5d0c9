"""JSON Schemas in words, for the page that people read."""

from __future__ import annotations

import json
from collections.abc import Iterator
from html import escape
from typing import Any

Json = dict[str, Any]


def type_of(schema: Json) -> str:
    """Say in HTML what a schema allows; named schemas become links."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#schema-{name}">{name}</a>'
    for key in ("anyOf", "oneOf", "allOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(type_of(branch) for branch in schema[key]))
    if "const" in schema:
        return _literal(schema["const"])
    if "enum" in schema:
        return " | ".join(_literal(value) for value in schema["enum"])
    kind = schema.get("type", "any value")
    if kind == "array":
        return f"list of {type_of(schema.get('items', {}))}"
    if kind == "object":
        return _object(schema)
    return _plain(kind, schema)


def _object(schema: Json) -> str:
    values = schema.get("additionalProperties")
    patterns = schema.get("patternProperties")
    if isinstance(values, dict):
        return f"map of {type_of(values)}"
    if patterns and "properties" not in schema:
        return f"map of {' or '.join(type_of(value) for value in patterns.values())}"
    return "object"


def _plain(kind: str | list[str], schema: Json) -> str:
    name = escape(kind if isinstance(kind, str) else " or ".join(kind))
    bounds = [
        f"{sign} {schema[key]}"
        for key, sign in (("minimum", "&ge;"), ("maximum", "&le;"))
        if key in schema
    ]
    if "maxLength" in schema:
        bounds.append(f"&le; {schema['maxLength']} characters")
    return f"{name} <small>({', '.join(bounds)})</small>" if bounds else name


def _literal(value: object) -> str:
    return f"<code>{escape(json.dumps(value, ensure_ascii=False))}</code>"


def properties(schema: Json) -> Iterator[tuple[str, Json, bool, str]]:
    """Give each property: its key, its schema, whether it is required, its default as JSON."""
    required = schema.get("required", ())
    for key, value in schema.get("properties", {}).items():
        default = json.dumps(value["default"], ensure_ascii=False) if "default" in value else ""
        yield key, value, key in required, default
