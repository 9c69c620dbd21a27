"""What JetStream of an account keeps: streams and consumers with their positions, and whether two looks are equal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from provisioning.jetstream.api import Api

Inventory = dict[str, dict[str, Any]]  # {stream: {"config", "created", "state", "consumers": {name: {…}}}}

_STATE = ("messages", "bytes", "first_seq", "first_ts", "last_seq", "last_ts", "num_deleted", "consumer_count")
_AGEING = ("messages", "bytes", "first_seq", "first_ts", "num_deleted")  # what time alone changes where messages expire
_WAITING = ("num_ack_pending", "num_redelivered", "num_pending")


class OwnApi(Api):
    """JetStream's API as a client of the account itself has it."""

    def prefix(self, account: str) -> str:
        return "$JS.API"


async def take_inventory(api: Api, account: str) -> Inventory:
    """Every stream of an account with its durable consumers; those that come and go are nobody's promise.

    Raises what `Api` raises.
    """
    found: Inventory = {}
    for stream in await api.streams(account):
        name = stream["config"]["name"]
        found[name] = {
            "config": stream["config"],
            "created": stream.get("created", ""),
            "state": {key: stream["state"].get(key, 0) for key in _STATE if key != "consumer_count"},
            "consumers": {
                each["name"]: _consumer(each)
                for each in await api.consumers(account, name)
                if each["config"].get("durable_name")
            },
        }
    return found


def _consumer(each: Mapping[str, Any]) -> dict[str, Any]:
    positions = {
        place: {key: each.get(place, {}).get(key, 0) for key in ("consumer_seq", "stream_seq")}
        for place in ("delivered", "ack_floor")
    }
    waiting = {key: each.get(key, 0) for key in _WAITING}
    return {"config": each["config"], "created": each.get("created", ""), **positions, **waiting}


def unlike(before: Inventory, after: Inventory) -> list[str]:
    """How a second look at the same store differs, in sentences; [] when nothing was lost or changed.

    In a stream whose messages expire they may be fewer.
    """
    both = sorted(before.keys() & after.keys())
    return [
        *_missing(before, after),
        *(text for name in both for text in _stream(name, before, after)),
    ]


def lost(before: Inventory, after: Inventory) -> list[str]:
    """What is not there any more in a store that clients work with again; [] when all goes on from where it was."""
    found = [text for text in _missing(before, after) if "was not there" not in text]
    for name in sorted(before.keys() & after.keys()):
        old, new = before[name], after[name]
        found += [f"Stream {name}: its {key} changed." for key in ("config", "created") if old[key] != new[key]]
        if new["state"]["last_seq"] < old["state"]["last_seq"]:
            numbers = f"{new['state']['last_seq']}, not {old['state']['last_seq']}"
            found.append(f"Stream {name}: its last sequence is {numbers}.")
        for consumer, was in old["consumers"].items():
            if consumer not in new["consumers"]:
                found.append(f"Stream {name}: consumer {consumer} is gone.")
                continue
            now = new["consumers"][consumer]
            for place in ("delivered", "ack_floor"):
                if now[place]["stream_seq"] < was[place]["stream_seq"]:
                    found.append(f"Stream {name}, consumer {consumer}: {place} fell back.")
    return found


def counted(found: Inventory) -> str:
    """How much it is, for a person."""
    messages = sum(stream["state"]["messages"] for stream in found.values())
    consumers = sum(len(stream["consumers"]) for stream in found.values())
    size = sum(stream["state"]["bytes"] for stream in found.values())
    parts = ((len(found), "stream"), (consumers, "durable consumer"), (messages, "message"))
    told = [f"{count:,} {what}{'' if count == 1 else 's'}" for count, what in parts]
    return f"{told[0]}, {told[1]}, {told[2]} ({size:,} bytes)"


def _missing(before: Inventory, after: Inventory) -> Iterator[str]:
    yield from (f"Stream {name} is gone." for name in sorted(before.keys() - after.keys()))
    yield from (f"Stream {name} was not there before." for name in sorted(after.keys() - before.keys()))


def _stream(name: str, before: Inventory, after: Inventory) -> Iterator[str]:
    old, new = before[name], after[name]
    for key in ("config", "created"):
        if old[key] != new[key]:
            yield f"Stream {name}: its {key} changed."
    expires = bool(old["config"].get("max_age") or old["config"].get("allow_msg_ttl"))
    for key, was in old["state"].items():
        now = new["state"][key]
        if now != was and not (expires and key in _AGEING):
            yield f"Stream {name}: {key} is {now}, not {was}."
    for gone in sorted(old["consumers"].keys() - new["consumers"].keys()):
        yield f"Stream {name}: consumer {gone} is gone."
    for consumer in sorted(old["consumers"].keys() & new["consumers"].keys()):
        was, now = old["consumers"][consumer], new["consumers"][consumer]
        for key, value in was.items():
            if now[key] != value and not (expires and key in _WAITING):
                yield f"Stream {name}, consumer {consumer}: {key} is {now[key]}, not {value}."
