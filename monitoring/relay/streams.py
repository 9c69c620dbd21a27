"""JetStream of a system as its servers see it: each stream once, as its leader tells of it. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from monitoring.relay.rates import Rates
from monitoring.sysevents import Consumer, Stream, StreamsSeen

Key = tuple[str, str]


@dataclass(slots=True)
class Used:
    """JetStream of one account: bytes on disk and in memory, as its servers count them, replicas and all."""

    streams: int = 0
    consumers: int = 0
    storage: int = 0
    memory: int = 0


@dataclass(slots=True)
class _Server:
    """What one server has said. fresh: the pages of the look under way, which replace it when all are there."""

    streams: dict[Key, Stream] = field(default_factory=dict)
    use: dict[str, tuple[int, int]] = field(default_factory=dict)
    at: float = 0.0
    fresh: tuple[dict[Key, Stream], dict[str, tuple[int, int]]] | None = None


@dataclass(slots=True)
class Streams:
    """{server: what it said}"""

    servers: dict[str, _Server] = field(default_factory=dict)
    rates: dict[tuple[str, ...], Rates] = field(default_factory=dict)

    def take(self, seen: StreamsSeen) -> None:
        """One page of what a server says; it counts when all pages are there."""
        server = self.servers.setdefault(seen.server.name, _Server())
        if seen.offset == 0 or server.fresh is None:
            server.fresh = ({}, {})
        streams, use = server.fresh
        for one in seen.accounts:
            use[one.account] = (one.storage, one.memory)
            streams.update({(one.account, stream.name): stream for stream in one.streams})
        if not seen.more:
            server.streams, server.use, server.at, server.fresh = streams, use, seen.at, None

    def drop(self, server: str) -> None:
        """A server is gone, and what it knew with it."""
        self.servers.pop(server, None)

    def all(self) -> dict[Key, tuple[str, float, Stream]]:
        """{(account, stream): (server that tells, when, what)}: the leader's word counts most."""
        found: dict[Key, tuple[str, float, Stream]] = {}
        for name, server in self.servers.items():
            for key, stream in server.streams.items():
                if key not in found or stream.leader == name:
                    found[key] = (name, server.at, stream)
        return found

    def used(self) -> dict[str, Used]:
        """{account: what it uses}"""
        found: dict[str, Used] = {}
        for server in self.servers.values():
            for account, (storage, memory) in server.use.items():
                use = found.setdefault(account, Used())
                use.storage, use.memory = use.storage + storage, use.memory + memory
        for (account, _), (_, _, stream) in self.all().items():
            use = found.setdefault(account, Used())
            use.streams, use.consumers = use.streams + 1, use.consumers + stream.consumers
        return found

    def rows(self, pk_of: Callable[[str], int | None]) -> Mapping[str, list[list[Any]]]:
        """The tables `streams` and `consumers`. pk_of: the primary key of an account's row."""
        streams, consumers = [], []
        living: set[tuple[str, ...]] = set()
        for (account, name), (server, at, stream) in sorted(self.all().items()):
            pk, key = pk_of(account), (account, name)
            living.add(key)
            streams.append(_stream_row(account, pk, stream, self._rate(key, at, stream.last_seq), server))
            for each in stream.details:
                deep = (*key, each.name)
                living.add(deep)
                consumers.append(_consumer_row(account, pk, name, each, self._rate(deep, at, each.delivered), server))
        for gone in self.rates.keys() - living:
            del self.rates[gone]
        return {"streams": streams, "consumers": consumers}

    def _rate(self, key: tuple[str, ...], at: float, count: int) -> float:
        rates = self.rates.get(key)
        if rates is None:
            rates = self.rates[key] = Rates(at, (count,))
        else:
            rates.take(at, (count,))
        return rates.values[0]


def _stream_row(account: str, pk: int | None, stream: Stream, rate: float, server: str) -> list[Any]:
    state = "lagging" if stream.lagging else "ok"
    if stream.replicas > 1 and not stream.leader:
        state = "no_leader"
    return [
        account,
        pk,
        stream.name,
        list(stream.subjects),
        stream.storage,
        stream.retention,
        stream.replicas,
        stream.leader,
        state,
        stream.messages,
        stream.bytes,
        stream.max_bytes,
        stream.max_messages,
        stream.consumers,
        stream.first_at,
        stream.last_at,
        rate,
        server,
    ]


def _consumer_row(account: str, pk: int | None, stream: str, one: Consumer, rate: float, server: str) -> list[Any]:
    return [
        account,
        pk,
        stream,
        one.name,
        one.durable,
        one.pull,
        list(one.filters),
        one.pending,
        one.ack_pending,
        one.max_ack_pending,
        one.redelivered,
        one.waiting,
        one.delivered,
        rate,
        one.acked_at,
        one.paused,
        server,
    ]
