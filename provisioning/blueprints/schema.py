"""The parameters of a blueprint as JSON Schema (2020-12), for REST and for programs that make forms."""

from __future__ import annotations

from typing import Any

from .parameters import MOST_ENTRIES
from .simple import MOST
from .specs import BlueprintSpec, ParameterSpec

_PATTERNS = {
    "token": "^[A-Za-z0-9][A-Za-z0-9_-]*$",
    "account_name": "^[A-Za-z0-9_-]{1,64}$",
    "nkey": "^U[A-Z2-7]{55}$",
}
_EXAMPLES = {"bytes": "10GiB", "duration": "7d"}


def json_schema(spec: BlueprintSpec) -> dict[str, Any]:
    """What `parameters` of a request must be. `x-type` of each is the blueprint's own word for it."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": spec.title or spec.name,
        "description": spec.description,
        "type": "object",
        "properties": {each.name: _one(each) for each in spec.parameters},
        "required": [each.name for each in spec.parameters if each.required and each.default is None],
        "additionalProperties": False,
    }


def _one(spec: ParameterSpec) -> dict[str, Any]:
    found: dict[str, Any] = {"title": spec.title, "description": spec.help, "x-type": spec.type}
    if spec.default is not None:
        found["default"] = spec.default
    if spec.needs:
        found["x-needs"] = spec.needs
    return {key: value for key, value in found.items() if value != ""} | _kind(spec)


def _kind(spec: ParameterSpec) -> dict[str, Any]:
    if spec.type == "flag":
        return {"type": "boolean"}
    if spec.type == "whole":
        return {"type": "integer"} | _bounds(spec, "minimum", "maximum")
    if spec.type == "bytes":
        return {"type": ["string", "integer"], "examples": [_EXAMPLES["bytes"]]}
    if spec.type == "duration":
        return {"type": "string", "examples": [_EXAMPLES["duration"]]}
    if spec.type == "choice":
        return {"type": "string", "enum": list(spec.choices), "x-titles": dict(spec.choices)}
    if spec.type in ("list", "table"):
        most = MOST_ENTRIES[spec.type] if spec.most is None else spec.most
        least = max(spec.least or 0, 1 if spec.required else 0)
        array = {"type": "array", "items": _items(spec), "minItems": least, "maxItems": most}
        if spec.type == "list":
            return array | {"uniqueItems": True}
        return {"anyOf": [array, {"type": "string", "contentMediaType": "text/csv"}], "x-unique": list(spec.unique)}
    text = {"type": "string", "maxLength": MOST[spec.type] if spec.most is None else spec.most}
    if spec.least:
        text["minLength"] = spec.least
    if spec.type in _PATTERNS:
        text["pattern"] = _PATTERNS[spec.type]
    return text


def _items(spec: ParameterSpec) -> dict[str, Any]:
    if spec.type == "list":
        return _kind(spec.of or ParameterSpec("", "text"))
    return {
        "type": "object",
        "properties": {column.name: _one(column) for column in spec.columns},
        "required": [column.name for column in spec.columns if column.required and column.default is None],
        "additionalProperties": False,
    }


def _bounds(spec: ParameterSpec, least: str, most: str) -> dict[str, Any]:
    return {key: value for key, value in ((least, spec.least), (most, spec.most)) if value is not None}
