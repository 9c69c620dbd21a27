"""Hearing what the relays publish, through every fault of Redis."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from typing import Any

from monitoring import store
from monitoring.hub.line import FAILED, REDIS_S, Line

SILENT_S = 2.0  # a subscription that has brought nothing for so long is asked whether it lives
BACK_OFF_S = (0.05, 2.0)  # first and longest pause before Redis is tried again

_log = logging.getLogger(__name__)


class Subscription:
    """One at a time, begun again whenever Redis fails.

    take: called with each message; begun: when a (new) subscription stands, before its first; lost: when one fails.
    """

    def __init__(
        self,
        line: Line,
        take: Callable[[bytes], Awaitable[None]],
        begun: Callable[[], Awaitable[None]],
        lost: Callable[[], None],
    ) -> None:
        self._line, self._take, self._begun, self._lost = line, take, begun, lost

    async def run(self) -> None:
        """Subscribe, and take what comes, for ever."""
        line, pause = self._line, BACK_OFF_S[0]
        while True:
            pubsub = line.client.pubsub()
            try:
                await pubsub.subscribe(store.channel())
                async with asyncio.timeout(REDIS_S * 2):
                    while await pubsub.get_message(timeout=REDIS_S) is None:
                        pass
                line.subscribed, pause = True, BACK_OFF_S[0]
                line.tried.set()
                await self._begun()
                await self._take_all(pubsub)
            except FAILED as error:
                self._failed(error)
            finally:
                line.subscribed = False
                with contextlib.suppress(*FAILED):
                    await pubsub.aclose()
            await asyncio.sleep(pause)
            pause = min(pause * 2, BACK_OFF_S[1])

    async def _take_all(self, pubsub: Any) -> None:
        heard, asked = time.monotonic(), False
        while True:
            message = await pubsub.get_message(timeout=REDIS_S)
            now = time.monotonic()
            if message is not None:
                heard, asked = now, False
                if message["type"] == "message":
                    await self._take(message["data"])
            elif now - heard > SILENT_S + REDIS_S:
                raise ConnectionError("the subscription is silent")
            elif now - heard > SILENT_S and not asked:
                asked = True
                await pubsub.ping()

    def _failed(self, error: BaseException) -> None:
        line = self._line
        if line.holds:
            line.lost_at = time.time()
            _log.warning("Redis is gone: %s", type(error).__name__)
        line.subscribed = False
        line.tried.set()
        self._lost()
