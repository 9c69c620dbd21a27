"""The relay of one system: asks and listens, keeps the picture, and puts it where everybody can read it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import redis.asyncio
from django.db import DatabaseError

from accounts_app.natsconf.control import EVENTS_PREFIX
from monitoring.archive import Archive
from monitoring.relay import feed, rows
from monitoring.relay.asking import Asking
from monitoring.relay.board import Board
from monitoring.relay.picture import Picture
from monitoring.relay.series import Sampler
from monitoring.relay.servers import SILENT_S
from monitoring.relay.telling import Teller
from monitoring.relay.wire import Wire
from monitoring.sysevents import (
    ConnectionsSeen,
    Malformed,
    StreamsSeen,
    read_advisory,
    read_event,
    read_reply,
)
from provisioning.signin import Login
from provisioning.strangers import NO_WAY_IN

logger = logging.getLogger(__name__)
EVENTS = (
    "$SYS.ACCOUNT.*.CONNECT",
    "$SYS.ACCOUNT.*.DISCONNECT",
    "$SYS.SERVER.*.CLIENT.AUTH.ERR",
    "$SYS.SERVER.*.LAMEDUCK",
    "$SYS.SERVER.*.SHUTDOWN",
)
TICK_S = 0.125  # at most so often a frame of events; the first after a silence goes at once
OVERVIEW_S = 0.5  # numbers change at most twice a second
BEAT_S = 1.0
DEAF_S = 10.0  # a connection on which nobody says anything for so long is given up
RELOAD_S = 60.0  # unless a run is under way: servers are silent while they re-read their conf
SHARE = 0.05  # of the time may go into one table: a large one is put less often
TABLES = ("servers", "accounts", "connections", "failures", "streams")  # consumers come with the streams


class Relay:
    """Runs until cancelled. threads: for what reads rows; archive: takes what is to be kept."""

    def __init__(
        self, system: rows.SystemRow, client: redis.asyncio.Redis, archive: Archive, threads: ThreadPoolExecutor
    ) -> None:
        self.system, self._archive, self._threads = system, archive, threads
        self.picture, self._asking, self._sampler = Picture(), Asking(), Sampler()
        self._board = Board(client, system.pk, system.name)
        self._teller = Teller(system.pk, self.picture, archive, self._in_thread)
        self._wire = Wire(self._login, EVENTS, self._on_event, self._on_reply)
        self._side = Wire(self._side_login, (f"{EVENTS_PREFIX}.*.ADVISORY.>",), self._on_advisory)
        self._malformed, self._turned = 0, time.time()
        self._was = (False, "")
        self._counter = -1
        self._said: set[str] = set()

    async def run(self) -> None:
        """All parts at once; what fails is said once, and tried again."""
        self.picture.restore(await self._board.restore())
        await self._read_rows()
        await self._read_accounts()
        for event in await self._in_thread(rows.read_refused, self.system.pk) or ():
            self.picture.failures.restore(event)
        _unless_cancelled()
        parts: list[tuple[float, str, Callable[[], Awaitable[None]]]] = [
            (0.1, "asking", self._ask),
            (0.5, "rows", self._read_rows),
            (5.0, "accounts", self._read_accounts),
            (1.0, "events of rows", self._teller.read_rows),
            (0.5, "reasons", self._teller.explain),
            (0.25, "look", self._look),
            (1.0, "second", self._second),
            (OVERVIEW_S, "overview", self._overview),
            *((1.0, f"table {name}", self._table(name)) for name in TABLES),
        ]
        async with asyncio.TaskGroup() as group:
            group.create_task(self._wire.run())
            group.create_task(self._side.run())
            group.create_task(self._ticks())
            for period, what, act in parts:
                group.create_task(self._every(period, what, act))

    # --- what comes in ----------------------------------------------------------------

    def _login(self) -> Login | None:
        if self.system.login is None:
            self._wire.problem = NO_WAY_IN
        return self.system.login

    def _side_login(self) -> Login | None:
        """As nunect's user of its control account."""
        return self.system.side

    def _on_event(self, subject: str, data: bytes) -> None:
        try:
            said = read_event(subject, data)
        except Malformed as error:
            return self._bad(error)
        for news in self.picture.take_event(said, time.time()):
            self._teller.queue(news)  # type: ignore[arg-type]
        return None

    def _on_reply(self, label: str, data: bytes) -> None:
        what, _, page = label.partition(".")
        waited = self._asking.offset_of(label) if page else (0, 0.0)
        if waited is None:
            return None
        try:
            reply = read_reply(what, data, waited[0])
        except Malformed as error:
            return self._bad(error)
        for event in self.picture.take_reply(reply, waited[1], time.time()):
            self._teller.queue(event)
        if isinstance(reply, ConnectionsSeen | StreamsSeen):
            self._asking.answered(reply, len(data))
        elif what == "STATZ":
            self._asking.accounts_answered(len(data))
        return None

    def _on_advisory(self, subject: str, data: bytes) -> None:
        try:
            advisory = read_advisory(subject, data, f"{EVENTS_PREFIX}.")
        except Malformed as error:
            return self._bad(error)
        if advisory.kind not in feed.QUIET_ADVISORIES:
            self._teller.queue(advisory)
        return None

    def _bad(self, error: Malformed) -> None:
        self._malformed += 1
        if self._malformed in (1, 10, 100) or self._malformed % 1000 == 0:
            logger.warning("malformed message", extra={"count": self._malformed, "why": str(error)[:200]})

    async def _ask(self) -> None:
        """Ask what is due; give up a connection on which nobody says anything."""
        if not self._wire.connected:
            self._asking.forget()
            return
        quiet = time.monotonic() - self._wire.heard
        if quiet > (RELOAD_S if self.picture.intended.pending else DEAF_S):
            await self._wire.close()
            return
        living = [seen.speaker.id for seen in self.picture.servers.living(time.time())]
        for subject, body, label in self._asking.due(time.time(), living):
            await self._wire.ask(subject, body, label)

    async def _read_rows(self) -> None:
        """What the rows say of the system; whose a login is, is asked again when they have changed."""
        system = await self._in_thread(rows.read_system, self.system.pk)
        if system is None:
            return
        if _ways(system) != _ways(self.system):
            self._wire.try_again()
            self._side.try_again()
        self.system, self._board.name = system, system.name
        versions = frozenset(seen.speaker.version for seen in self.picture.servers.by_name.values())
        self.picture.intended, self.picture.own = rows.intended(system, versions), system.own
        if self._counter != system.wanted:
            self._counter = system.wanted
            self._teller.forget()
        await self._board.frame("changes", system.changes)

    async def _read_accounts(self) -> None:
        known = await self._in_thread(rows.read_accounts, self.system.pk)
        if known is not None:
            self.picture.known = known

    # --- what goes out ----------------------------------------------------------------

    async def _ticks(self) -> None:
        """Tell events as they come, together with those that come soon after."""
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(BEAT_S):  # Python 3.11's `wait_for` may lose a cancellation
                    await self._teller.news.wait()
            self._teller.news.clear()
            await self._guarded("events", self._tell)
            await asyncio.sleep(TICK_S)

    async def _tell(self) -> None:
        await self._teller.tell()
        left_out = self._archive.missing(self.system.pk)
        await self._board.frame("events", self.picture.feed(self._malformed, left_out))

    async def _look(self) -> None:
        """Who has fallen silent, and how we are ourselves."""
        now = time.time()
        blind = not self._wire.connected or time.monotonic() - self._wire.heard > SILENT_S
        for event in self.picture.look(now, blind=blind):
            self._teller.queue(event)
        problem = self._wire.problem
        if self._wire.connected and blind and not self.picture.intended.pending:
            problem = "The servers don't answer."
        is_now = (self._wire.connected and not problem, problem)
        if is_now != self._was:
            self._was, self._turned = is_now, now
        await self._board.pulse(connected=is_now[0], problem=problem, since=self._turned)

    async def _second(self) -> None:
        """One point of every series, and what is whole by it."""
        now = time.time()
        points = self.picture.point(now)
        await self._board.points(1, now, points)
        tens, minute = self._sampler.take(now, points)
        if tens is not None:
            await self._board.points(10, *tens)
        if minute is not None:
            self._archive.put_minute(self.system.pk, *minute)

    async def _overview(self) -> None:
        await self._board.frame("overview", self.picture.overview(time.time(), list(self._board.tens)))
        for name in self._board.watched:
            await self._board.frame(f"account:{name}", self.picture.account(name))

    def _table(self, name: str) -> Callable[[], Awaitable[None]]:
        rest = 0.0

        async def put() -> None:
            nonlocal rest
            if time.monotonic() < rest:
                return
            began = time.monotonic()
            if name == "connections":
                await self._teller.know(self.picture.logins())
            await self._board.table(self.picture.table(name, self._teller.who, time.time()))
            rest = began + (time.monotonic() - began) / SHARE

        return put

    # --- how it is kept going ------------------------------------------------------------

    async def _every(self, period: float, what: str, act: Callable[[], Awaitable[None]]) -> None:
        while True:
            began = time.monotonic()
            await self._guarded(what, act)
            await asyncio.sleep(max(0.01, period - (time.monotonic() - began)))

    async def _guarded(self, what: str, act: Callable[[], Awaitable[None]]) -> None:
        """One fault must not end the others: it is said once, until the part has worked again."""
        try:
            await act()
        except Exception:
            if what not in self._said:
                logger.exception("a part of the relay failed", extra={"part": what})
            self._said.add(what)
        else:
            self._said.discard(what)
        _unless_cancelled()

    async def _in_thread(self, act: Callable[..., Any], *args: Any) -> Any:
        """What the rows say; None while they can't be read."""
        try:
            found = await asyncio.get_running_loop().run_in_executor(self._threads, lambda: act(*args))
        except DatabaseError as error:
            if "database" not in self._said:
                logger.warning("the database doesn't answer", extra={"why": type(error).__name__})
            self._said.add("database")
            return None
        self._said.discard("database")
        return found


def _unless_cancelled() -> None:
    """redis-py awaits by `wait_for`, which in Python 3.11 may lose a cancellation: the task would never end."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


def _ways(system: rows.SystemRow) -> tuple[Any, ...]:
    """What may make a server let nunect in that has refused it."""
    return system.login, system.side, system.sha256, system.changes.get("state"), system.changes.get("problem")
