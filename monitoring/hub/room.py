"""Who watches what of one system, and the last that was seen of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable

from monitoring import store
from monitoring.frames import ACCOUNT
from monitoring.hub.frame import Frame
from monitoring.hub.socket import Socket

AT_ONCE = 100  # sockets in a row before others get their turn


class Room:
    """A system that somebody watches."""

    __slots__ = ("last", "loading", "name", "pulse", "sockets", "system", "told", "watchers")

    def __init__(self, system: int, name: str) -> None:
        self.system, self.name = system, name
        self.sockets: set[Socket] = set()
        self.watchers: dict[str, set[Socket]] = {}
        self.last: dict[str, Frame] = {}  # of topics with watchers
        self.loading: set[str] = set()
        self.pulse: store.Pulse | None = None  # None: not yet looked at
        self.told: tuple[bool, str] | None = None  # the last state: live, detail

    def accounts(self) -> list[str]:
        """Those whose topic somebody watches."""
        return [topic.removeprefix(ACCOUNT) for topic in self.watchers if topic.startswith(ACCOUNT)]

    def watch(self, socket: Socket, topics: Collection[str]) -> list[str]:
        """These topics and no others: what is new to it gets the last frame at once. Returns those without one."""
        self.unwatch(socket, socket.watched - set(topics))
        new = [topic for topic in topics if topic not in socket.watched]
        for topic in new:
            socket.watched.add(topic)
            self.watchers.setdefault(topic, set()).add(socket)
            if frame := self.last.get(topic):
                socket.offer(frame, time.monotonic())
        return [topic for topic in new if topic not in self.last and topic not in self.loading]

    def unwatch(self, socket: Socket, topics: Iterable[str]) -> None:
        """What nobody watches any more is forgotten."""
        for topic in topics:
            socket.watched.discard(topic)
            socket.waiting.pop(topic, None)
            watchers = self.watchers.get(topic, set())
            watchers.discard(socket)
            if not watchers:
                self.watchers.pop(topic, None)
                self.last.pop(topic, None)

    async def push(self, frame: Frame) -> None:
        """Offer a frame to all who watch its topic, unless it or a newer one is known."""
        known = self.last.get(frame.topic)
        if known is not None and known.epoch == frame.epoch and known.seq >= frame.seq:
            return  # it was read before it was heard
        self.last[frame.topic] = frame
        topic, now = frame.topic, time.monotonic()
        for number, socket in enumerate(list(self.watchers.get(topic, ())), 1):
            if topic in socket.watched:
                socket.offer(frame, now)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
                now = time.monotonic()
