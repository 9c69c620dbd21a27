"""Is it alive, and can it do its work? Each part is asked with a time limit of its own."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as TooLate
from typing import Any

import redis
from django.conf import settings
from django.db import connection
from django.utils import timezone

from accounts_app.models import Server, System
from monitoring import store
from provisioning.heartbeat import worker_age

PART_S = 2.0  # how long one part may take to answer
WORKER_S = 30.0  # an older heartbeat means that no worker works
_asking = ThreadPoolExecutor(max_workers=8, thread_name_prefix="health")


def report() -> tuple[bool, dict[str, Any]]:
    """(ready, state and age of each part). Never raises: a part that fails says why.

    Without the relay nobody sees what happens, and everything else goes on: it keeps nobody from being ready. So do
    servers that nunect only observes, or has released.
    """
    parts = {"database": _database, "redis": _redis, "worker": _worker, "relay": _relay, "servers": _servers}
    answers = {name: _asking.submit(_closing, ask) for name, ask in parts.items()}
    told: dict[str, Any] = {}
    for name, answer in answers.items():
        try:
            told[name] = answer.result(PART_S)
        except TooLate:
            told[name] = {"state": "silent", "detail": f"no answer within {PART_S:g} s"}
        except Exception as error:  # whatever a driver raises is that part's state
            told[name] = {"state": "failed", "detail": type(error).__name__}
    servers = told["servers"] if isinstance(told["servers"], list) else [told["servers"]]
    ready = all(told[name]["state"] == "ok" for name in ("database", "redis", "worker"))
    awaited = [one for one in servers if one.get("stage", System.Stage.MANAGED) == System.Stage.MANAGED]
    return ready and bool(servers) and all(one["state"] == "in_sync" for one in awaited), told


def _closing(ask: Callable[[], Any]) -> Any:
    try:
        return ask()
    finally:
        connection.close()


def _database() -> dict[str, Any]:
    System.objects.exists()
    return {"state": "ok", "vendor": connection.vendor}


def _redis() -> dict[str, Any]:
    with redis.Redis.from_url(settings.REDIS_URL, socket_timeout=PART_S, socket_connect_timeout=PART_S) as client:
        client.ping()
    return {"state": "ok"}


def _worker() -> dict[str, Any]:
    age = worker_age()
    if age is None:
        return {"state": "missing", "detail": "no worker has worked lately"}
    return {"state": "ok" if age < WORKER_S else "old", "age_s": round(age, 1)}


def _relay() -> dict[str, Any]:
    looked_after = System.objects.exclude(stage=System.Stage.RELEASED).values_list("pk", flat=True)
    pulses = [store.read_pulse(system) for system in looked_after]
    blind = next((pulse for pulse in pulses if not pulse.live), None)
    if blind is None:
        return {"state": "ok"}
    if blind.age_s is None or blind.age_s >= store.STALE_S:
        return {"state": "missing", "detail": "the relay doesn't run, so nobody sees what the servers do"}
    return {"state": "blind", "detail": blind.problem}


def _servers() -> list[dict[str, Any]]:
    now = timezone.now()
    return [
        {
            **server.as_dict(),
            "age_s": round((now - server.seen_at).total_seconds(), 1) if server.seen_at else None,
            "stage": server.system.stage,
        }
        for server in Server.objects.select_related("system").order_by("system", "name")[:200]
    ]
