"""A worker that works says so: a Redis key with the time of its last task."""

from __future__ import annotations

import time

import redis
from django.conf import settings

KEY, LIFE_S = "nunect:worker", 60


def _client() -> redis.Redis:
    return redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1.0, socket_connect_timeout=1.0)


def beat() -> None:
    """A worker is executing this."""
    with _client() as client:
        client.set(KEY, f"{time.time():.3f}", ex=LIFE_S)


def worker_age() -> float | None:
    """Seconds since a worker executed a task, None when it is too long ago to know."""
    with _client() as client:
        last = client.get(KEY)
    return None if last is None else max(0.0, time.time() - float(last))  # type: ignore[arg-type]
