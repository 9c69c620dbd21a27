"""Answers to what the relay asks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .parts import ODD, at, decode, limit, moment, seconds, speaker, text
from .values import (
    AccountsSeen,
    AccountStats,
    AccountStreams,
    Conn,
    ConnectionsSeen,
    Consumer,
    Malformed,
    Peer,
    Stats,
    Stream,
    StreamsSeen,
    Var,
)

MOST_BYTES = 64 * 1024 * 1024  # max_payload can't be larger

Reply = Stats | Var | AccountsSeen | ConnectionsSeen | StreamsSeen


def read_reply(what: str, data: bytes, offset: int = 0) -> Reply:
    """An answer to a request. what: STATSZ, VARZ, STATZ, CONNZ or JSZ. Raises Malformed."""
    told = decode(data, MOST_BYTES)
    reader = _READERS.get(what)
    if reader is None or "error" in told:
        raise Malformed(f"{what}: no answer that is read")
    try:
        return reader(told, offset)
    except ODD as error:
        raise Malformed(f"{what}: {type(error).__name__}") from error


def stats(told: dict[str, Any], _offset: int = 0) -> Stats:
    server, stats = told["server"], told["statsz"]
    jetstream = stats.get("jetstream") or {}
    config, used = jetstream.get("config") or {}, jetstream.get("stats") or {}
    received = stats.get("received_from_clients") or stats["received"]  # older servers count routes with them
    sent = stats.get("sent_to_clients") or stats["sent"]
    return Stats(
        server=speaker(server),
        at=at(server["time"]),
        start=str(stats["start"]),
        cpu=float(stats.get("cpu") or 0),
        cores=int(stats.get("cores") or 0),
        rss=int(stats.get("mem") or 0),
        connections=int(stats["connections"]),
        total_connections=int(stats["total_connections"]),
        subscriptions=int(stats.get("subscriptions") or 0),
        in_msgs=int(received["msgs"]),
        in_bytes=int(received["bytes"]),
        out_msgs=int(sent["msgs"]),
        out_bytes=int(sent["bytes"]),
        slow_consumers=int(stats.get("slow_consumers") or 0),
        js_storage=limit(used.get("storage")),
        js_max_storage=limit(config.get("max_storage")),
        js_memory=limit(used.get("memory")),
        js_max_memory=limit(config.get("max_memory")),
    )


def _var(told: dict[str, Any], _offset: int) -> Var:
    server, data = told["server"], told["data"]
    return Var(
        speaker(server),
        at(server["time"]),
        str(data.get("config_digest") or ""),
        str(data.get("config_load_time") or ""),
    )


def _accounts(told: dict[str, Any], _offset: int) -> AccountsSeen:
    server = told["server"]
    return AccountsSeen(
        speaker(server),
        at(server["time"]),
        tuple(
            AccountStats(
                account=text(one["acc"]),
                connections=int(one["conns"]),
                leafnodes=int(one.get("leafnodes") or 0),
                subscriptions=int(one.get("num_subscriptions") or 0),
                in_msgs=_outside(one["received"], "msgs"),
                in_bytes=_outside(one["received"], "bytes"),
                out_msgs=_outside(one["sent"], "msgs"),
                out_bytes=_outside(one["sent"], "bytes"),
                slow_consumers=int(one.get("slow_consumers") or 0),
            )
            for one in told["data"].get("account_statz") or ()
        ),
    )


def _outside(told: dict[str, Any], what: str) -> int:
    """Without what servers pass on to each other, which the sum over all of them would count again."""
    between = sum(int((told.get(way) or {}).get(what) or 0) for way in ("routes", "gateways"))
    return max(0, int(told[what]) - between)


def _connections(told: dict[str, Any], _offset: int) -> ConnectionsSeen:
    server, data = told["server"], told["data"]
    return ConnectionsSeen(
        server=speaker(server),
        at=at(server["time"]),
        offset=int(data.get("offset") or 0),
        total=int(data["total"]),
        connections=tuple(map(_conn, data.get("connections") or ())),
    )


def _conn(told: dict[str, Any]) -> Conn:
    kind = str(told.get("type") or "nats") if told.get("kind") == "Client" else str(told.get("kind") or "")
    peer = Peer(
        cid=int(told["cid"]),
        start=str(told.get("start") or ""),
        account=str(told.get("account") or ""),
        login=str(told.get("nkey") or told.get("authorized_user") or ""),
        app=str(told.get("name") or ""),
        address=str(told.get("ip") or ""),
        kind=kind.lower(),
        lang=str(told.get("lang") or ""),
        version=str(told.get("version") or ""),
    )
    rtt = seconds(str(told.get("rtt") or ""))
    return Conn(
        peer=peer,
        idle_s=seconds(str(told.get("idle") or "")) or 0.0,
        rtt_ms=None if rtt is None else round(rtt * 1000, 2),
        subscriptions=int(told.get("subscriptions") or 0),
        pending_bytes=int(told.get("pending_bytes") or 0),
        in_msgs=int(told.get("in_msgs") or 0),
        out_msgs=int(told.get("out_msgs") or 0),
        in_bytes=int(told.get("in_bytes") or 0),
        out_bytes=int(told.get("out_bytes") or 0),
    )


def _streams(told: dict[str, Any], offset: int) -> StreamsSeen:
    server, data = told["server"], told["data"]
    return StreamsSeen(
        server=speaker(server),
        at=at(server["time"]),
        offset=offset,
        total=int(data.get("total") or data.get("accounts") or 0),
        accounts=tuple(
            AccountStreams(
                account=text(one["name"]),
                storage=int(one.get("storage") or 0),
                memory=int(one.get("memory") or 0),
                streams=tuple(map(_stream, one.get("stream_detail") or ())),
            )
            for one in data.get("account_details") or ()
        ),
    )


def _stream(told: dict[str, Any]) -> Stream:
    config, state, cluster = told.get("config") or {}, told["state"], told.get("cluster") or {}
    behind = [one for one in cluster.get("replicas") or () if one.get("offline") or not one.get("current", True)]
    return Stream(
        name=text(told["name"]),
        subjects=tuple(map(str, config.get("subjects") or ())),
        storage=str(config.get("storage") or ""),
        retention=str(config.get("retention") or ""),
        replicas=int(config.get("num_replicas") or 1),
        leader=str(cluster.get("leader") or ""),
        lagging=len(behind),
        messages=int(state["messages"]),
        bytes=int(state["bytes"]),
        max_bytes=limit(config.get("max_bytes")),
        max_messages=limit(config.get("max_msgs")),
        first_at=moment(state.get("first_ts")),
        last_at=moment(state.get("last_ts")),
        last_seq=int(state.get("last_seq") or 0),
        consumers=int(state.get("consumer_count") or 0),
        details=tuple(map(_consumer, told.get("consumer_detail") or ())),
    )


def _consumer(told: dict[str, Any]) -> Consumer:
    config, delivered, acked = told.get("config") or {}, told.get("delivered") or {}, told.get("ack_floor") or {}
    one = config.get("filter_subject")
    return Consumer(
        name=text(told["name"]),
        durable=bool(config.get("durable_name")),
        pull=not config.get("deliver_subject"),
        filters=tuple(map(str, [one] if one else config.get("filter_subjects") or ())),
        pending=int(told.get("num_pending") or 0),
        ack_pending=int(told.get("num_ack_pending") or 0),
        max_ack_pending=limit(config.get("max_ack_pending")),
        redelivered=int(told.get("num_redelivered") or 0),
        waiting=int(told.get("num_waiting") or 0),
        delivered=int(delivered.get("consumer_seq") or 0),
        acked_at=moment(acked.get("last_active")),
        paused=bool(told.get("paused")),
    )


_READERS: dict[str, Callable[[dict[str, Any], int], Reply]] = {
    "STATSZ": stats,
    "VARZ": _var,
    "STATZ": _accounts,
    "CONNZ": _connections,
    "JSZ": _streams,
}
