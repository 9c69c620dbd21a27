"""One process of a machine works on jobs at a time, so that jobs never take every place where a run could begin."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import redis
from django.conf import settings

from provisioning.jobs.lease import LEASE_S, RENEW_S


@contextmanager
def taken() -> Iterator[bool]:
    """Whether the place was free; then it is held until the block ends. A dead process holds it for LEASE_S at most.

    It only spreads the load: two at once harm nothing, so without Redis everybody may.
    """
    key, over = f"nunect:jobs:{socket.gethostname()}", threading.Event()
    client = redis.Redis.from_url(settings.REDIS_URL, socket_timeout=1.0, socket_connect_timeout=1.0)
    with client:
        try:
            free = bool(client.set(key, "1", nx=True, px=int(LEASE_S * 1000)))
        except redis.RedisError:
            free = True
        if not free:
            yield False
            return
        keeper = threading.Thread(target=_keep, args=(client, key, over), daemon=True)
        keeper.start()
        try:
            yield True
        finally:
            over.set()
            keeper.join()
            with suppress(redis.RedisError):
                client.delete(key)


def _keep(client: redis.Redis, key: str, over: threading.Event) -> None:
    while not over.wait(RENEW_S):
        with suppress(redis.RedisError):
            client.pexpire(key, int(LEASE_S * 1000))
