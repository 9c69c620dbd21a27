"""The frozen values that messages become."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


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
