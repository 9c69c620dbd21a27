"""From Redis to sockets: one subscription a process, one message object for all who watch a topic, latest wins."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import time
from collections import deque
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable
from typing import Any

import redis.asyncio
from django.conf import settings
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from monitoring import frames, store
from monitoring.frames import ACCOUNT, Wrong

ACK_S = 2.5  # an unacknowledged frame this old, and nothing more is sent
CLOSE_S = 60.0  # … and the socket is closed
MOST_IN_FLIGHT = 1_000_000  # bytes sent to one socket and not acknowledged; one frame may always be
PULSE_S = 1.0  # how often the relay is looked at
REDIS_S = 0.8  # how long Redis may take to answer
SILENT_S = 2.0  # a subscription that has brought nothing for so long is asked whether it lives
WATCH_EVERY_S = 5.0
BACK_OFF_S = (0.05, 2.0)  # first and longest pause before Redis is tried again
AT_ONCE = 100  # sockets in a row before others get their turn

_FAILED = (RedisError, OSError, asyncio.TimeoutError)
_HEAD = re.compile(rb'"epoch":"((?:[^"\\]|\\.)*)","seq":(\d{1,16})')
_log = logging.getLogger(__name__)

Send = Callable[[dict[str, Any]], Awaitable[None]]


class Frame:
    """A snapshot as it goes to every socket.

    message: the one ASGI message that all of them share; ready: what a server made of it, for all of them.
    """

    __slots__ = ("body", "epoch", "message", "ready", "seq", "topic")

    def __init__(self, topic: str, body: bytes) -> None:
        """Raises ValueError for bytes that are no snapshot."""
        head = _HEAD.search(body, 0, 1024)
        if head is None:
            raise ValueError("this is no snapshot")
        self.topic, self.body = topic, body
        self.epoch, self.seq = head[1].decode(), int(head[2])
        self.message = {"type": "websocket.send", "text": body.decode()}
        self.ready: Any = None

    @property
    def size(self) -> int:
        return len(self.body)


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
            task = asyncio.ensure_future(self._quietly(message))
            _kept.add(task)
            task.add_done_callback(_kept.discard)

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


_kept: set[asyncio.Future[None]] = set()  # tasks that nobody else refers to


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


class Hub:
    """All sockets of one process and loop. `start` it once; `add` sockets, let them `watch`, `remove` them."""

    def __init__(self) -> None:
        self.rooms: dict[int, Room] = {}
        self.malformed = 0
        self._client: Any = redis.asyncio.Redis.from_url(
            settings.REDIS_URL,
            socket_timeout=REDIS_S,
            socket_connect_timeout=REDIS_S,
            retry=Retry(NoBackoff(), 0),
        )
        self._tasks: list[asyncio.Task[None]] = []
        self._tried = asyncio.Event()  # Redis has answered or failed
        self._subscribed = False
        self._unread = False  # the last look at the pulses failed
        self._lost_at = time.time()

    @property
    def sockets(self) -> list[Socket]:
        return [socket for room in self.rooms.values() for socket in room.sockets]

    def start(self) -> None:
        """Begin to listen, in the running loop."""
        for work in (self._listen, self._look, self._ask_for_accounts, self._sweep):
            self._tasks.append(asyncio.get_running_loop().create_task(_for_ever(work), name=f"hub{work.__name__}"))

    async def stop(self) -> None:
        """End all tasks; sockets are their owners' to close."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with contextlib.suppress(*_FAILED):
            await self._client.aclose()

    # --- sockets ----------------------------------------------------------------------------------------------

    async def add(self, socket: Socket, system: int, name: str) -> Room:
        """A socket that watches nothing yet. Returns its room, whose pulse was looked at if Redis lets us."""
        with contextlib.suppress(asyncio.TimeoutError):
            await asyncio.wait_for(self._tried.wait(), REDIS_S)
        room = self.rooms.get(system) or Room(system, name)
        if room.pulse is None:
            await self._read_pulses([room])
        room = self.rooms.setdefault(system, room)
        room.name = name
        room.sockets.add(socket)
        socket.room = room
        return room

    def remove(self, socket: Socket) -> None:
        room, socket.room = socket.room, None
        if room is None:
            return
        self._unwatch(room, socket, set(socket.watched))
        room.sockets.discard(socket)
        socket.waiting.clear()
        if not room.sockets:
            self.rooms.pop(room.system, None)

    def watch(self, socket: Socket, topics: Collection[str]) -> None:
        """These topics and no others: what is new to it gets the last frame at once."""
        room = socket.room
        if room is None:
            return
        self._unwatch(room, socket, socket.watched - set(topics))
        new = [topic for topic in topics if topic not in socket.watched]
        for topic in new:
            socket.watched.add(topic)
            room.watchers.setdefault(topic, set()).add(socket)
            if frame := room.last.get(topic):
                socket.offer(frame, time.monotonic())
        missing = [topic for topic in new if topic not in room.last and topic not in room.loading]
        if missing:
            self._soon(self._load(room, missing))

    def _unwatch(self, room: Room, socket: Socket, topics: Iterable[str]) -> None:
        for topic in topics:
            socket.watched.discard(topic)
            socket.waiting.pop(topic, None)
            watchers = room.watchers.get(topic, set())
            watchers.discard(socket)
            if not watchers:
                room.watchers.pop(topic, None)
                room.last.pop(topic, None)

    def state(self, room: Room) -> tuple[bool, float, str]:
        """(live, since when, why not)"""
        if not self._subscribed or self._unread:
            return False, self._lost_at, "Redis does not answer, so nothing new can be shown; nunect keeps trying."
        pulse = room.pulse or store.Pulse()
        if not pulse.at:
            return False, self._lost_at, "The relay has not seen this system yet: see whether `manage.py relay` runs."
        if (pulse.age_s or 0.0) >= store.STALE_S:
            return False, pulse.at, "The relay has been silent since then: see whether `manage.py relay` runs."
        if not pulse.connected:
            return False, pulse.since, pulse.problem or "The relay is not connected."
        return True, pulse.since, ""

    def state_text(self, room: Room) -> str:
        """The state as a frame."""
        return frames.state(room.name, time.time(), *self.state(room))

    def _tell_states(self, rooms: Iterable[Room]) -> None:
        for room in rooms:
            live, _, detail = self.state(room)
            if room.told != (live, detail):
                room.told = (live, detail)
                text = self.state_text(room)
                for socket in list(room.sockets):
                    socket.tell(text)

    # --- Redis ------------------------------------------------------------------------------------------------

    async def _listen(self) -> None:
        """Subscribe, and take what comes, for ever."""
        pause = BACK_OFF_S[0]
        while True:
            pubsub = self._client.pubsub()
            try:
                await pubsub.subscribe(store.channel())
                async with asyncio.timeout(REDIS_S * 2):
                    while await pubsub.get_message(timeout=REDIS_S) is None:
                        pass
                self._subscribed, pause = True, BACK_OFF_S[0]
                await self._caught_up()
                await self._take_all(pubsub)
            except _FAILED as error:
                self._lost(error)
            finally:
                self._subscribed = False
                with contextlib.suppress(*_FAILED):
                    await pubsub.aclose()
            await asyncio.sleep(pause)
            pause = min(pause * 2, BACK_OFF_S[1])

    async def _take_all(self, pubsub: Any) -> None:
        heard, asked = time.monotonic(), False
        while True:
            message = await pubsub.get_message(timeout=REDIS_S)
            now = time.monotonic()
            if message is not None:
                heard, asked = now, False
                if message["type"] == "message":
                    await self.take(message["data"])
            elif now - heard > SILENT_S + REDIS_S:
                raise ConnectionError("the subscription is silent")
            elif now - heard > SILENT_S and not asked:
                asked = True
                await pubsub.ping()

    def _lost(self, error: BaseException) -> None:
        if self._subscribed and not self._unread:
            self._lost_at = time.time()
            _log.warning("Redis is gone: %s", type(error).__name__)
        self._subscribed = False
        self._tried.set()
        self._tell_states(self.rooms.values())

    async def _caught_up(self) -> None:
        """After a (new) subscription: what may have been missed is read."""
        self._tried.set()
        rooms = list(self.rooms.values())
        await self._read_pulses(rooms)
        for room in rooms:
            if room.watchers:
                await self._load(room, list(room.watchers))

    async def take(self, data: bytes) -> None:
        """Push what was published to all who watch its topic."""
        head, _, body = data.partition(b"\n")
        try:
            system, _, topic = head.decode().partition(" ")
            room = self.rooms.get(int(system))
            if room is None or topic not in room.watchers:
                return
            frame = Frame(topic, body)
        except ValueError:
            self.malformed += 1
            return
        await self._push(room, frame)

    async def _push(self, room: Room, frame: Frame) -> None:
        known = room.last.get(frame.topic)
        if known is not None and known.epoch == frame.epoch and known.seq >= frame.seq:
            return  # it was read before it was heard
        room.last[frame.topic] = frame
        topic, now = frame.topic, time.monotonic()
        for number, socket in enumerate(list(room.watchers.get(topic, ())), 1):
            if topic in socket.watched:
                socket.offer(frame, now)
            if number % AT_ONCE == 0:
                await asyncio.sleep(0)
                now = time.monotonic()

    async def _load(self, room: Room, topics: list[str]) -> None:
        """Give those who watch `topics` the stored frames, unless a newer one has come."""
        before = {topic: room.last.get(topic) for topic in topics}
        room.loading.update(topics)
        try:
            async with self._client.pipeline(transaction=False) as pipe:
                for topic in topics:
                    store.frame_command(pipe, room.system, topic)
                store.watch_command(pipe, room.system, [t.removeprefix(ACCOUNT) for t in topics if t[:8] == ACCOUNT])
                found = (await pipe.execute())[: len(topics)]
        except _FAILED:
            return  # the next subscription reads them
        finally:
            room.loading.difference_update(topics)
        for topic, body in zip(topics, found, strict=True):
            if body is None or topic not in room.watchers or room.last.get(topic) is not before[topic]:
                continue
            with contextlib.suppress(ValueError):
                await self._push(room, Frame(topic, body))

    async def _look(self) -> None:
        while True:
            await self._read_pulses(list(self.rooms.values()))
            await asyncio.sleep(PULSE_S)

    async def _read_pulses(self, rooms: list[Room]) -> None:
        if not rooms:
            return
        try:
            async with self._client.pipeline(transaction=False) as pipe:
                for room in rooms:
                    store.pulse_command(pipe, room.system)
                found = await asyncio.wait_for(pipe.execute(), REDIS_S * 1.5)
            for room, body in zip(rooms, found, strict=True):
                room.pulse = store.as_pulse(body)
            self._unread = False
        except _FAILED:
            if self._subscribed and not self._unread:
                self._lost_at = time.time()
            self._unread = True
        except (ValueError, TypeError):
            self.malformed += 1  # somebody else's key
        self._tell_states(rooms)

    async def _ask_for_accounts(self) -> None:
        while True:
            await asyncio.sleep(WATCH_EVERY_S)
            watched = [(room.system, names) for room in self.rooms.values() if (names := room.accounts())]
            if watched:
                with contextlib.suppress(*_FAILED):
                    async with self._client.pipeline(transaction=False) as pipe:
                        for system, names in watched:
                            store.watch_command(pipe, system, names)
                        await pipe.execute()

    async def _sweep(self) -> None:
        """Close those who have acknowledged nothing for too long."""
        while True:
            await asyncio.sleep(0.5)
            now = time.monotonic()
            for socket in self.sockets:
                if socket.since and now - socket.since > CLOSE_S:
                    socket.close(4408, f"Nothing was acknowledged for {CLOSE_S:g} seconds.")

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        _kept.add(task)
        task.add_done_callback(_kept.discard)


async def _for_ever(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """A fault in one round must not end the hub: all sockets hang on it."""
    while True:
        try:
            await work()
        except Exception:
            _log.exception("the hub goes on after a fault in %s", work.__name__)
            await asyncio.sleep(1.0)
