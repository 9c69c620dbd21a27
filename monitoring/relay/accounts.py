"""The accounts of a system as their servers see them: sums over all servers. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from monitoring.relay.rates import Rates
from monitoring.relay.streams import Used
from monitoring.sysevents import AccountsSeen, AccountStats

FORGOTTEN_S = 60.0  # what a server has not mentioned for so long has no connections there any more


@dataclass(frozen=True, slots=True)
class AccountRow:
    """What the rows say of an account. limits: by their column in the table; revision: the last that changed it."""

    pk: int
    owner: str = ""
    limits: Mapping[str, int | None] = field(default_factory=dict)
    revision: int | None = None


@dataclass(slots=True)
class _Part:
    stats: AccountStats
    rates: Rates
    at: float


@dataclass(slots=True)
class Sums:
    """One account, all servers together. rates: msgs in, msgs out, bytes in, bytes out per second."""

    connections: int = 0
    leafnodes: int = 0
    subscriptions: int = 0
    in_msgs: int = 0
    out_msgs: int = 0
    slow_consumers: int = 0
    rates: list[float] = field(default_factory=lambda: [0.0] * 4)


@dataclass(slots=True)
class Accounts:
    """{account: {server: what it said}}"""

    parts: dict[str, dict[str, _Part]] = field(default_factory=dict)

    def take(self, seen: AccountsSeen, start: str) -> None:
        """What one server says of the accounts that have connections there. start: when it was started."""
        name = seen.server.name
        mentioned = set()
        for stats in seen.accounts:
            mentioned.add(stats.account)
            counters = (stats.in_msgs, stats.out_msgs, stats.in_bytes, stats.out_bytes)
            servers = self.parts.setdefault(stats.account, {})
            former = servers.get(name)
            if former is None:
                servers[name] = _Part(stats, Rates(seen.at, counters, start), seen.at)
            else:
                former.rates.take(seen.at, counters, start)
                former.stats, former.at = stats, seen.at
        for account, servers in list(self.parts.items()):
            if account not in mentioned and name in servers:
                del servers[name]
                if not servers:
                    del self.parts[account]

    def drop(self, server: str) -> None:
        """A server is gone, and what it knew with it."""
        for account, servers in list(self.parts.items()):
            servers.pop(server, None)
            if not servers:
                del self.parts[account]

    def sums(self) -> dict[str, Sums]:
        """{account: all servers together}"""
        found = {}
        for account, servers in self.parts.items():
            total = found[account] = Sums()
            for part in servers.values():
                stats = part.stats
                total.connections += stats.connections
                total.leafnodes += stats.leafnodes
                total.subscriptions += stats.subscriptions
                total.in_msgs += stats.in_msgs
                total.out_msgs += stats.out_msgs
                total.slow_consumers += stats.slow_consumers
                total.rates = [have + more for have, more in zip(total.rates, part.rates.values, strict=True)]
        return found

    def rows(self, known: Mapping[str, AccountRow], used: Mapping[str, Used]) -> list[list[Any]]:
        """The table `accounts`: those of the rows, and those that only the servers know."""
        sums = self.sums()
        return [row_of(name, sums, known, used) for name in sorted(known.keys() | sums.keys() | used.keys())]


_NOTHING, _UNKNOWN, _UNUSED = Sums(), AccountRow(0), Used()


def row_of(name: str, sums: Mapping[str, Sums], known: Mapping[str, AccountRow], used: Mapping[str, Used]) -> list[Any]:
    """One row of the table."""
    seen, row, streams = sums.get(name, _NOTHING), known.get(name, _UNKNOWN), used.get(name, _UNUSED)
    limit = row.limits.get
    return [
        name,
        row.pk or None,
        row.owner,
        seen.connections,
        limit("max_connections"),
        seen.leafnodes,
        seen.subscriptions,
        limit("max_subscriptions"),
        seen.in_msgs,
        seen.out_msgs,
        *(round(rate, 2) for rate in seen.rates),
        seen.slow_consumers,
        streams.streams,
        limit("max_streams"),
        streams.consumers,
        limit("max_consumers"),
        streams.storage,
        limit("js_max_storage"),
        streams.memory,
        limit("js_max_memory"),
        row.revision,
    ]


def busiest(sums: Mapping[str, Sums], most: int, without: Collection[str] = ()) -> list[str]:
    """The accounts with the most messages a second, then connections, then by name."""
    names = [name for name in sums if name not in without]
    return sorted(names, key=lambda name: (-sum(sums[name].rates[:2]), -sums[name].connections, name))[:most]
