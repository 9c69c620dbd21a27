"""One spec as the columns of its row, and as something that can be compared."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from accounts_app.natsconf.specs import AccountSpec, JetStreamSpec, LimitsSpec, ResponseSpec, RoleSpec
from accounts_app.snapshot import JETSTREAM_FIELDS, LIMIT_FIELDS


def comparable(spec: AccountSpec | None) -> AccountSpec | None:
    """The spec in one order, without what a reconciliation never writes over existing rows."""
    if spec is None:
        return None
    users = tuple(
        replace(
            user,
            retiring=None,
            rules=tuple(sorted(set(user.rules))),
            connection_types=tuple(sorted(user.connection_types)),
        )
        for user in sorted(spec.users, key=lambda user: user.name)
    )
    roles = tuple(
        replace(role, rules=tuple(sorted(set(role.rules))), connection_types=tuple(sorted(role.connection_types)))
        for role in sorted(spec.roles, key=lambda role: role.name)
    )
    exports = tuple(
        replace(export, accounts=None if export.accounts is None else tuple(sorted(export.accounts)))
        for export in spec.exports
    )
    return replace(
        spec,
        users=users,
        roles=roles,
        exports=tuple(sorted(exports, key=lambda export: (export.kind, export.subject))),
        imports=tuple(sorted(spec.imports, key=lambda each: (each.kind, each.account, each.subject, each.to))),
        mappings=tuple(
            replace(
                mapping, destinations=tuple(sorted(mapping.destinations, key=lambda end: (end.subject, end.cluster)))
            )
            for mapping in sorted(spec.mappings, key=lambda mapping: mapping.source)
        ),
    )


def account_fields(spec: AccountSpec) -> dict[str, Any]:
    """Columns of an account, without its default role, which may not be there yet."""
    limits, jetstream = spec.limits or LimitsSpec(), spec.jetstream or JetStreamSpec()
    return {
        "description": spec.description,
        "enabled": spec.enabled,
        "jetstream": spec.jetstream is not None,
        "jetstream_control": spec.jetstream_control,
        **{name: getattr(limits, name) for name in LIMIT_FIELDS},
        **{f"jetstream_{name}": getattr(jetstream, name) for name in JETSTREAM_FIELDS},
    }


def role_fields(role: RoleSpec) -> dict[str, Any]:
    """Columns of a role."""
    return {
        "description": role.description,
        "connection_types": list(role.connection_types),
        **response_fields(role.responses),
    }


def response_fields(responses: ResponseSpec | None) -> dict[str, Any]:
    """The columns that say what may be replied."""
    return {
        "allow_responses": responses is not None,
        "responses_max": responses.max if responses else 0,
        "responses_expires": responses.expires if responses else "",
    }
