"""The line to Redis: the connections of one hub, and whether they hold."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import redis.asyncio
from django.conf import settings
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

REDIS_S = 0.8  # how long Redis may take to answer
FAILED = (RedisError, OSError, asyncio.TimeoutError)  # what a caller of `client` has to expect


class Line:
    """What a hub's parts know of Redis together.

    subscribed: frames come; unread: the last look at the pulses failed; lost_at: when it last ceased to hold.
    """

    __slots__ = ("client", "lost_at", "subscribed", "tried", "unread")

    def __init__(self) -> None:
        self.client: Any = redis.asyncio.Redis.from_url(
            settings.REDIS_URL,
            socket_timeout=REDIS_S,
            socket_connect_timeout=REDIS_S,
            retry=Retry(NoBackoff(), 0),
        )
        self.tried = asyncio.Event()  # Redis has answered or failed
        self.subscribed = False
        self.unread = False
        self.lost_at = time.time()

    @property
    def holds(self) -> bool:
        return self.subscribed and not self.unread
