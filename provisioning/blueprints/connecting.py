"""How clients of many users connect, in a fixed number of queries."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from accounts_app.models import NatsUser, System
from accounts_app.services import connection_help
from provisioning.blueprints.first_use import first_use, streams_of

_BATCH = 500


def connections(system: System, secrets: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """{user: {"account", "url", "context", "files", "env", "snippet", "may", "streams", "first"}} of those there are.

    secrets: {user: secret}; context: a context of the `nats` command; files: {name: content}, which context and env
    speak of; may: what this user may do, in words; streams: of its account, as `streams_of` tells them; first: a
    command of `nats` to begin with, and what it does. Nothing tells of another user.
    """
    found: dict[str, dict[str, Any]] = {}
    homes: dict[str, int] = {}
    names = sorted(secrets)
    for start in range(0, len(names), _BATCH):
        rows = NatsUser.objects.filter(system=system, name__in=names[start : start + _BATCH])
        rows = rows.select_related("system", "account__default_role", "role").prefetch_related(
            "permissions", "role__permissions", "account__default_role__permissions"
        )
        for user in rows:
            told = connection_help(user, secrets[user.name])
            use = first_use(user, told)
            homes[user.name] = user.account_id
            found[user.name] = {
                "account": user.account.name,
                "url": told.url,
                "context": json.loads(told.context_json),
                "files": dict(told.files),
                "env": told.env,
                "snippet": told.snippet,
                "may": list(use.may),
                "first": {"does": use.does, "command": use.command},
            }
    streams = streams_of(homes.values())
    for name, account in homes.items():
        found[name]["streams"] = streams.get(account, [])
    return found
