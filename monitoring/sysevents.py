"""What the servers say in the system account → frozen values. Pure: no network, no clock, no Django.

Unknown fields are ignored; what can't be read raises Malformed, and the relay counts it. Only servers can
publish in the system account, so a tenant can't forge these; what names its server or account twice must
name it alike. Sources: server/events.go, server/monitor.go, server/jetstream_events.go; shapes as measured
on 2.15.1.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

MOST_BYTES = 64 * 1024  # of one event
MOST_REPLY_BYTES = 64 * 1024 * 1024  # max_payload can't be larger
FAILED = "Authentication Failure"  # told twice: as AUTH.ERR, and as a client of `$G` that left
KEPT_OUT = frozenset(("Authentication Timeout", "Maximum Account Connections Exceeded"))  # told as having left only
_DURATION = re.compile(r"([0-9.]+)(ns|µs|us|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "µs": 1e-6, "us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


class Malformed(ValueError):
    """A message that is not what its subject promises."""


@dataclass(frozen=True, slots=True)
class Speaker:
    """The server that says it. revision and sha256: nunect's mark in its metadata, None and "" without."""

    id: str
    name: str
    version: str = ""
    cluster: str = ""
    host: str = ""
    revision: int | None = None
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Peer:
    """A client as the server names it. login: user name or public nkey; start: as the server wrote it;
    kind: nats, websocket, mqtt or leafnode."""

    cid: int
    start: str
    account: str
    login: str
    app: str
    address: str
    kind: str
    lang: str
    version: str


@dataclass(frozen=True, slots=True)
class Connected:
    """A login, or at a reload the repeat of one."""

    server: Speaker
    at: float
    peer: Peer


@dataclass(frozen=True, slots=True)
class Disconnected:
    """A client that is gone. reason: the server's own words."""

    server: Speaker
    at: float
    peer: Peer
    reason: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A login that was refused. Its account is `$G`, whatever the user's own."""

    server: Speaker
    at: float
    peer: Peer
    reason: str


@dataclass(frozen=True, slots=True)
class Leaving:
    """A server that goes: lame_duck tells clients first, shutdown is at once."""

    server: Speaker
    at: float
    lame_duck: bool


@dataclass(frozen=True, slots=True)
class Stats:
    """STATSZ: counters since `start`. cpu: percent of one core; rss: bytes."""

    server: Speaker
    at: float
    start: str
    cpu: float
    cores: int
    rss: int
    connections: int
    total_connections: int
    subscriptions: int
    in_msgs: int
    in_bytes: int
    out_msgs: int
    out_bytes: int
    slow_consumers: int
    js_storage: int | None
    js_max_storage: int | None
    js_memory: int | None
    js_max_memory: int | None


@dataclass(frozen=True, slots=True)
class Var:
    """The parts of VARZ that STATSZ lacks. loaded: when the configuration was last read."""

    server: Speaker
    at: float
    digest: str
    loaded: str


@dataclass(frozen=True, slots=True)
class AccountStats:
    """One account on one server: counters since the server's start."""

    account: str
    connections: int
    leafnodes: int
    subscriptions: int
    in_msgs: int
    in_bytes: int
    out_msgs: int
    out_bytes: int
    slow_consumers: int


@dataclass(frozen=True, slots=True)
class AccountsSeen:
    """STATZ of the accounts of one server that have connections."""

    server: Speaker
    at: float
    accounts: tuple[AccountStats, ...]


@dataclass(frozen=True, slots=True)
class Conn:
    """One connection of CONNZ."""

    peer: Peer
    idle_s: float
    rtt_ms: float | None
    subscriptions: int
    pending_bytes: int
    in_msgs: int
    out_msgs: int
    in_bytes: int
    out_bytes: int


@dataclass(frozen=True, slots=True)
class ConnectionsSeen:
    """One page of CONNZ, by rising cid. more: whether another page follows."""

    server: Speaker
    at: float
    offset: int
    total: int
    connections: tuple[Conn, ...]

    @property
    def more(self) -> bool:
        return bool(self.connections) and self.offset + len(self.connections) < self.total


@dataclass(frozen=True, slots=True)
class Consumer:
    """One consumer of JSZ."""

    name: str
    durable: bool
    pull: bool
    filters: tuple[str, ...]
    pending: int
    ack_pending: int
    max_ack_pending: int | None
    redelivered: int
    waiting: int
    delivered: int
    acked_at: str | None
    paused: bool


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream of JSZ. leader: the server that leads it, "" for none; lagging: replicas behind or offline."""

    name: str
    subjects: tuple[str, ...]
    storage: str
    retention: str
    replicas: int
    leader: str
    lagging: int
    messages: int
    bytes: int
    max_bytes: int | None
    max_messages: int | None
    first_at: str | None
    last_at: str | None
    last_seq: int
    consumers: int
    details: tuple[Consumer, ...]


@dataclass(frozen=True, slots=True)
class AccountStreams:
    """JetStream of one account on one server: bytes used, and its streams there."""

    account: str
    storage: int
    memory: int
    streams: tuple[Stream, ...]


@dataclass(frozen=True, slots=True)
class StreamsSeen:
    """One page of JSZ. offset: the one that was asked for, since the answer doesn't tell."""

    server: Speaker
    at: float
    offset: int
    total: int
    accounts: tuple[AccountStreams, ...]

    @property
    def more(self) -> bool:
        return bool(self.accounts) and self.offset + len(self.accounts) < self.total


@dataclass(frozen=True, slots=True)
class Advisory:
    """What JetStream tells of itself in an account. kind: the last part of its type, such as "stream_action".

    The account is the one that it was imported from. Who may publish `$JS.EVENT.>` there can forge it
    within that account, and nowhere else.
    """

    account: str
    id: str
    at: float
    kind: str
    stream: str
    consumer: str
    action: str
    login: str
    app: str
    detail: Mapping[str, Any]


Event = Connected | Disconnected | Refused | Leaving | Stats
Reply = Stats | Var | AccountsSeen | ConnectionsSeen | StreamsSeen


def read_event(subject: str, data: bytes) -> Event:
    """A message that nobody asked for, on `$SYS.ACCOUNT.*.CONNECT` and the like. Raises Malformed."""
    parts = subject.split(".")
    told = _json(data, MOST_BYTES)
    try:
        if subject.startswith("$SYS.ACCOUNT.") and parts[-1] in ("CONNECT", "DISCONNECT"):
            return _client_event(".".join(parts[2:-1]), parts[-1] == "CONNECT", told)
        if subject.startswith("$SYS.SERVER.") and len(parts) > 3:
            return _server_event(parts[2], parts[3:], told)
    except Malformed:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Malformed(f"{subject}: {type(error).__name__}") from error
    raise Malformed(f"{subject}: not a subject that is read")


def read_reply(what: str, data: bytes, offset: int = 0) -> Reply:
    """An answer to a request. what: STATSZ, VARZ, STATZ, CONNZ or JSZ. Raises Malformed."""
    told = _json(data, MOST_REPLY_BYTES)
    reader = _READERS.get(what)
    if reader is None or "error" in told:
        raise Malformed(f"{what}: no answer that is read")
    try:
        return reader(told, offset)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Malformed(f"{what}: {type(error).__name__}") from error


def read_advisory(subject: str, data: bytes, prefix: str) -> Advisory:
    """An advisory that came over the control account. prefix: before the account's name. Raises Malformed."""
    told = _json(data, MOST_BYTES)
    account, _, rest = subject.removeprefix(prefix).partition(".")
    if not subject.startswith(prefix) or not rest:
        raise Malformed(f"{subject}: not an advisory")
    try:
        kind = str(told["type"]).rpartition(".")[2]
        client = told.get("client") or {}
        known = ("action", "subject", "deliveries", "stream_seq", "reason", "domain")
        return Advisory(
            account=account,
            id=str(told["id"]),
            at=_at(told["timestamp"]),
            kind=kind,
            stream=str(told.get("stream") or ""),
            consumer=str(told.get("consumer") or ""),
            action=str(told.get("action") or ""),
            login=str(client.get("user") or client.get("svc") or ""),
            app=str(client.get("name") or ""),
            detail={name: told[name] for name in known if isinstance(told.get(name), str | int)},
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise Malformed(f"{subject}: {type(error).__name__}") from error


def _json(data: bytes, most: int) -> dict[str, Any]:
    if len(data) > most:
        raise Malformed(f"{len(data)} bytes are too many")
    try:
        told = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Malformed("no JSON") from error
    if not isinstance(told, dict):
        raise Malformed("no JSON object")
    return told


def _client_event(account: str, connected: bool, told: dict[str, Any]) -> Event:
    server, peer = _speaker(told["server"]), _peer_of_event(told["client"])
    if peer.account != account:
        raise Malformed("the subject names another account")
    at = _at(told["timestamp"])
    if connected:
        return Connected(server, at, peer)
    return Disconnected(server, at, peer, str(told.get("reason") or ""))


def _server_event(server_id: str, rest: list[str], told: dict[str, Any]) -> Event:
    server = _speaker(told.get("server") or told)
    if server.id != server_id:
        raise Malformed("the subject names another server")
    if rest == ["STATSZ"]:
        return _stats(told)
    if rest == ["CLIENT", "AUTH", "ERR"]:
        return Refused(server, _at(told["timestamp"]), _peer_of_event(told["client"]), str(told.get("reason") or ""))
    if rest in (["SHUTDOWN"], ["LAMEDUCK"]):
        return Leaving(server, _at((told.get("server") or told)["time"]), rest == ["LAMEDUCK"])
    raise Malformed("not a subject that is read")


def _speaker(told: dict[str, Any]) -> Speaker:
    metadata = told.get("metadata") or {}
    number = str(metadata.get("nunect_revision", ""))
    return Speaker(
        id=_text(told["id"]),
        name=_text(told["name"]),
        version=str(told.get("ver") or ""),
        cluster=str(told.get("cluster") or ""),
        host=str(told.get("host") or ""),
        revision=int(number) if number.isdecimal() else None,
        sha256=str(metadata.get("nunect_sha256", "")),
    )


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value:
        raise ValueError("a name is missing")
    return value


def _peer_of_event(told: dict[str, Any]) -> Peer:
    kind = str(told.get("client_type") or "nats") if told.get("kind") == "Client" else str(told.get("kind") or "")
    return Peer(
        cid=int(told["id"]),
        start=str(told.get("start") or ""),
        account=str(told.get("acc") or ""),
        login=str(told.get("nkey") or told.get("user") or ""),
        app=str(told.get("name") or ""),
        address=str(told.get("host") or ""),
        kind=kind.lower(),
        lang=str(told.get("lang") or ""),
        version=str(told.get("ver") or ""),
    )


def _stats(told: dict[str, Any], _offset: int = 0) -> Stats:
    server, stats = told["server"], told["statsz"]
    jetstream = stats.get("jetstream") or {}
    config, used = jetstream.get("config") or {}, jetstream.get("stats") or {}
    return Stats(
        server=_speaker(server),
        at=_at(server["time"]),
        start=str(stats["start"]),
        cpu=float(stats.get("cpu") or 0),
        cores=int(stats.get("cores") or 0),
        rss=int(stats.get("mem") or 0),
        connections=int(stats["connections"]),
        total_connections=int(stats["total_connections"]),
        subscriptions=int(stats.get("subscriptions") or 0),
        in_msgs=int(stats["received"]["msgs"]),
        in_bytes=int(stats["received"]["bytes"]),
        out_msgs=int(stats["sent"]["msgs"]),
        out_bytes=int(stats["sent"]["bytes"]),
        slow_consumers=int(stats.get("slow_consumers") or 0),
        js_storage=_limit(used.get("storage")),
        js_max_storage=_limit(config.get("max_storage")),
        js_memory=_limit(used.get("memory")),
        js_max_memory=_limit(config.get("max_memory")),
    )


def _var(told: dict[str, Any], _offset: int) -> Var:
    server, data = told["server"], told["data"]
    return Var(
        _speaker(server),
        _at(server["time"]),
        str(data.get("config_digest") or ""),
        str(data.get("config_load_time") or ""),
    )


def _accounts(told: dict[str, Any], _offset: int) -> AccountsSeen:
    server = told["server"]
    return AccountsSeen(
        _speaker(server),
        _at(server["time"]),
        tuple(
            AccountStats(
                account=_text(one["acc"]),
                connections=int(one["conns"]),
                leafnodes=int(one.get("leafnodes") or 0),
                subscriptions=int(one.get("num_subscriptions") or 0),
                in_msgs=int(one["received"]["msgs"]),
                in_bytes=int(one["received"]["bytes"]),
                out_msgs=int(one["sent"]["msgs"]),
                out_bytes=int(one["sent"]["bytes"]),
                slow_consumers=int(one.get("slow_consumers") or 0),
            )
            for one in told["data"].get("account_statz") or ()
        ),
    )


def _connections(told: dict[str, Any], _offset: int) -> ConnectionsSeen:
    server, data = told["server"], told["data"]
    return ConnectionsSeen(
        server=_speaker(server),
        at=_at(server["time"]),
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
        server=_speaker(server),
        at=_at(server["time"]),
        offset=offset,
        total=int(data.get("total") or data.get("accounts") or 0),
        accounts=tuple(
            AccountStreams(
                account=_text(one["name"]),
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
        name=_text(told["name"]),
        subjects=tuple(map(str, config.get("subjects") or ())),
        storage=str(config.get("storage") or ""),
        retention=str(config.get("retention") or ""),
        replicas=int(config.get("num_replicas") or 1),
        leader=str(cluster.get("leader") or ""),
        lagging=len(behind),
        messages=int(state["messages"]),
        bytes=int(state["bytes"]),
        max_bytes=_limit(config.get("max_bytes")),
        max_messages=_limit(config.get("max_msgs")),
        first_at=_moment(state.get("first_ts")),
        last_at=_moment(state.get("last_ts")),
        last_seq=int(state.get("last_seq") or 0),
        consumers=int(state.get("consumer_count") or 0),
        details=tuple(map(_consumer, told.get("consumer_detail") or ())),
    )


def _consumer(told: dict[str, Any]) -> Consumer:
    config, delivered, acked = told.get("config") or {}, told.get("delivered") or {}, told.get("ack_floor") or {}
    one = config.get("filter_subject")
    return Consumer(
        name=_text(told["name"]),
        durable=bool(config.get("durable_name")),
        pull=not config.get("deliver_subject"),
        filters=tuple(map(str, [one] if one else config.get("filter_subjects") or ())),
        pending=int(told.get("num_pending") or 0),
        ack_pending=int(told.get("num_ack_pending") or 0),
        max_ack_pending=_limit(config.get("max_ack_pending")),
        redelivered=int(told.get("num_redelivered") or 0),
        waiting=int(told.get("num_waiting") or 0),
        delivered=int(delivered.get("consumer_seq") or 0),
        acked_at=_moment(acked.get("last_active")),
        paused=bool(told.get("paused")),
    )


_READERS: dict[str, Callable[[dict[str, Any], int], Reply]] = {
    "STATSZ": _stats,
    "VARZ": _var,
    "STATZ": _accounts,
    "CONNZ": _connections,
    "JSZ": _streams,
}


def _limit(value: Any) -> int | None:
    """A limit or use; None for "unlimited", which servers write as -1 or the largest number."""
    if value is None:
        return None
    number = int(value)
    return None if number < 0 or number >= 2**63 - 1 else number


def _at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def _moment(text: Any) -> str | None:
    """A time as the server wrote it; None for its zero time."""
    return text if isinstance(text, str) and not text.startswith("0001-") else None


def seconds(text: str) -> float | None:
    """A duration as Go writes it ("1m2.5s", "673µs", also with d and y as CONNZ does); None for another text."""
    whole = 0.0
    rest = text
    for unit, worth in (("y", 365 * 86400.0), ("d", 86400.0)):
        head, found, tail = rest.partition(unit)
        if found and head.isdecimal():
            whole, rest = whole + int(head) * worth, tail
    parts = _DURATION.findall(rest)
    if "".join(number + unit for number, unit in parts) != rest or not text:
        return None
    return float(whole + sum(float(number) * _SECONDS[unit] for number, unit in parts))
