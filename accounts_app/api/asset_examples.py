"""Examples of streams, buckets and consumers, as REST tells them."""

from __future__ import annotations

from typing import Any

from accounts_app.jetstream.settings import Kind, settings_of
from accounts_app.jetstream.wire import effective
from accounts_app.jetstream.words import write_value

AT = "2027-01-31T12:00:00Z"
_SYNC = {"state": "applied", "revision": 41, "problem": "", "field": ""}
_COUNTS = {"messages": 1204, "bytes": 983040}


def _row(kind: Kind, pk: int, name: str, **said: Any) -> dict[str, Any]:
    """A managed row; said: settings that are no defaults, and `stream` of a consumer."""
    usual = effective(kind, {})
    settings = {name: write_value(setting, usual[name]) for name, setting in settings_of(kind).items()}
    of = {"stream": said.pop("stream")} if "stream" in said else {}
    more = {"managed": True, "state": "applied", "counts": _COUNTS, "drift": [], "ignored_until": None}
    more["seen"] = {"name": name, "num_replicas": 1}
    times = {"seen_at": AT, "created_at": AT, "sync": _SYNC, "warnings": []}
    first = {"id": pk, "system": "main", "account": "ACME", **of, "name": name, "deletion": "keep"}
    return {**first, **settings, **said, **more, **times}


ROWS: dict[str, dict[str, Any]] = {
    "streams": _row("stream", 21, "ORDERS", subjects=["orders.>"], max_age="7d", replicas=3),
    "kv_buckets": _row("kv", 22, "config", history=5),
    "object_buckets": _row("object", 23, "reports", max_bytes=1073741824),
    "consumers": _row("consumer", 24, "billing", stream="ORDERS", filter_subjects=["orders.paid"], max_deliver=5),
}
REQUESTS: dict[str, Any] = {
    "streams_create": {"account": "ACME", "name": "ORDERS", "subjects": ["orders.>"], "max_age": "7d", "replicas": 1},
    "streams_update": {"max_age": "14d", "max_bytes": "10GiB"},
    "kv_buckets_create": {"account": "ACME", "name": "config", "history": 5},
    "kv_buckets_update": {"ttl": "1d"},
    "object_buckets_create": {"account": "ACME", "name": "reports", "max_bytes": "1GiB"},
    "object_buckets_update": {"description": "What the nightly job writes"},
    "consumers_create": {
        "account": "ACME",
        "stream": "ORDERS",
        "name": "billing",
        "filter_subjects": ["orders.paid"],
        "max_deliver": 5,
        "backoff": ["1s", "10s", "1m"],
    },
    "consumers_update": {"pause_until": "2027-02-01T06:00:00Z"},
} | {f"{resource}_ignore": {"until": "2027-02-01T06:00:00Z"} for resource in ROWS}
