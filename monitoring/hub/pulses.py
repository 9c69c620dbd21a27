"""Whether what a room shows is what is there: the pulse of its relay, looked at and told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping

from monitoring import frames, store
from monitoring.hub.line import FAILED, REDIS_S, Line
from monitoring.hub.room import Room

PULSE_S = 1.0  # how often the relay is looked at


class Pulses:
    """Looks at the relays of all rooms, and tells their sockets when one has come or gone."""

    def __init__(self, line: Line, rooms: Mapping[int, Room]) -> None:
        self._line, self._rooms = line, rooms
        self.malformed = 0

    async def run(self) -> None:
        while True:
            await self.read(list(self._rooms.values()))
            await asyncio.sleep(PULSE_S)

    async def read(self, rooms: list[Room]) -> None:
        """Look at their relays now; where Redis doesn't answer, that is what is told."""
        if not rooms:
            return
        line = self._line
        try:
            async with line.client.pipeline(transaction=False) as pipe:
                for room in rooms:
                    store.pulse_command(pipe, room.system)
                async with asyncio.timeout(REDIS_S * 1.5):
                    found = await pipe.execute()
            for room, body in zip(rooms, found, strict=True):
                room.pulse = store.as_pulse(body)
            line.unread = False
        except FAILED:
            if line.holds:
                line.lost_at = time.time()
            line.unread = True
        except (ValueError, TypeError):
            self.malformed += 1  # somebody else's key
        self.tell(rooms)

    def tell(self, rooms: Iterable[Room]) -> None:
        """Send the state of each room whose state is another than the one it was told."""
        for room in rooms:
            live, _, detail = self.state(room)
            if room.told != (live, detail):
                room.told = (live, detail)
                text = self.state_text(room)
                for socket in list(room.sockets):
                    socket.tell(text)

    def state(self, room: Room) -> tuple[bool, float, str]:
        """(live, since when, why not)"""
        line = self._line
        if not line.holds:
            return False, line.lost_at, "Redis does not answer, so nothing new can be shown; nunect keeps trying."
        pulse = room.pulse or store.Pulse()
        if not pulse.at:
            return False, line.lost_at, "The relay has not seen this system yet: see whether `manage.py relay` runs."
        if (pulse.age_s or 0.0) >= store.STALE_S:
            return False, pulse.at, "The relay has been silent since then: see whether `manage.py relay` runs."
        if not pulse.connected:
            return False, pulse.since, pulse.problem or "The relay is not connected."
        return True, pulse.since, ""

    def state_text(self, room: Room) -> str:
        """The state as a frame."""
        return frames.state(room.name, time.time(), *self.state(room))
