"""One browser: what it is sent, how much of that it has acknowledged, and what waits until it does."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from monitoring.frames import Wrong
from monitoring.hub.background import soon
from monitoring.hub.frame import Frame

if TYPE_CHECKING:
    from monitoring.hub.room import Room

ACK_S = 2.5  # an unacknowledged frame this old, and nothing more is sent
CLOSE_S = 60.0  # … and the socket is closed
MOST_IN_FLIGHT = 1_000_000  # bytes sent to one socket and not acknowledged; one frame may always be

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Socket:
    """One browser: what it watches, what it has not acknowledged, and the newest of what waits for it.

    send: of the ASGI server; caller, standing, topics: who it is and what they may watch, kept for who checks it;
    code: with which it is to be closed, None while it is open.
    """

    __slots__ = (
        "acked",
        "caller",
        "checked",
        "code",
        "detail",
        "epoch",
        "highest",
        "in_flight",
        "instant",
        "push",
        "room",
        "send",
        "sending",
        "sent",
        "since",
        "standing",
        "task",
        "topics",
        "waiting",
        "watched",
    )

    def __init__(self, send: Send, *, instant: bool = False, push: Callable[[Frame], None] | None = None) -> None:
        """instant: `send` never waits, so that it needs no task of its own; push: a shorter way for frames."""
        self.send, self.instant, self.push = send, instant, push
        self.caller: Any = None
        self.standing: Any = None
        self.topics: tuple[str, ...] = ()
        self.checked = time.monotonic()
        self.room: Room | None = None
        self.task: asyncio.Task[Any] | None = None
        self.code: int | None = None
        self.detail = ""
        self.watched: set[str] = set()
        self.waiting: dict[str, Frame] = {}
        self.sent: deque[tuple[str, int, int, float]] = deque()  # epoch, seq, bytes, when; 0.0: no ack is due
        self.in_flight, self.highest, self.acked = 0, 0, 0
        self.epoch = ""
        self.since = 0.0  # when the oldest frame went out for which an ack is due
        self.sending: asyncio.Task[None] | None = None

    def offer(self, frame: Frame, now: float) -> None:
        """Send a frame, or keep it in the place of an older one of its topic until the socket has room."""
        if self.waiting or not self._has_room(frame, now):
            self.waiting[frame.topic] = frame
            if not self.sending:
                self._flush(now)
        else:
            self._push(frame, now)

    def tell(self, text: str) -> None:
        """Send a frame that needs no acknowledgement, whatever else waits."""
        message = {"type": "websocket.send", "text": text}
        if self.instant:
            self._deliver(message)
        elif self.code is None:
            soon(self._quietly(message))

    def ack(self, seq: int, now: float) -> None:
        """All that was sent up to this seq has arrived, and what was sent before it. Raises Wrong."""
        if seq > self.highest:
            raise Wrong("ack: no frame with this seq was sent.")
        newest = self.epoch
        for place in range(len(self.sent) - 1, -1, -1):
            epoch, number = self.sent[place][:2]
            if number <= seq and (epoch == newest or number == seq):
                if epoch == newest:
                    self.acked = max(self.acked, seq)
                for _ in range(place + 1):
                    self.in_flight -= self.sent.popleft()[2]
                break
        self.since = next((at for *_, at in self.sent if at), 0.0)
        self._flush(now)

    def close(self, code: int, detail: str = "") -> None:
        """Have its task end and close it; the first reason stands. detail: told as an error before."""
        if self.code is None:
            self.code, self.detail = code, detail
            if self.task is not None:
                self.task.cancel()

    def close_if_silent(self, now: float) -> None:
        """Close it when it has acknowledged nothing for too long."""
        if self.since and now - self.since > CLOSE_S:
            self.close(4408, f"Nothing was acknowledged for {CLOSE_S:g} seconds.")

    def _has_room(self, frame: Frame, now: float) -> bool:
        if self.code is not None or self.sending or (self.since and now - self.since > ACK_S):
            return False
        return not self.in_flight or self.in_flight + frame.size <= MOST_IN_FLIGHT

    def _flush(self, now: float) -> None:
        while self.waiting:
            topic = next(iter(self.waiting))
            if not self._has_room(self.waiting[topic], now):
                return
            self._push(self.waiting.pop(topic), now)

    def _push(self, frame: Frame, now: float) -> None:
        if frame.epoch != self.epoch:
            self.epoch, self.acked = frame.epoch, 0
        due = now if frame.seq > self.acked else 0.0  # who acknowledges only what is new would never do so
        self.sent.append((frame.epoch, frame.seq, frame.size, due))
        self.in_flight += frame.size
        self.highest = max(self.highest, frame.seq)
        self.since = self.since or due
        if self.push is not None:
            self.push(frame)
        elif self.instant:
            self._deliver(frame.message)
        else:
            self.sending = asyncio.ensure_future(self._quietly(frame.message))
            self.sending.add_done_callback(self._went)

    def _deliver(self, message: dict[str, Any]) -> None:
        """Run a `send` that never waits to its end, here and now."""
        going: Any = self.send(message)
        try:
            going.send(None)
        except StopIteration:
            return
        except (OSError, RuntimeError):
            return  # it is gone; its task will hear of it
        going.close()
        raise AssertionError("a server whose send waits was taken for one whose doesn't")

    async def _quietly(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(OSError, RuntimeError):
            await self.send(message)

    def _went(self, _: object) -> None:
        self.sending = None
        self._flush(time.monotonic())
