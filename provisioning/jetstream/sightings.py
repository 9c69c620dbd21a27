"""What the servers tell of streams and consumers, as rows keep it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from provisioning.server import Fleet

DYNAMIC = ("_nats.level", "_nats.ver")  # of the metadata: what the server that answers is, not what the object is
PAGE = 100  # accounts in one answer
_ASK = {"accounts": True, "streams": True, "consumer": True, "config": True, "stream_leader_only": True, "limit": PAGE}


@dataclass(slots=True)
class Sighting:
    """A stream as its leader tells of it. consumers: {name: what it tells of a durable consumer}."""

    info: dict[str, Any]
    consumers: dict[str, dict[str, Any]] = field(default_factory=dict)


def look_around(fleet: Fleet) -> dict[str, dict[str, Sighting]]:
    """{account: {stream: what its leader tells}} of all servers that answer.

    What isn't there may be on a server that is away, or be choosing a leader: only the API knows that it is gone.
    """
    found: dict[str, dict[str, Sighting]] = {}
    for account in _accounts(fleet):
        for detail in account.get("stream_detail") or ():
            consumers = {
                each["name"]: each
                for each in detail.get("consumer_detail") or ()
                if (each.get("config") or {}).get("durable_name")
            }
            if "config" in detail:
                found.setdefault(account["name"], {})[detail["name"]] = Sighting(detail, consumers)
    return found


def _accounts(fleet: Fleet) -> Iterator[dict[str, Any]]:
    """Accounts with JetStream as each server tells of them, page by page."""
    offset, asked = 0, fleet.jetstream(dict(_ASK, offset=0))
    while asked:
        more = []
        for server_id, data in asked.items():
            page = data.get("account_details") or []
            yield from page
            if page and offset + len(page) < int(data.get("total", 0)):
                more.append(server_id)
        offset += PAGE
        asked = fleet.jetstream(dict(_ASK, offset=offset), more) if more else {}


def config_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """A server's config without what differs from one answer to the next."""
    metadata = {key: text for key, text in (config.get("metadata") or {}).items() if key not in DYNAMIC}
    return {**{key: value for key, value in config.items() if key != "metadata"}, "metadata": metadata}


def counts_of(info: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers of a stream (messages, bytes, …) or a consumer (pending, …), as INFO and JSZ both tell them."""
    if "state" in info:
        return _of_stream(info["state"], info.get("cluster") or {})
    return {
        "pending": info.get("num_pending", 0),
        "ack_pending": info.get("num_ack_pending", 0),
        "redelivered": info.get("num_redelivered", 0),
        "waiting": info.get("num_waiting", 0),
        "delivered": (info.get("delivered") or {}).get("consumer_seq", 0),
        "acknowledged": (info.get("ack_floor") or {}).get("consumer_seq", 0),
        "paused": bool(info.get("paused")),
    }


def _of_stream(state: Mapping[str, Any], cluster: Mapping[str, Any]) -> dict[str, Any]:
    replicas = cluster.get("replicas") or ()
    return {
        "messages": state.get("messages", 0),
        "bytes": state.get("bytes", 0),
        "subjects": state.get("num_subjects", 0),
        "consumers": state.get("consumer_count", 0),
        "first_seq": state.get("first_seq", 0),
        "last_seq": state.get("last_seq", 0),
        "last_at": state.get("last_ts", "") if state.get("messages") else "",
        "leader": cluster.get("leader", ""),
        "lagging": [each["name"] for each in replicas if not each.get("current") or each.get("offline")],
    }
