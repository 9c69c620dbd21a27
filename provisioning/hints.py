"""Hints: "a run is worth while now". They may be lost; the counters and the sweep are what counts."""

from __future__ import annotations

import logging
import os
from functools import cache
from pathlib import Path

import redis
from celery import current_app
from django.conf import settings
from kombu.connection import ConnectionPool

logger = logging.getLogger(__name__)
_JOBS = "nunect:hint:jobs"


@cache
def _redis() -> redis.Redis:
    timeouts = {"socket_timeout": settings.HINT_TIMEOUT, "socket_connect_timeout": settings.HINT_TIMEOUT}
    return redis.Redis.from_url(settings.REDIS_URL, retry=None, **timeouts)


@cache
def _brokers(pid: int) -> ConnectionPool:
    """Connections of this process (a fork must not share them) that are kept: a new one costs more than a hint."""
    return current_app.connection_for_write(
        connect_timeout=settings.HINT_TIMEOUT,
        transport_options={
            **settings.CELERY_BROKER_TRANSPORT_OPTIONS,
            "socket_timeout": settings.HINT_TIMEOUT,
            "socket_connect_timeout": settings.HINT_TIMEOUT,
            "max_retries": 0,
        },
    ).Pool(limit=8)


def _key(system_id: int) -> str:
    return f"nunect:hint:{system_id}"


def _assets_key(system_id: int) -> str:
    return f"nunect:hint:assets:{system_id}"


def send_hint(system_id: int) -> bool:
    """Ask a worker to apply the system, unless a hint is waiting already; True when one was sent.

    Never raises, and blocks no longer than a few timeouts of HINT_TIMEOUT seconds.
    """
    return _send_once(_key(system_id), "provisioning.apply", system_id)


def send_jobs_hint() -> bool:
    """The same for jobs: ask a worker to look at them."""
    return _send_once(_JOBS, "provisioning.jobs")


def send_assets_hint(system_id: int) -> bool:
    """The same for streams and consumers: ask a worker to bring those of the system to the servers."""
    return _send_once(_assets_key(system_id), "provisioning.assets", system_id)


def _send_once(key: str, task: str, *args: int) -> bool:
    if settings.OWN_VALKEY and not Path(settings.VALKEY_SOCKET).exists():
        return False  # nothing runs yet; the worker looks at everything when it starts
    try:
        if not _redis().set(key, "1", nx=True, ex=settings.HINT_LIFE_SECONDS):
            return False
    except redis.RedisError as error:
        logger.warning("no hint sent, the sweep will see to it", extra={"hint": key, "error": str(error)})
        return False
    for last in (False, True):  # a connection that was kept may have been lost meanwhile
        try:
            _send(task, *args)
            return True
        except Exception as error:  # any transport's own error: the change is committed
            if last:
                logger.warning("no hint sent, the sweep will see to it", extra={"hint": key, "error": str(error)})
    _clear(key)
    return False


def _send(task: str, *args: int) -> None:
    with _brokers(os.getpid()).acquire(block=True, timeout=settings.HINT_TIMEOUT) as connection:
        try:
            current_app.send_task(task, args=args, connection=connection, retry=False, ignore_result=True)
        except Exception:
            connection.collapse()
            raise


def clear_hint(system_id: int) -> None:
    """A run is about to read the rows: from now on a change needs a new hint."""
    _clear(_key(system_id))


def clear_assets_hint(system_id: int) -> None:
    """Somebody is about to read streams and consumers: from now on a change of them needs a new hint."""
    _clear(_assets_key(system_id))


def clear_jobs_hint() -> None:
    """Somebody is about to look at the jobs: what moves from now on needs a new hint."""
    _clear(_JOBS)


def _clear(key: str) -> None:
    try:
        _redis().delete(key)
    except redis.RedisError as error:
        logger.warning("the hint could not be cleared; it expires by itself", extra={"error": str(error)})
