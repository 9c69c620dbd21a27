"""All that is known of what one system's servers do, and how it is told. Pure: time and rows are arguments."""

from __future__ import annotations

from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from accounts_app.natsconf.names import GLOBAL_ACCOUNT
from monitoring.events import KINDS, Event
from monitoring.relay.accounts import AccountRow, Accounts, Sums, busiest, row_of
from monitoring.relay.connections import Connections
from monitoring.relay.failures import Failures
from monitoring.relay.servers import Intended, Seen, Servers
from monitoring.relay.streams import Streams, Used
from monitoring.relay.who import Who
from monitoring.sysevents import (
    KEPT_OUT,
    AccountsSeen,
    Connected,
    ConnectionsSeen,
    Disconnected,
    Leaving,
    Refused,
    Reply,
    Stats,
    StreamsSeen,
    Var,
)
from monitoring.sysevents import Event as Said
from monitoring.tables import METRICS, TABLES

FEED = 20  # events in one frame
TOP = 8  # accounts in the overview
SPARK = ("connections", "in_msgs_rate", "out_msgs_rate", "in_bytes_rate", "out_bytes_rate")
SPARKS = (*SPARK, "js_storage", "auth_failures", "slow_consumers")
RECENT_S = 600  # refusals and slow consumers are told of so many seconds
REMEMBERED = 2000  # accounts whose last events are known, those of the last ones
SAMPLED = 64  # accounts that have a series of their own, the busiest
Point = tuple[float, ...]


@dataclass(slots=True)
class Picture:
    """One system. known: {account: what its row says}; own: nkeys of nunect itself."""

    servers: Servers = field(default_factory=Servers)
    accounts: Accounts = field(default_factory=Accounts)
    connections: Connections = field(default_factory=Connections)
    streams: Streams = field(default_factory=Streams)
    failures: Failures = field(default_factory=Failures)
    known: Mapping[str, AccountRow] = field(default_factory=dict)
    intended: Intended = field(default_factory=Intended)
    own: frozenset[str] = frozenset()
    counts: Counter[str] = field(default_factory=Counter)
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=FEED * 2))
    of_accounts: OrderedDict[str, deque[Event]] = field(default_factory=OrderedDict)
    refused: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=RECENT_S))
    slow: deque[tuple[int, int]] = field(default_factory=lambda: deque(maxlen=RECENT_S))
    second: dict[str, float] = field(default_factory=dict)  # the system's last point
    _last: dict[str, int] = field(default_factory=lambda: {"auth_error": 0, "slow": 0})
    _slow_total: int = 0

    def restore(self, seconds: Iterable[tuple[float, Point]]) -> None:
        """Know again what the relay before has seen in the last ten minutes."""
        refused, slow = METRICS.index("auth_failures"), METRICS.index("slow_consumers")
        for at, values in seconds:
            self.refused.append((int(at), int(values[refused])))
            self.slow.append((int(at), int(values[slow])))

    # --- what comes in --------------------------------------------------------------

    def take_event(self, said: Said, now: float) -> Iterator[Event | Said]:
        """What a server says unasked; yields what is news: of clients as it was said, of servers told already."""
        if isinstance(said, Disconnected) and said.reason in KEPT_OUT and not self.connections.knows(said):
            said = Refused(said.server, said.at, said.peer, said.reason)
        if isinstance(said, Stats):
            yield from self._stats(said, now)
        elif isinstance(said, Leaving):
            yield from self.servers.take_leaving(said)
        elif said.peer.login in self.own:
            if isinstance(said, Connected):
                self.connections.connected(said, now)
            elif isinstance(said, Disconnected):
                self.connections.disconnected(said)
        elif isinstance(said, Refused):
            self.failures.take(said)
            self.counts["auth_error"] += 1
            yield said
        elif isinstance(said, Connected):
            if self.connections.connected(said, now):
                self.counts["connect"] += 1
                yield said
        elif self.connections.disconnected(said):
            self.counts["disconnect"] += 1
            yield said

    def take_reply(self, reply: Reply, asked: float, now: float) -> Iterator[Event]:
        """An answer to a question. asked: when it was asked, by our clock."""
        if isinstance(reply, Stats):
            yield from self._stats(reply, now)
        elif isinstance(reply, Var):
            yield from self.servers.take_var(reply, now)
        elif isinstance(reply, AccountsSeen):
            if server := self.servers.by_name.get(reply.server.name):  # else its next answer is the first
                self.accounts.take(reply, server.stats.start)
        elif isinstance(reply, ConnectionsSeen):
            self.connections.take(reply, asked, now)
        elif isinstance(reply, StreamsSeen):
            self.streams.take(reply)

    def _stats(self, stats: Stats, now: float) -> Iterator[Event]:
        for event in self.servers.take_stats(stats, now):
            if event.detail.get("what") == "up":
                self._forget(stats.server.name)
            yield event
        total = sum(seen.rates.totals[4] for seen in self.servers.by_name.values())
        self.counts["slow"] += max(0, total - self._slow_total) if self._slow_total or self.servers.began else 0
        self._slow_total = total

    def look(self, now: float, *, blind: bool) -> Iterator[Event]:
        """Who has fallen silent since. blind: we have no connection to hear anybody."""
        for event in self.servers.look(now, reloading=self.intended.pending, blind=blind):
            self._forget(event.server)
            yield event
        self.failures.forget(now)
        if self.servers.by_name:
            self.servers.began = True

    def _forget(self, server: str) -> None:
        """What a server that is gone, or new, was known to hold."""
        self.accounts.drop(server)
        self.streams.drop(server)
        self.connections.keep_servers(seen.speaker.id for seen in self.servers.by_name.values() if not seen.lost)

    def tell(self, events: list[Event]) -> None:
        """Put told events into the feed, the newest last."""
        self.events.extend(events)
        for event in events:
            if event.account:
                self.of_accounts.setdefault(event.account, deque(maxlen=FEED)).append(event)
                self.of_accounts.move_to_end(event.account)
                if len(self.of_accounts) > REMEMBERED:
                    self.of_accounts.popitem(last=False)
            if event.kind not in ("connect", "disconnect", "auth_error"):
                self.counts[event.kind] += 1

    # --- what goes out --------------------------------------------------------------

    def point(self, now: float) -> dict[str, Point]:
        """One second in the order of METRICS: {entity: values}. To be called once a second."""
        refused, slow = self._grown("auth_error"), self._grown("slow")
        self.refused.append((int(now), refused))
        self.slow.append((int(now), slow))
        living, sums, used = self.servers.living(now), self.accounts.sums(), self.streams.used()
        points = {"system": self._whole(living, sums, refused, slow)}
        self.second = dict(zip(METRICS, points["system"], strict=True))
        points.update({f"server:{seen.speaker.name}": _server_point(seen) for seen in living})
        for name in busiest(sums, SAMPLED):
            points[f"account:{name}"] = _account_point(sums[name], used.get(name, Used()))
        return points

    def _grown(self, count: str) -> int:
        total = self.counts[count]
        grown, self._last[count] = total - self._last[count], total
        return grown

    def _whole(self, living: list[Seen], sums: Mapping[str, Sums], refused: int, slow: int) -> Point:
        """The system without nunect's own: what it asks the servers is no traffic that anybody wants to see."""
        stats = [seen.stats for seen in living]
        connected = self.connections.count({seen.speaker.id for seen in living}, self.own)
        others = [total.rates for name, total in sums.items() if not _is_own(name)]
        return (
            connected,
            sum(one.subscriptions for one in stats),
            *(round(sum(rates[each] for rates in others), 2) for each in range(4)),
            sum(one.js_storage or 0 for one in stats),
            sum(one.js_memory or 0 for one in stats),
            slow,
            refused,
            sum(one.cpu for one in stats),
            sum(one.rss for one in stats),
        )

    def overview(self, now: float, tens: list[tuple[float, Point]]) -> dict[str, Any]:
        """Data of the topic `overview`. tens: the last points of ten seconds, oldest first."""
        living, sums, used = self.servers.living(now), self.accounts.sums(), self.streams.used()
        values = dict(zip(METRICS, self._whole(living, sums, 0, 0), strict=True))
        figures = {name: round(values[name], 1) for name in (*SPARK, "subscriptions", "js_storage", "js_memory")}
        for name in ("js_max_storage", "js_max_memory"):
            figures[name] = sum(getattr(seen.stats, name) or 0 for seen in living)
        figures["auth_failures"] = sum(count for at, count in self.refused if at > now - RECENT_S)
        figures["slow_consumers"] = sum(count for at, count in self.slow if at > now - RECENT_S)
        own = [name for name in sums if _is_own(name)]
        spark: dict[str, list[float]] = {"at": [at for at, _ in tens]}
        for name in SPARKS:
            index = METRICS.index(name)
            spark[name] = [round(point[index], 1) for _, point in tens]
        return {
            "figures": figures,
            "second": self.second,
            "spark": spark,
            "servers": [_told("servers", row, _SERVER_SHOWN) for row in self.servers.rows(self.intended, now)[:50]],
            "accounts": [_told("accounts", row_of(name, sums, self.known, used)) for name in busiest(sums, TOP, own)],
        }

    def feed(self, malformed: int, unarchived: int) -> dict[str, Any]:
        """Data of the topic `events`, the newest first."""
        last = sorted(self.events, key=lambda event: event.at)[-FEED:]
        return {
            "events": [event.as_dict() for event in reversed(last)],
            "counts": {kind: self.counts[kind] for kind in KINDS},
            "malformed": malformed,
            "unarchived": unarchived,
        }

    def account(self, name: str) -> dict[str, Any]:
        """Data of the topic `account:NAME`."""
        row = row_of(name, self.accounts.sums(), self.known, self.streams.used())
        events = sorted(self.of_accounts.get(name, ()), key=lambda event: event.at, reverse=True)
        return {"row": _told("accounts", row), "events": [event.as_dict() for event in events]}

    def table(self, name: str, who: Callable[[str], Who | None], now: float) -> dict[str, list[list[Any]]]:
        """{table: rows} of what is made together with `name`. who: whose a login is, None when not known."""
        if name == "servers":
            return {name: self.servers.rows(self.intended, now)}
        if name == "accounts":
            return {name: self.accounts.rows(self.known, self.streams.used())}
        if name == "connections":
            return {name: self.connections.rows(who, self.known, self.own, now)}
        if name == "failures":
            return {name: self.failures.rows()}
        return dict(self.streams.rows(self._pk))

    def _pk(self, account: str) -> int | None:
        row = self.known.get(account)
        return row.pk if row else None

    def logins(self) -> set[str]:
        """Every login of the table of connections."""
        return {link.peer.login for link in self.connections.links.values()}


_SERVER_SHOWN = frozenset(
    ("server", "state", "detail", "revision", "intended", "connections", "in_msgs_rate", "out_msgs_rate", "cpu", "rss")
)


def _told(table: str, row: list[Any], shown: frozenset[str] | None = None) -> dict[str, Any]:
    columns = zip(TABLES[table], row, strict=True)
    return {name: value for name, value in columns if shown is None or name in shown}


def _is_own(account: str) -> bool:
    """The system account and nunect's own; `$G` is somebody's."""
    return account.startswith("$") and account != GLOBAL_ACCOUNT


def _server_point(seen: Seen) -> Point:
    stats = seen.stats
    return (
        stats.connections,
        stats.subscriptions,
        *seen.rates.values[:4],
        stats.js_storage or 0,
        stats.js_memory or 0,
        0.0,
        0.0,
        stats.cpu,
        stats.rss,
    )


def _account_point(sums: Sums, used: Used) -> Point:
    return (
        sums.connections,
        sums.subscriptions,
        *sums.rates,
        used.storage,
        used.memory,
        0.0,
        0.0,
        0.0,
        0.0,
    )
