"""Topics that no relay makes: those of jobs, made from the rows for the sockets of this process."""

from __future__ import annotations

import asyncio
import logging
import secrets
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from monitoring import frames
from monitoring.frames import of_jobs
from monitoring.hub.frame import Frame
from monitoring.hub.room import Room

EVERY_S = 0.25  # at most so often, however many jobs change
AGAIN_S = 1.0  # after a database that didn't answer
_log = logging.getLogger(__name__)

Told = Callable[[int, Iterable[str]], dict[str, dict[str, Any]]]  # (system, topics) → {topic: data}, of the rows


class JobTopics:
    """Makes a frame of each watched topic that is due: a job has changed, or somebody has begun to watch it.

    Its frames have an epoch of this process: nothing is kept in Redis, so nothing can be old there.
    """

    def __init__(self, rooms: Mapping[int, Room], told: Told) -> None:
        self._rooms, self._told = rooms, told
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="live-jobs")
        self._epoch, self._seq = secrets.token_hex(4), 0
        self._due: set[tuple[int, str]] = set()
        self._wake = asyncio.Event()

    def ask(self, room: Room, topics: Iterable[str]) -> None:
        """Make those of `topics` that are of jobs and watched."""
        if due := {(room.system, topic) for topic in topics if of_jobs(topic) and topic in room.watchers}:
            self._due |= due
            self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            due, self._due = self._due, set()
            try:
                for system in {system for system, _ in due}:
                    await self._make(system, [topic for one, topic in due if one == system])
            except Exception as error:  # whatever a driver raises: what is shown stays, and is made later
                _log.warning("the topics of jobs could not be made: %s", type(error).__name__)
                self._due |= due
                self._wake.set()
                await asyncio.sleep(AGAIN_S)
            await asyncio.sleep(EVERY_S)

    async def _make(self, system: int, topics: list[str]) -> None:
        loop = asyncio.get_running_loop()
        found = await loop.run_in_executor(self._thread, self._told, system, topics)
        room = self._rooms.get(system)
        for topic, data in found.items():
            if room is not None and topic in room.watchers:
                self._seq += 1
                body = frames.snapshot(topic, room.name, self._epoch, self._seq, time.time(), data)
                await room.push(Frame(topic, body))
