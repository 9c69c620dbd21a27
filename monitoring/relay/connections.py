"""The connections of a system: told by events as they come and go, mended by CONNZ page by page. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from monitoring.relay.accounts import AccountRow
from monitoring.relay.rates import Rates
from monitoring.relay.who import Who
from monitoring.sysevents import FAILED, Conn, Connected, ConnectionsSeen, Disconnected, Peer

REPEAT_S = 5.0  # a login is told within the server's time for it; whatever is older is a reload's repeat
LEAFNODE, OWN = "leafnode", "nunect"
Key = tuple[str, int]  # server id, cid
_NOBODY, _NO_ACCOUNT = Who(), AccountRow(0)


@dataclass(slots=True)
class Link:
    """One connection. since: when we learnt of it; told: when CONNZ told of it last, both by our clock.

    announced: its login was told; stranger: CONNZ has shown it before it had signed in.
    """

    server: str
    peer: Peer
    since: float
    announced: bool = False
    stranger: bool = False
    told: float = 0.0
    conn: Conn | None = None
    rates: Rates | None = None


@dataclass(slots=True)
class Connections:
    """{(server id, cid): connection}"""

    links: dict[Key, Link] = field(default_factory=dict)

    def connected(self, event: Connected, now: float) -> bool:
        """Whether this is news: a reload tells of every open client again.

        A page of CONNZ may have been faster than the login that it shows: then this is news all the same.
        """
        key = (event.server.id, event.peer.cid)
        link = self.links.get(key)
        if link is None:
            link = self.links[key] = Link(event.server.name, event.peer, now)
        elif link.announced:
            link.peer = event.peer  # a reload may have moved it to another account
            return False
        link.peer, link.announced = event.peer, True
        return link.stranger or event.at - _start(event.peer, event.at) < REPEAT_S

    def disconnected(self, event: Disconnected) -> bool:
        """Whether this is news: not of who was refused, which is told as such, nor of who never said a name."""
        link = self.links.pop((event.server.id, event.peer.cid), None)
        return event.reason != FAILED and bool(event.peer.login or (link is not None and link.announced))

    def knows(self, event: Disconnected) -> bool:
        """Whether this client had signed in."""
        link = self.links.get((event.server.id, event.peer.cid))
        return link is not None and (link.announced or bool(link.conn and link.conn.peer.login))

    def take(self, page: ConnectionsSeen, asked: float, now: float) -> None:
        """One page of CONNZ. asked: when it was asked for, by our clock; what came later is not missed in it."""
        cids = [conn.peer.cid for conn in page.connections]
        present = set(cids)
        first = cids[0] if cids and page.offset else -1
        last = cids[-1] if cids and page.more else float("inf")
        for conn in page.connections:
            self._update((page.server.id, conn.peer.cid), page, conn, now)
        for key in [
            key
            for key, link in self.links.items()
            if key[0] == page.server.id and first <= key[1] <= last and key[1] not in present and link.since < asked
        ]:
            del self.links[key]

    def _update(self, key: Key, page: ConnectionsSeen, conn: Conn, now: float) -> None:
        link = self.links.get(key)
        if link is None:
            link = self.links[key] = Link(page.server.name, conn.peer, now, stranger=not conn.peer.login)
        counters = (conn.in_msgs, conn.out_msgs, conn.in_bytes, conn.out_bytes)
        if link.rates is None:
            link.rates = Rates(page.at, counters)
        else:
            link.rates.take(page.at, counters)
        link.peer, link.conn, link.told = conn.peer, conn, now

    def count(self, server_ids: Collection[str], own: frozenset[str]) -> int:
        """Clients of these servers, without nunect's own: as they come and go, sooner than the servers' sums."""
        return sum(
            server_id in server_ids and link.peer.kind != LEAFNODE and link.peer.login not in own
            for (server_id, _), link in self.links.items()
        )

    def keep_servers(self, server_ids: Iterable[str]) -> None:
        """Forget those of servers that are gone."""
        living = set(server_ids)
        for key in [key for key in self.links if key[0] not in living]:
            del self.links[key]

    def rows(
        self, who: Callable[[str], Who | None], accounts: Mapping[str, AccountRow], own: frozenset[str], now: float
    ) -> list[list[Any]]:
        """The table `connections`. own: logins of nunect itself."""
        rows = []
        for (server_id, cid), link in self.links.items():
            peer, conn = link.peer, link.conn
            person = who(peer.login) or _NOBODY
            rates: tuple[float | None, ...] = link.rates.values if link.rates else (None,) * 4
            rows.append(
                [
                    link.server,
                    server_id,
                    cid,
                    peer.account,
                    OWN if peer.login in own else person.user or peer.login,
                    person.user_pk,
                    person.owner,
                    peer.app,
                    peer.address,
                    peer.kind,
                    peer.lang,
                    peer.version,
                    peer.start,
                    None if conn is None else round(conn.idle_s + now - link.told, 1),
                    None if conn is None else conn.rtt_ms,
                    None if conn is None else conn.subscriptions,
                    None if conn is None else conn.pending_bytes,
                    None if conn is None else conn.in_msgs,
                    None if conn is None else conn.out_msgs,
                    *rates,
                    accounts.get(peer.account, _NO_ACCOUNT).revision,
                    peer.login in own,
                ]
            )
        return rows


def _start(peer: Peer, otherwise: float) -> float:
    try:
        return datetime.fromisoformat(peer.start).timestamp()
    except ValueError:
        return otherwise
