"""Where the relay puts what it sees: Redis, which may be gone for a while."""

from __future__ import annotations

import logging
import time
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import redis.asyncio
from redis.exceptions import RedisError

from monitoring import frames, store
from monitoring.relay.picture import Point
from monitoring.store import Pulse
from monitoring.tables import Table

logger = logging.getLogger(__name__)
BEAT_S = 0.95  # a topic of which nothing is heard for longer is old
SPARKS = 60  # points of ten seconds in a sparkline


class Board:
    """The frames, tables and series of one system. What can't be written is lost, and said once."""

    def __init__(self, client: redis.asyncio.Redis, system_id: int, name: str) -> None:
        self._client, self._system, self.name = client, system_id, name
        self.epoch, self._seq = uuid.uuid4().hex[:12], 0
        self._told: dict[str, tuple[float, Any]] = {}
        self._tables: dict[str, dict[str, int]] = {}
        self.tens: deque[tuple[float, Point]] = deque(maxlen=SPARKS)
        self.watched: list[str] = []
        self._failed = False

    async def restore(self) -> list[tuple[float, Point]]:
        """Take up the sparklines where the relay before has left them; the points of its last seconds."""
        pipe = self._client.pipeline(transaction=False)
        pipe.lrange(store.series_key(self._system, 10, "system"), -SPARKS, -1)
        pipe.lrange(store.series_key(self._system, 1, "system"), 0, -1)
        tens: list[tuple[float, Point]]
        seconds: list[tuple[float, Point]]
        tens, seconds = [
            [(at, tuple(values)) for at, *values in map(store.read_point, found)]
            for found in await self._execute(pipe) or [[], []]
        ]
        self.tens.extend(tens)
        return seconds

    async def frame(self, topic: str, data: dict[str, Any]) -> None:
        """Publish a topic's state, when it is another than before or has not been said for a second."""
        said, before = self._told.get(topic, (0.0, None))
        now = time.monotonic()
        if before == data and now - said < BEAT_S:
            return
        self._told[topic] = (now, data)
        pipe = self._client.pipeline(transaction=False)
        self._put(pipe, topic, data)
        await self._execute(pipe)

    async def table(self, rows: Mapping[str, Sequence[Sequence[Any]]]) -> None:
        """Replace tables."""
        pipe = self._client.pipeline(transaction=False)
        for name, each in rows.items():
            self._seq += 1
            store.put_table(pipe, self._system, Table(name, each, self.epoch, self._seq, time.time()))
            self._tables[name] = {"count": len(each), "seq": self._seq}
        self._put(pipe, "tables", self._tables)
        await self._execute(pipe)

    async def pulse(self, *, connected: bool, problem: str, since: float) -> None:
        """Say that we live, and learn who is watched."""
        pipe = self._client.pipeline(transaction=False)
        pulse = Pulse(self.epoch, self._seq, time.time(), connected, problem, since)
        store.put_pulse(pipe, self._system, pulse)
        store.watched_command(pipe, self._system)
        answers = await self._execute(pipe)
        if answers:
            self.watched = [name.decode() for name in answers[-1]]

    async def points(self, step: int, at: float, points: Mapping[str, Point]) -> None:
        """One point of each series."""
        pipe = self._client.pipeline(transaction=False)
        for entity, values in points.items():
            store.put_point(pipe, self._system, step, entity, at, values)
        if step == 10 and "system" in points:
            self.tens.append((at, points["system"]))
        await self._execute(pipe)

    def _put(self, pipe: Any, topic: str, data: dict[str, Any]) -> None:
        self._seq += 1
        frame = frames.snapshot(topic, self.name, self.epoch, self._seq, time.time(), data)
        store.put_frame(pipe, self._system, topic, frame)

    async def _execute(self, pipe: Any) -> list[Any]:
        try:
            answers: list[Any] = await pipe.execute()
        except (RedisError, OSError) as error:
            self._bad(error)
            return []
        if self._failed:
            logger.info("Redis answers again")
        self._failed = False
        return answers

    def _bad(self, error: Exception) -> None:
        if not self._failed:
            logger.warning("Redis doesn't answer", extra={"why": type(error).__name__})
        self._failed = True
