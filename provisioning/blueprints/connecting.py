"""How clients of many users connect, in a fixed number of queries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from accounts_app.models import NatsUser, System
from accounts_app.services import connection_help

_BATCH = 500


def connections(system: System, secrets: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """{user: {"account", "url", "context", "files", "env", "snippet"}} of those of {user: secret} that are there.

    context: a context of the `nats` command; files: {name: content}, which context and env speak of.
    """
    found: dict[str, dict[str, Any]] = {}
    names = sorted(secrets)
    for start in range(0, len(names), _BATCH):
        rows = NatsUser.objects.filter(system=system, name__in=names[start : start + _BATCH])
        rows = rows.select_related("system", "account__default_role", "role").prefetch_related(
            "permissions", "role__permissions", "account__default_role__permissions"
        )
        for user in rows:
            told = connection_help(user, secrets[user.name])
            found[user.name] = {
                "account": user.account.name,
                "url": told.url,
                "context": json.loads(told.context_json),
                "files": dict(told.files),
                "env": told.env,
                "snippet": told.snippet,
            }
    return found
