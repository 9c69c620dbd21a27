"""AccountSpec ⇄ JSON: how a revision keeps what the rows said. Exact both ways, and versioned."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from functools import cache
from typing import Any

from .errors import NatsConfError
from .specs import (
    AccountSpec,
    DestinationSpec,
    ExportSpec,
    ImportSpec,
    JetStreamSpec,
    LimitsSpec,
    MappingSpec,
    ResponseSpec,
    RoleSpec,
    RuleSpec,
    SecretSpec,
    UserSpec,
)

VERSION = 1

# {owner: {field: spec}}: which fields hold specs of their own, alone or as a tuple.
_NESTED: dict[type, dict[str, type]] = {
    AccountSpec: {
        "users": UserSpec,
        "roles": RoleSpec,
        "limits": LimitsSpec,
        "jetstream": JetStreamSpec,
        "exports": ExportSpec,
        "imports": ImportSpec,
        "mappings": MappingSpec,
    },
    RoleSpec: {"rules": RuleSpec, "responses": ResponseSpec},
    UserSpec: {"rules": RuleSpec, "responses": ResponseSpec, "secret": SecretSpec, "retiring": SecretSpec},
    MappingSpec: {"destinations": DestinationSpec},
}


class UnknownVersion(NatsConfError):
    """The JSON was written by a nunect that this one doesn't understand."""


def spec_to_json(spec: AccountSpec) -> str:
    """The spec as compact JSON; fields at their defaults are left out."""
    return json.dumps({"v": VERSION, "account": _dump(spec)}, ensure_ascii=False, separators=(",", ":"))


def spec_from_json(text: str) -> AccountSpec:
    """The spec of such a JSON. Raises UnknownVersion."""
    try:
        data = json.loads(text)
        version = data["v"]
        if version != VERSION:
            raise UnknownVersion(f"This account was kept by another version of nunect (format {version!r}).")
        spec: AccountSpec = _load(AccountSpec, data["account"])
    except (ValueError, TypeError, LookupError) as error:
        raise UnknownVersion("This account was not kept by a nunect that this one understands.") from error
    return spec


@cache
def _defaults(kind: type[Any]) -> tuple[tuple[str, Any], ...]:
    if kind is RuleSpec:  # a tuple by name
        return tuple((name, RuleSpec._field_defaults.get(name, MISSING)) for name in RuleSpec._fields)
    found = []
    for field in fields(kind):
        default = field.default_factory() if field.default_factory is not MISSING else field.default
        found.append((field.name, default))
    return tuple(found)


def _dump(spec: Any) -> dict[str, Any]:
    nested = _NESTED.get(type(spec), {})
    told: dict[str, Any] = {}
    kind: type = type(spec)
    for name, default in _defaults(kind):
        value = getattr(spec, name)
        if value == default:
            continue
        if name in nested and value is not None:
            told[name] = [_dump(item) for item in value] if isinstance(value, tuple) else _dump(value)
        else:
            told[name] = value
    return told


def _load(kind: type, data: dict[str, Any]) -> Any:
    nested = _NESTED.get(kind, {})
    values: dict[str, Any] = {}
    for name, value in data.items():
        if name in nested and value is not None:
            one = nested[name]
            values[name] = tuple(_load(one, item) for item in value) if isinstance(value, list) else _load(one, value)
        else:
            values[name] = tuple(value) if isinstance(value, list) else value
    return kind(**values)
