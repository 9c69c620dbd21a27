"""The sockets of one process, and what is heard from Redis brought to them."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Collection, Iterable
from typing import Any

from monitoring import store
from monitoring.frames import ACCOUNT, of_jobs
from monitoring.hub.background import for_ever, soon
from monitoring.hub.frame import Frame
from monitoring.hub.jobs import JobTopics
from monitoring.hub.line import FAILED, REDIS_S, Line
from monitoring.hub.pulses import Pulses
from monitoring.hub.room import Room
from monitoring.hub.socket import Socket
from monitoring.hub.subscription import Subscription

WATCH_EVERY_S = 5.0
SWEEP_S = 0.5


def _told(system: int, topics: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The topics of jobs from the rows; asked for in a thread."""
    from monitoring import callers, jobs_live  # models: a hub can be had without any

    found: dict[str, dict[str, Any]] = callers.in_thread(jobs_live.told, system, topics)
    return found


class Hub:
    """All sockets of one process and loop. `start` it once; `add` sockets, let them `watch`, `remove` them."""

    def __init__(self) -> None:
        self.rooms: dict[int, Room] = {}
        self._malformed = 0
        self._line = Line()
        self._pulses = Pulses(self._line, self.rooms)
        self._jobs = JobTopics(self.rooms, _told)
        self._subscription = Subscription(
            self._line, take=self.take, begun=self._catch_up, lost=lambda: self._pulses.tell(self.rooms.values())
        )
        self._tasks: list[asyncio.Task[None]] = []

    @property
    def sockets(self) -> list[Socket]:
        return [socket for room in self.rooms.values() for socket in room.sockets]

    @property
    def malformed(self) -> int:
        """How much of what Redis gave was not the relay's."""
        return self._malformed + self._pulses.malformed

    def start(self) -> None:
        """Begin to listen, in the running loop."""
        for work in (self._subscription.run, self._pulses.run, self._jobs.run, self._ask_for_accounts, self._sweep):
            self._tasks.append(asyncio.get_running_loop().create_task(for_ever(work), name=work.__qualname__))

    async def stop(self) -> None:
        """End all tasks; sockets are their owners' to close."""
        left = set(self._tasks)
        while left:  # a cancellation may be lost in redis-py, by `wait_for` of Python 3.11
            for task in left:
                task.cancel()
            _, left = await asyncio.wait(left, timeout=1.0)
        with contextlib.suppress(*FAILED):
            await self._line.client.aclose()

    # --- sockets ----------------------------------------------------------------------------------------------

    async def add(self, socket: Socket, system: int, name: str) -> Room:
        """A socket that watches nothing yet. Returns its room, whose pulse was looked at if Redis lets us."""
        with contextlib.suppress(asyncio.TimeoutError):
            async with asyncio.timeout(REDIS_S):  # Python 3.11's `wait_for` may lose a cancellation
                await self._line.tried.wait()
        room = self.rooms.get(system) or Room(system, name)
        if room.pulse is None:
            await self._pulses.read([room])
        room = self.rooms.setdefault(system, room)
        room.name = name
        room.sockets.add(socket)
        socket.room = room
        return room

    def remove(self, socket: Socket) -> None:
        room, socket.room = socket.room, None
        if room is None:
            return
        room.unwatch(socket, set(socket.watched))
        room.sockets.discard(socket)
        socket.waiting.clear()
        if not room.sockets:
            self.rooms.pop(room.system, None)

    def watch(self, socket: Socket, topics: Collection[str]) -> None:
        """These topics and no others: what is new to it gets the last frame at once."""
        room = socket.room
        if room is None:
            return
        new = set(topics) - socket.watched
        missing = room.watch(socket, topics)
        self._jobs.ask(room, new)
        if stored := [topic for topic in missing if not of_jobs(topic)]:
            soon(self._load(room, stored))

    def state_text(self, room: Room) -> str:
        """Whether what is shown is what is there, as a frame."""
        return self._pulses.state_text(room)

    async def _sweep(self) -> None:
        """Close those who have acknowledged nothing for too long."""
        while True:
            await asyncio.sleep(SWEEP_S)
            now = time.monotonic()
            for socket in self.sockets:
                socket.close_if_silent(now)

    # --- frames -----------------------------------------------------------------------------------------------

    async def take(self, data: bytes) -> None:
        """Push what was published to all who watch its topic."""
        head, _, body = data.partition(b"\n")
        try:
            system, _, topic = head.decode().partition(" ")
            room = self.rooms.get(int(system))
            if room is not None and of_jobs(topic):
                self._jobs.ask(room, (topic, "jobs"))
                return
            if room is None or topic not in room.watchers:
                return
            frame = Frame(topic, body)
        except ValueError:
            self._malformed += 1
            return
        await room.push(frame)

    async def _catch_up(self) -> None:
        """After a (new) subscription: what may have been missed is read."""
        rooms = list(self.rooms.values())
        await self._pulses.read(rooms)
        for room in rooms:
            self._jobs.ask(room, room.watchers)
            if stored := [topic for topic in room.watchers if not of_jobs(topic)]:
                await self._load(room, stored)

    async def _load(self, room: Room, topics: list[str]) -> None:
        """Give those who watch `topics` the stored frames, unless a newer one has come."""
        before = {topic: room.last.get(topic) for topic in topics}
        room.loading.update(topics)
        try:
            async with self._line.client.pipeline(transaction=False) as pipe:
                for topic in topics:
                    store.frame_command(pipe, room.system, topic)
                store.watch_command(pipe, room.system, [t.removeprefix(ACCOUNT) for t in topics if t[:8] == ACCOUNT])
                found = (await pipe.execute())[: len(topics)]
        except FAILED:
            return  # the next subscription reads them
        finally:
            room.loading.difference_update(topics)
        for topic, body in zip(topics, found, strict=True):
            if body is None or topic not in room.watchers or room.last.get(topic) is not before[topic]:
                continue
            with contextlib.suppress(ValueError):
                await room.push(Frame(topic, body))

    async def _ask_for_accounts(self) -> None:
        """Keep telling the relay of which accounts it is to make frames."""
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            watched = [(room.system, names) for room in self.rooms.values() if (names := room.accounts())]
            if watched:
                with contextlib.suppress(*FAILED):
                    async with self._line.client.pipeline(transaction=False) as pipe:
                        for system, names in watched:
                            store.watch_command(pipe, system, names)
                        await pipe.execute()
