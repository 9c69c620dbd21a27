"""`/ws/live/`: lets people and programs in, and listens to them. What they are sent is the hub's."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import parse_qs, urlsplit

from channels.security.websocket import OriginValidator
from django.conf import settings
from django.db import Error as DatabaseError
from django.http import parse_cookie

from monitoring import callers, frames
from monitoring.callers import Admitted, Refused
from monitoring.frames import Ack, Wrong, of_one
from monitoring.hub import Frame, Hub, Socket
from monitoring.patrol import UNSURE, Patrol, hello

ADMIT_S = 5.0  # how long the database may take for who comes in, or watches an account or a job
MOST_WRONG = 10  # frames within a minute
MOST_FRAMES = 3000  # of any kind, within a minute
MINUTE = 60.0
STOPPED = 4012  # daphne can send 1000 and 3000 to 4999 only, else this were 1012
RESTARTED = "nunect is restarted: come again."
FLUSH_S = 0.1  # for the last words to go

_admitting = ThreadPoolExecutor(max_workers=2, thread_name_prefix="live-admit")
_log = logging.getLogger(__name__)
_hub: tuple[asyncio.AbstractEventLoop, Hub, asyncio.Task[None]] | None = None


def hub() -> Hub:
    """The hub of the running loop; started when first asked for."""
    global _hub
    loop = asyncio.get_running_loop()
    if _hub is None or _hub[0] is not loop:
        made = Hub()
        made.start()
        _hub = (loop, made, loop.create_task(Patrol(made).run(), name="patrol"))
    return _hub[1]


async def live(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """One socket, from its handshake to its end.

    A plain ASGI application instead of a Channels consumer: that would subscribe in Redis for each socket, and
    run two tasks and a look at all database connections for each message.
    """
    if (await receive())["type"] != "websocket.connect":
        return
    headers = {name.lower(): value.decode("latin-1") for name, value in scope["headers"]}
    bearer = _bearer(headers.get(b"authorization", ""))
    if bearer is None and not _own_origin(headers.get(b"origin")):
        _log.warning("a live socket was refused: its Origin %r is none of ALLOWED_HOSTS", headers.get(b"origin", ""))
        await send({"type": "websocket.close", "code": 4403})  # before `accept` this is HTTP's 403
        return
    session = parse_cookie(headers.get(b"cookie", "")).get(settings.SESSION_COOKIE_NAME, "")
    system = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("system", [""])[-1]
    try:
        admitted = await _ask(callers.admit, session, bearer, system)
    except Refused as refused:
        await _refuse(send, refused.code, str(refused))
        return
    except (DatabaseError, TimeoutError, OSError):
        await _refuse(send, 4503, UNSURE)
        return
    await send({"type": "websocket.accept"})
    await _Conversation(admitted, receive, send).run()


async def nowhere(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Any other address of a websocket: refused in the handshake."""
    await receive()
    await send({"type": "websocket.close"})


def _bearer(header: str) -> str | None:
    """The bare token of an Authorization header, None without one. A browser can't send this header."""
    words = header.split()
    if not words or words[0].lower() != "bearer":
        return None
    return words[1] if len(words) == 2 else ""


def _own_origin(origin: str | None) -> bool:
    """As Channels' AllowedHostsOriginValidator, which knows no exemption; a missing Origin is nobody's."""
    if origin is None:
        return False
    hosts = settings.ALLOWED_HOSTS or (["localhost", "127.0.0.1", "[::1]"] if settings.DEBUG else [])
    try:
        return bool(OriginValidator(None, hosts).valid_origin(urlsplit(origin)))
    except ValueError:  # a port that is none
        return False


async def _ask(ask: Any, *args: Any) -> Any:
    """Ask the database, in a thread. Raises TimeoutError when it takes too long."""
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(ADMIT_S):
        return await loop.run_in_executor(_admitting, callers.in_thread, ask, *args)


async def _refuse(send: Any, code: int, detail: str) -> None:
    """Accept and close: a browser is told neither status nor body of a refused handshake."""
    await send({"type": "websocket.accept"})
    await _end(send, code, detail)


async def _end(send: Any, code: int, detail: str) -> None:
    """The last words; whoever doesn't read them is left."""
    with contextlib.suppress(OSError, RuntimeError, TimeoutError):
        async with asyncio.timeout(1.0):
            if detail:
                await send({"type": "websocket.send", "text": frames.error(time.time(), detail)})
            await send({"type": "websocket.close", "code": code, "reason": detail[:100]})


class _Conversation:
    """What a client says, and what is answered to it."""

    __slots__ = ("_admitted", "_begun", "_count", "_receive", "_send", "_socket", "_wrong")

    def __init__(self, admitted: Admitted, receive: Any, send: Any) -> None:
        self._admitted, self._receive, self._send = admitted, receive, send
        daphne = Daphne.behind(send)
        self._socket = Socket(send, instant=daphne is not None, push=daphne.push if daphne else None)
        self._wrong: deque[float] = deque(maxlen=MOST_WRONG)
        self._begun, self._count = time.monotonic(), 0

    async def run(self) -> None:
        socket, admitted = self._socket, self._admitted
        socket.caller, socket.standing, socket.topics = admitted.caller, admitted.standing, admitted.topics
        socket.task = asyncio.current_task()
        every = hub()
        try:
            room = await every.add(socket, admitted.system, admitted.system_name)
            socket.tell(hello(socket))
            socket.tell(every.state_text(room))
            while (message := await self._receive())["type"] != "websocket.disconnect":
                await self._take(message.get("text"))
        except asyncio.CancelledError:  # by `Socket.close`, or by a server that stops
            every.remove(socket)
            await _end(self._send, socket.code or STOPPED, socket.detail if socket.code else RESTARTED)
            if not socket.code:
                raise
        finally:
            every.remove(socket)

    async def _take(self, text: str | None) -> None:
        now = time.monotonic()
        if now - self._begun > MINUTE:
            self._begun, self._count = now, 0
        self._count += 1
        if self._count > MOST_FRAMES:
            self._socket.close(4400, f"These were more than {MOST_FRAMES} frames within a minute.")
            return
        try:
            said = frames.read(text)
            if isinstance(said, Ack):
                self._socket.ack(said.seq, now)
            else:
                await self._watch(said.topics)
        except Wrong as wrong:
            self._wrong.append(now)
            if len(self._wrong) == MOST_WRONG and now - self._wrong[0] < MINUTE:
                self._socket.close(4400, str(wrong))
            else:
                self._socket.tell(frames.error(time.time(), str(wrong)))

    async def _watch(self, topics: tuple[str, ...]) -> None:
        socket = self._socket
        try:
            allowed = await self._allowed(topics)
        except (DatabaseError, TimeoutError, OSError):
            socket.tell(frames.error(time.time(), f"watch: {UNSURE}"))
            return
        kept = [topic for topic in topics if topic in allowed]
        hub().watch(socket, kept)
        if len(kept) < len(topics):
            others = ", ".join(topic for topic in topics if topic not in allowed)
            socket.tell(frames.error(time.time(), f"watch: you may not watch {others}."))

    async def _allowed(self, topics: tuple[str, ...]) -> frozenset[str]:
        """Topics of a system are known since the hello; of one account or job only the database can tell."""
        socket = self._socket
        single = frozenset(topic for topic in topics if of_one(topic))
        while single - socket.watched:
            standing = socket.standing
            rights = await _ask(callers.rights_of, socket.caller, self._admitted.system, single)
            if standing is socket.standing:  # else the patrol has given it other rights meanwhile
                single = single & rights[1] if rights else frozenset()
                break
        return single | (frozenset(topics) & frozenset(socket.topics))


class Daphne:
    """Daphne's end of a socket. Its `send` writes and returns, and a frame can be made ready once for all sockets."""

    __slots__ = ("_protocol",)
    _stops_well = False

    def __init__(self, protocol: Any) -> None:
        self._protocol = protocol

    @classmethod
    def behind(cls, send: Any) -> Daphne | None:
        """The one that an ASGI `send` belongs to; None for another server's."""
        if getattr(getattr(send, "func", None), "__module__", "") != "daphne.server":
            return None
        protocol = send.args[0] if send.args else None
        if not hasattr(protocol, "sendPreparedMessage"):
            return None
        if not cls._stops_well:
            cls._stops_well = True
            cls._close_all_at_stop(hub())
        return cls(protocol)

    @staticmethod
    def _close_all_at_stop(every: Hub) -> None:
        """Daphne cancels all applications, but trips over one that has answered while its connection is kept."""
        from twisted.internet import reactor, task

        clock: Any = reactor

        def last_words() -> Any:
            for socket in every.sockets:
                socket.close(STOPPED, RESTARTED)
            return task.deferLater(clock, FLUSH_S, lambda: None)

        clock.addSystemEventTrigger("before", "shutdown", last_words)

    def push(self, frame: Frame) -> None:
        """By autobahn's own way of sending one message to many: framed once, the same bytes for all.

        It also knows no limit of size, which for `send` is that of what a client may say. What autobahn would
        log of each write costs more than the write, so it is passed over unless something waits in its queue.
        """
        protocol = self._protocol
        if protocol.state != protocol.STATE_OPEN:
            return
        if frame.ready is None:
            frame.ready = protocol.factory.prepareMessage(frame.body, isBinary=False, doNotCompress=True)
        if protocol.send_queue:
            protocol.sendPreparedMessage(frame.ready)
        else:
            _write(protocol.transport, frame.ready.payloadHybi)


def _write(transport: Any, data: bytes) -> None:
    """Write at once what the kernel takes, for a plain connection with nothing in its buffer.

    Twisted would put it there and ask epoll twice, which makes most of the time of sending to a thousand.
    """
    plain = type(transport).__module__ in ("twisted.internet.tcp", "twisted.internet.unix") and not transport.TLS
    if plain and not (transport.dataBuffer or transport._tempDataBuffer or transport.disconnecting):
        written = transport.writeSomeData(data)
        if isinstance(written, int):  # else it is gone, as `write` will find
            data = data[written:]
    if data:
        transport.write(data)
