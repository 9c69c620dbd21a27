"""What the relay sees, in Redis: the one place that knows its keys. Written by the relay, read by every web process.

<prefix>:frames                          pub/sub: "<system> <topic>\\n" and a frame's bytes; none: made of rows
<prefix>:<system>:topic:<topic>          the topic's last frame
<prefix>:<system>:pulse                  epoch, seq, time and state of the relay
<prefix>:<system>:table:<name>           a table, as one JSON text
<prefix>:<system>:series:<step>:<entity> packed points, oldest first
<prefix>:<system>:watched                accounts whose topic somebody watches, by when that ends
"""

from __future__ import annotations

import json
import struct
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import redis
from django.conf import settings
from redis.backoff import NoBackoff
from redis.retry import Retry

from monitoring.tables import METRICS, Table

TIMEOUT_S = 1.0
STALE_S = 3.0  # a relay that has said nothing for so long is not live
STEPS = {1: 600, 10: 8640}  # seconds of a point: points kept
KEPT_S = 2 * 86_400  # what nobody writes any more is forgotten
WATCH_S = 15.0
_POINT = struct.Struct(f"<I{len(METRICS)}f")


@dataclass(frozen=True, slots=True)
class Pulse:
    """How the relay of a system is. problem: why it sees nothing, "" when connected; since: when that began."""

    epoch: str = ""
    seq: int = 0
    at: float = 0.0
    connected: bool = False
    problem: str = ""
    since: float = 0.0

    @property
    def age_s(self) -> float | None:
        """Seconds since the relay last said something; None for never."""
        return max(0.0, time.time() - self.at) if self.at else None

    @property
    def live(self) -> bool:
        age = self.age_s
        return self.connected and age is not None and age < STALE_S


@cache
def _client(url: str) -> redis.Redis:
    at_once = Retry(NoBackoff(), 0)  # redis-py tries ten times, while somebody waits for a page
    return redis.Redis.from_url(url, socket_timeout=TIMEOUT_S, socket_connect_timeout=TIMEOUT_S, retry=at_once)


def client() -> redis.Redis:
    """The connections of this process."""
    return _client(settings.REDIS_URL)


def channel() -> str:
    """Where frames are published."""
    return f"{settings.LIVE_PREFIX}:frames"


def _key(system_id: int, *rest: object) -> str:
    return ":".join(map(str, (settings.LIVE_PREFIX, system_id, *rest)))


# --- written by the relay. `pipe`: a pipeline of redis or redis.asyncio, executed by the caller ---------------


def put_frame(pipe: Any, system_id: int, topic: str, frame: bytes) -> None:
    """Keep a topic's frame for who comes later, and publish it to those who are here."""
    lives = WATCH_S if topic.startswith("account:") else KEPT_S  # nobody keeps up what nobody watches
    pipe.set(_key(system_id, "topic", topic), frame, ex=int(lives))
    pipe.publish(channel(), f"{system_id} {topic}\n".encode() + frame)


def put_pulse(pipe: Any, system_id: int, pulse: Pulse) -> None:
    """Say how the relay is."""
    told = {name: getattr(pulse, name) for name in Pulse.__slots__}
    pipe.set(_key(system_id, "pulse"), json.dumps(told), ex=KEPT_S)


def put_table(pipe: Any, system_id: int, table: Table) -> None:
    """Replace a table as a whole."""
    told = {"epoch": table.epoch, "seq": table.seq, "at": table.at, "rows": table.rows}
    pipe.set(_key(system_id, "table", table.name), json.dumps(told, separators=(",", ":")), ex=KEPT_S)


def put_point(pipe: Any, system_id: int, step: int, entity: str, at: float, values: Sequence[float]) -> None:
    """Add one point, in the order of METRICS, and drop the oldest beyond the budget of its step."""
    key = series_key(system_id, step, entity)
    pipe.rpush(key, _POINT.pack(int(at), *values))
    pipe.ltrim(key, -STEPS[step], -1)
    pipe.expire(key, KEPT_S)


# --- written by whoever changes a job -------------------------------------------------------------------------


def nudge(system_id: int, topic: str) -> None:
    """Say that a topic which is made of rows has changed. Raises RedisError or OSError."""
    client().publish(channel(), f"{system_id} {topic}\n")


# --- read by web processes; RedisError and OSError are the caller's to answer ---------------------------------
# `…_command`: asks in a pipeline of redis or redis.asyncio, executed by the caller


def read_pulse(system_id: int) -> Pulse:
    """How the relay was when it last said so; an empty one for never."""
    found: Any = client().get(_key(system_id, "pulse"))
    return as_pulse(found)


def pulse_command(pipe: Any, system_id: int) -> None:
    """Ask for a pulse; `as_pulse` reads the answer."""
    pipe.get(_key(system_id, "pulse"))


def as_pulse(found: bytes | None) -> Pulse:
    """What stands under a pulse's key; an empty one for never."""
    return Pulse(**json.loads(found)) if found else Pulse()


def read_frame(system_id: int, topic: str) -> bytes | None:
    """A topic's last frame."""
    found: Any = client().get(_key(system_id, "topic", topic))
    return found


def frame_command(pipe: Any, system_id: int, topic: str) -> None:
    """Ask for a topic's last frame; the answer is its bytes, or None."""
    pipe.get(_key(system_id, "topic", topic))


_parsed: dict[tuple[str, int, str], tuple[bytes, Table]] = {}


def read_table(system_id: int, name: str) -> Table:
    """A table as last seen; without rows when the relay never saw it. The same text is parsed once a process."""
    found: Any = client().get(_key(system_id, "table", name))
    if not found:
        return Table(name)
    key = (settings.LIVE_PREFIX, system_id, name)
    known = _parsed.get(key)
    if known is None or known[0] != found:
        known = _parsed[key] = (found, Table(name=name, **json.loads(found)))
    return known[1]


def read_series(system_id: int, step: int, entity: str) -> list[tuple[float, ...]]:
    """[(seconds since 1970, values in the order of METRICS …)], oldest first. step: 1 or 10."""
    found: Any = client().lrange(series_key(system_id, step, entity), 0, -1)
    return [read_point(point) for point in found]


def series_key(system_id: int, step: int, entity: str) -> str:
    """Where a series stands."""
    return _key(system_id, "series", step, entity)


def read_point(packed: bytes) -> tuple[float, ...]:
    """(seconds since 1970, values in the order of METRICS …) of one packed point."""
    return _POINT.unpack(packed)


def watch(system_id: int, accounts: Iterable[str]) -> None:
    """Ask the relay for the topics `account:NAME` for the next WATCH_S seconds."""
    watch_command(client(), system_id, accounts)


def watch_command(pipe: Any, system_id: int, accounts: Iterable[str]) -> None:
    """The same in a pipeline."""
    names: dict[Any, Any] = dict.fromkeys(accounts, time.time() + WATCH_S)
    if names:
        pipe.zadd(_key(system_id, "watched"), names)


def watched_command(pipe: Any, system_id: int) -> None:
    """Ask in a pipeline which accounts are watched; the answer is a list of their names, as bytes."""
    pipe.zremrangebyscore(_key(system_id, "watched"), 0, time.time())
    pipe.zrange(_key(system_id, "watched"), 0, -1)
