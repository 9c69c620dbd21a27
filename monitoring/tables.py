"""The tables of what is seen, column by column: the relay fills them, REST and the pages read them. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

Type = Literal[
    "text", "count", "bytes", "rate", "bytes_rate", "percent", "time", "seconds", "milliseconds", "yes", "texts"
]

# Text is searched and can be filtered by; a rate is of a second; a time is ISO 8601 or None; None: not known.
TABLES: dict[str, dict[str, Type]] = {
    "servers": {
        "server": "text",
        "id": "text",
        "cluster": "text",
        "version": "text",
        "host": "text",
        "state": "text",  # in_sync, pending, failed, unreachable, foreign, too_old, reloading, lame_duck
        "detail": "text",
        "revision": "count",  # that its metadata carries
        "intended": "count",  # the system's own
        "digest": "text",
        "started_at": "time",
        "seen_at": "time",
        "cpu": "percent",  # of one core
        "cores": "count",
        "rss": "bytes",
        "connections": "count",
        "total_connections": "count",
        "subscriptions": "count",
        "in_msgs_rate": "rate",
        "out_msgs_rate": "rate",
        "in_bytes_rate": "bytes_rate",
        "out_bytes_rate": "bytes_rate",
        "slow_consumers": "count",
        "js_storage": "bytes",
        "js_max_storage": "bytes",
        "js_memory": "bytes",
        "js_max_memory": "bytes",
    },
    "accounts": {
        "account": "text",
        "account_pk": "count",
        "owner": "text",
        "connections": "count",
        "max_connections": "count",  # None or -1: no limit of the account's own
        "leafnodes": "count",
        "subscriptions": "count",
        "max_subscriptions": "count",
        "in_msgs": "count",
        "out_msgs": "count",
        "in_msgs_rate": "rate",
        "out_msgs_rate": "rate",
        "in_bytes_rate": "bytes_rate",
        "out_bytes_rate": "bytes_rate",
        "slow_consumers": "count",
        "streams": "count",
        "max_streams": "count",
        "consumers": "count",
        "max_consumers": "count",
        "js_storage": "bytes",
        "js_max_storage": "bytes",
        "js_memory": "bytes",
        "js_max_memory": "bytes",
        "revision": "count",  # the last one that changed it
    },
    "connections": {
        "server": "text",
        "server_id": "text",
        "cid": "count",
        "account": "text",
        "user": "text",
        "user_pk": "count",
        "owner": "text",
        "app": "text",
        "address": "text",
        "kind": "text",  # nats, websocket, mqtt, leafnode
        "lang": "text",
        "version": "text",
        "started_at": "time",
        "idle_s": "seconds",
        "rtt_ms": "milliseconds",
        "subscriptions": "count",
        "pending_bytes": "bytes",
        "in_msgs": "count",
        "out_msgs": "count",
        "in_msgs_rate": "rate",
        "out_msgs_rate": "rate",
        "in_bytes_rate": "bytes_rate",
        "out_bytes_rate": "bytes_rate",
        "revision": "count",  # the last one that changed its account
        "own": "yes",  # nunect's own
    },
    "failures": {  # grouped by login, address and reason
        "user": "text",
        "user_pk": "count",
        "account": "text",  # of the user with that name, empty when there is none
        "owner": "text",
        "address": "text",
        "app": "text",
        "server": "text",  # the last one
        "reason": "text",  # the server's own words
        "why": "text",  # in a sentence
        "remedy": "text",  # what to do
        "code": "text",
        "count": "count",
        "first_at": "time",
        "last_at": "time",
    },
    "streams": {
        "account": "text",
        "account_pk": "count",
        "stream": "text",
        "subjects": "texts",
        "storage": "text",
        "retention": "text",
        "replicas": "count",
        "leader": "text",
        "state": "text",  # ok, no_leader, lagging
        "messages": "count",
        "bytes": "bytes",
        "max_bytes": "bytes",
        "max_messages": "count",
        "consumers": "count",
        "first_at": "time",
        "last_at": "time",
        "in_msgs_rate": "rate",
        "server": "text",
    },
    "consumers": {
        "account": "text",
        "account_pk": "count",
        "stream": "text",
        "consumer": "text",
        "durable": "yes",
        "pull": "yes",
        "filter": "texts",
        "pending": "count",  # in the stream and not yet delivered: the lag
        "ack_pending": "count",
        "max_ack_pending": "count",
        "redelivered": "count",
        "waiting": "count",  # pull requests
        "delivered": "count",
        "delivered_rate": "rate",
        "acked_at": "time",
        "paused": "yes",
        "server": "text",
    },
}

# Of `system`, `server:NAME` and `account:NAME`; what doesn't apply is 0.
METRICS = (
    "connections",
    "subscriptions",
    "in_msgs_rate",
    "out_msgs_rate",
    "in_bytes_rate",
    "out_bytes_rate",
    "js_storage",
    "js_memory",
    "slow_consumers",
    "auth_failures",
    "cpu",
    "rss",
)
SUMMED = frozenset(("auth_failures", "slow_consumers"))  # how many in the time of a point; the others are means


@dataclass(frozen=True, slots=True)
class Table:
    """Rows in the order of their columns. seq: of the frame that it belongs to; at: seconds since 1970, 0 for never."""

    name: str
    rows: Sequence[Sequence[Any]] = ()
    epoch: str = ""
    seq: int = 0
    at: float = 0.0

    @property
    def columns(self) -> tuple[str, ...]:
        return tuple(TABLES[self.name])

    def index(self, column: str) -> int:
        """Where a column stands in each row."""
        return self.columns.index(column)
