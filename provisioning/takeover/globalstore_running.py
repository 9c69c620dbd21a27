"""What the running server says of the streams in `$G`, where anybody can ask it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import nats
import nats.errors

from accounts_app.natsconf.names import GLOBAL_ACCOUNT
from provisioning.errors import ProvisioningError
from provisioning.machine import ask_http, client_url, monitoring_url
from provisioning.takeover.globalstore_inventory import Inventory, OwnApi, take_inventory
from provisioning.takeover.seeing import Look

_TRIES = 3  # users whose password stands in clear
_TIMEOUT_S = 2.0


@dataclass(frozen=True, slots=True)
class Running:
    """kept, passing: the names of its streams on disk, and of those in memory, which end with the server."""

    kept: frozenset[str]
    passing: frozenset[str]


def ask_running(seen: Look) -> Running | None:
    """By its `http` port, else as a user whose password the conf tells; None when nobody could ask."""
    if seen.process is None:
        return None
    told = ask_http(monitoring_url(seen.parsed.tree), "jsz?accounts=true&streams=true&config=true")
    if told is not None:
        accounts = told.get("account_details") or ()
        mine = [each for each in accounts if each.get("name") == GLOBAL_ACCOUNT]
        return _sorted(stream["config"] for each in mine for stream in each.get("stream_detail") or ())
    for login in _logins(seen):
        with suppress(ProvisioningError, nats.errors.Error, OSError, TimeoutError):
            found = asyncio.run(_as(client_url(seen.parsed.tree), login))
            return _sorted(stream["config"] for stream in found.values())
    return None


def _sorted(configs: Iterator[Mapping[str, Any]]) -> Running:
    storages = {config["name"]: config.get("storage") for config in configs}
    memory = {name for name, storage in storages.items() if storage == "memory"}
    return Running(frozenset(storages.keys() - memory), frozenset(memory))


def _logins(seen: Look) -> list[dict[str, str]]:
    home = next((account for account in seen.reading.accounts if account.name == seen.account), None)
    if home is None or not home.users:
        return [{}]
    plain = [user for user in home.users if user.secret.plain]
    return [{"user": user.name, "password": user.secret.identity} for user in plain[:_TRIES]]


async def _as(url: str, login: Mapping[str, str]) -> Inventory:
    client = await nats.connect(url, allow_reconnect=False, connect_timeout=_TIMEOUT_S, **dict(login))  # type: ignore[arg-type]
    try:
        return await take_inventory(OwnApi(client, _TIMEOUT_S), GLOBAL_ACCOUNT)
    finally:
        await client.close()
