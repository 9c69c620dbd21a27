"""May those who are here stay? One round for all sockets of a process, twice a second."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from monitoring import callers, frames
from monitoring.callers import Caller, Standing
from monitoring.frames import ACCOUNT
from monitoring.hub import Hub, Socket

EVERY_S = 0.5
TRUST_S = 10.0  # without an answer of the database the last one counts for so long
ENDED = "Your session or token has ended: sign in again."
UNSURE = "nunect can't tell whether you may still see this, since its database does not answer."
_log = logging.getLogger(__name__)


class Patrol:
    """Closes the sockets of those who may no longer be here, and tells the others when their rights change."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="live-patrol")
        self._accounts: dict[Any, int] = {}  # (system, name): primary key, when last looked at
        self._failing = False

    async def run(self) -> None:
        """For ever."""
        while True:
            began = time.monotonic()
            if sockets := self._hub.sockets:
                await self._round(sockets)
            await asyncio.sleep(max(0.05, EVERY_S - (time.monotonic() - began)))

    async def _round(self, sockets: list[Socket]) -> None:
        """Look at these sockets; while the database is asked, those that nobody could check for long are closed."""
        work = asyncio.ensure_future(self._judge(sockets))
        try:
            while not (await asyncio.wait({work}, timeout=EVERY_S))[0]:
                self._close_unchecked()
            work.result()
            self._failing = False
        except Exception as error:  # whatever a driver raises: the last answer counts, for a while
            if not self._failing:
                _log.warning("who is at the live sockets could not be checked: %s", type(error).__name__, exc_info=True)
            self._failing = True
            self._close_unchecked()
        finally:
            work.cancel()

    def _close_unchecked(self) -> None:
        now = time.monotonic()
        for socket in self._hub.sockets:
            if now - socket.checked > TRUST_S:
                socket.close(4503, UNSURE)

    async def _ask(self, ask: Any, *args: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self._thread, callers.in_thread, ask, *args)

    async def _judge(self, sockets: list[Socket]) -> None:
        asked = time.monotonic()
        accounts = {
            (room.system, name) for room in self._hub.rooms.values() for name in room.accounts()
        }  # a name may come to mean another account
        here, systems, pks = await self._ask(
            _look, {socket.caller for socket in sockets}, list(self._hub.rooms), accounts
        )
        moved = {key for key in accounts if key in self._accounts and pks.get(key) != self._accounts[key]}
        self._accounts = pks
        again: dict[tuple[Caller, int], list[Socket]] = {}
        for socket in sockets:
            standing: Standing | None = here.get(socket.caller)
            room = socket.room
            if room is None:
                continue
            if standing is None or standing.sign != socket.standing.sign:
                socket.close(4401, ENDED)
            elif room.system not in systems:
                socket.close(4404, "This system is gone.")
            elif standing != socket.standing or any((room.system, name) in moved for name in _accounts(socket)):
                again.setdefault((socket.caller, room.system), []).append(socket)
            else:
                socket.checked = asked
        for (caller, system), those in again.items():
            watched = frozenset().union(*(socket.watched for socket in those))
            rights = await self._ask(callers.rights_of, caller, system, watched)
            for socket in those:
                self._turn(socket, here[caller], rights)
                socket.checked = asked

    def _turn(self, socket: Socket, standing: Standing, rights: tuple[tuple[str, ...], frozenset[str]] | None) -> None:
        """Give a socket its new rights."""
        room = socket.room
        if room is None:
            return
        if rights is None:
            socket.close(4401, ENDED)
            return
        topics, allowed = rights
        kept = socket.watched & allowed
        changed = topics != socket.topics or kept != socket.watched
        socket.standing, socket.topics = standing, topics
        self._hub.watch(socket, kept)
        if changed:
            socket.tell(hello(socket))


def hello(socket: Socket) -> str:
    """What a socket is told first of all, and again when its rights have changed."""
    room = socket.room
    if room is None:
        return ""
    epoch = room.pulse.epoch if room.pulse else ""
    return frames.hello(room.name, epoch, socket.topics, time.time(), ACK_EVERY_S)


ACK_EVERY_S = 1.0  # how often a client is asked to acknowledge


def _accounts(socket: Socket) -> list[str]:
    return [topic.removeprefix(ACCOUNT) for topic in socket.watched if topic.startswith(ACCOUNT)]


def _look(here: set[Caller], systems: list[int], accounts: set[tuple[int, str]]) -> tuple[Any, Any, Any]:
    return callers.standings(here), *callers.still_there(systems, accounts)
