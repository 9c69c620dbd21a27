"""From what the servers say to what happened: whose it was, why, in words; to the feed and to the archive."""

from __future__ import annotations

import asyncio
import time
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from monitoring.archive import Archive
from monitoring.events import Event, Refusal
from monitoring.relay import feed, rows
from monitoring.relay.picture import Picture
from monitoring.relay.who import Who
from monitoring.sysevents import Advisory, Connected, Disconnected, Refused

T = TypeVar("T")
News = Event | Connected | Disconnected | Refused | Advisory
WAITING = 4000  # events between two ticks; more are counted, not told
TOLD = 400  # of them are put into words in one tick, the newest
LOGINS = 50_000  # whose a login is, kept for so many
REASONS = 200  # refusals that are looked up at once
AGAIN_S = 30.0  # a reason is looked up anew after so long, when it happens again
_NOBODY = Who()


class Teller:
    """Waits with events until the tick. in_thread: calls what blocks; None when the rows can't be read."""

    def __init__(
        self, system_id: int, picture: Picture, archive: Archive, in_thread: Callable[..., Awaitable[Any]]
    ) -> None:
        self._system, self._picture, self._archive, self._in_thread = system_id, picture, archive, in_thread
        self._waiting: deque[News] = deque(maxlen=WAITING)
        self._who: dict[str, Who] = {}
        self._seen_pk: int | None = None
        self.news = asyncio.Event()

    def queue(self, news: News) -> None:
        """Something happened."""
        if len(self._waiting) == WAITING:
            self._leave_out([self._waiting[0]])
        self._waiting.append(news)
        self.news.set()

    def forget(self) -> None:
        """The rows have changed: whose a login is may have, too."""
        self._who.clear()

    def who(self, login: str) -> Who | None:
        """Whose a login is, None when it was not looked up."""
        return self._who.get(login)

    async def tell(self) -> None:
        """All that waits, into the feed and the archive."""
        batch = list(self._waiting)
        self._waiting.clear()
        self._leave_out(batch[:-TOLD])
        batch = batch[-TOLD:]
        await self.know({_login(news) for news in batch})
        await self.explain()
        events = [self._event(news) for news in batch]
        self._picture.tell(events)
        for event in events:
            self._archive.put(self._system, event)

    async def know(self, logins: set[str]) -> None:
        """Look up whose these logins are."""
        missing = logins - self._who.keys() - {""}
        if missing:
            found = await self._in_thread(rows.read_logins, self._system, missing)
            if len(self._who) > LOGINS:
                self._who.clear()
            self._who.update(found or {})

    async def explain(self) -> None:
        """Look up why logins were refused."""
        asked = self._picture.failures.unexplained(time.time() - AGAIN_S)[:REASONS]
        if not asked:
            return
        keys = [(login, words, group.kind) for (login, _, words), group in asked]
        found: list[Refusal] | None = await self._in_thread(rows.read_refusals, self._system, keys)
        for (_, group), refusal in zip(asked, found or (), strict=False):
            group.refusal, group.asked = refusal, time.time()

    async def read_rows(self) -> None:
        """Events that come from rows (revisions, drift) and are in the archive already: into the feed."""
        found = await self._in_thread(rows.read_events, self._system, self._seen_pk)
        if found is not None:
            events, self._seen_pk = found
            self._picture.tell(events)
            if events:
                self.news.set()

    def _event(self, news: News) -> Event:
        if isinstance(news, Event):
            return news
        who = self._who.get(_login(news), _NOBODY)
        if isinstance(news, Advisory):
            row = self._picture.known.get(news.account)
            return feed.advised(news, who, row.pk if row else None)
        if isinstance(news, Connected):
            return feed.connected(news, who)
        if isinstance(news, Disconnected):
            return feed.disconnected(news, who)
        group = self._picture.failures.groups.get((news.peer.login, news.peer.address, news.reason))
        return feed.refused(news, group.refusal if group else None)

    def _leave_out(self, some: list[News]) -> None:
        for kind, count in Counter(map(_kind, some)).items():
            self._archive.left_out(self._system, kind, count)


def _login(news: News) -> str:
    if isinstance(news, Event):
        return ""
    return news.login if isinstance(news, Advisory) else news.peer.login


_KINDS = {Connected: "connect", Disconnected: "disconnect", Refused: "auth_error", Advisory: "advisory"}


def _kind(news: News) -> str:
    return news.kind if isinstance(news, Event) else _KINDS[type(news)]
