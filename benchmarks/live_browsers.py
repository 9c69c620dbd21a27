"""The process that pretends to be a thousand browsers: websockets that acknowledge once a second and keep nothing.

Reads commands and writes answers, a JSON line each: open, pause, mark, seen, totals, close.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import socket
import sys
import time
from typing import Any

BIN_S = 0.0005
SMALL = 65_536  # bytes that the kernel takes in for a browser that reads nothing


class Browser(asyncio.Protocol):
    """One websocket. Frames are told apart by their seq; their bytes are looked at once for all browsers."""

    known: dict[bytes, tuple[int, int]] = {}  # head of a snapshot: (seq, events that it counts)
    arrivals: dict[int, list[float]] = {}  # seq: when it arrived, at each browser
    counted: dict[int, int] = {}  # seq: events that it counts

    def __init__(self, request: bytes, ready: asyncio.Future[None]) -> None:
        self._request, self._ready = request, ready
        self._buffer, self._open = bytearray(), False
        self.seq, self.acked, self.total, self.frames, self.code = 0, 0, 0, 0, 0

    def connection_made(self, transport: Any) -> None:
        self.transport = transport
        transport.write(self._request)

    def connection_lost(self, error: Exception | None) -> None:
        self.code = self.code or 1006
        if not self._ready.done():
            self._ready.set_exception(error or ConnectionError("closed"))

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        buffer = self._buffer
        buffer += data
        if not self._open:
            end = buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            if not buffer.startswith(b"HTTP/1.1 101"):
                self._ready.set_exception(ConnectionError(bytes(buffer[:60]).decode()))
                return
            del buffer[: end + 4]
            self._open = True
        while len(buffer) >= 2:
            size, start = buffer[1] & 127, 2
            if size == 126:
                size, start = int.from_bytes(buffer[2:4]), 4
            elif size == 127:
                size, start = int.from_bytes(buffer[2:10]), 10
            if len(buffer) < start + size or len(buffer) < start:
                return
            kind = buffer[0] & 15
            if kind == 1:
                self._take(buffer, start, start + size, now)
            elif kind == 9:
                self._write(10, bytes(buffer[start : start + size]))
            elif kind == 8:
                self.code = int.from_bytes(buffer[start : start + 2])
            del buffer[: start + size]

    def _take(self, buffer: bytearray, start: int, end: int, now: float) -> None:
        if not buffer.startswith(b'{"type":"snapshot"', start):
            if not self._ready.done():
                self._ready.set_result(None)  # the hello
            return
        head = bytes(buffer[start : start + 160])
        known = self.known.get(head)
        if known is None:
            frame = json.loads(buffer[start:end])
            counts = frame["data"].get("counts", {})
            known = self.known[head] = (frame["seq"], counts.get("connect", 0) + counts.get("disconnect", 0))
            self.counted[frame["seq"]] = known[1]
        self.seq, self.total = known
        self.frames += 1
        self.arrivals.setdefault(self.seq, []).append(now)

    def ack(self) -> None:
        if self.seq > self.acked and not self.code:
            self.acked = self.seq
            self.say({"ack": self.seq})

    def say(self, what: Any) -> None:
        self._write(1, json.dumps(what).encode())

    def _write(self, kind: int, body: bytes) -> None:
        size = bytes([128 | len(body)]) if len(body) < 126 else bytes([254]) + len(body).to_bytes(2)
        self.transport.write(bytes([128 | kind]) + size + b"\0\0\0\0" + body)  # a mask of zeros changes nothing


class Browsers:
    def __init__(self) -> None:
        self.all: list[Browser] = []
        self.paused: list[Browser] = []

    async def open(self, port: int, sessions: list[str], topics: list[str], small: bool = False) -> float:
        """As many as there are sessions; seconds until all have been greeted."""
        began = time.monotonic()
        for start in range(0, len(sessions), 50):
            made = await asyncio.gather(*(self._one(port, each, small) for each in sessions[start : start + 50]))
            for browser in made:
                browser.say({"watch": {"topics": topics}})
            (self.paused if small else self.all).extend(made)
        return time.monotonic() - began

    async def _one(self, port: int, session: str, small: bool) -> Browser:
        key = base64.b64encode(os.urandom(16)).decode()
        lines = ("GET /ws/live/ HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: Upgrade", "Upgrade: websocket")
        lines += (f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13", f"Origin: http://127.0.0.1:{port}")
        request = "\r\n".join((*lines, f"Cookie: sessionid={session}", "", "")).encode()
        loop = asyncio.get_running_loop()
        raw = socket.socket()
        if small:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL)
        raw.setblocking(False)
        await loop.sock_connect(raw, ("127.0.0.1", port))
        ready: asyncio.Future[None] = loop.create_future()
        _, browser = await loop.create_connection(lambda: Browser(request, ready), sock=raw)
        await asyncio.wait_for(ready, 60)
        return browser

    async def pause(self) -> int:
        """The small ones read nothing any more."""
        for browser in self.paused:
            browser.transport.pause_reading()
        return len(self.paused)

    async def mark(self) -> float:
        """What arrives from now on is what `seen` tells of."""
        for known in (Browser.arrivals, Browser.counted, Browser.known):
            known.clear()
        for browser in self.all:
            browser.frames = 0
        return time.monotonic()

    async def seen(self) -> list[Any]:
        """[[seq, events counted, first arrival, {bin: browsers}], …] and how many frames the fewest and most got."""
        told = []
        for seq, arrivals in sorted(Browser.arrivals.items()):
            first, bins = min(arrivals), {}
            for arrival in arrivals:
                place = int((arrival - first) / BIN_S)
                bins[place] = bins.get(place, 0) + 1
            told.append([seq, Browser.counted[seq], first, bins])
        frames = [browser.frames for browser in self.all] or [0]
        return [told, min(frames), max(frames)]

    async def totals(self) -> list[Any]:
        """Events that each browser's last frame counts, as {count: browsers}; those that were closed."""
        found: dict[int, int] = {}
        for browser in self.all:
            found[browser.total] = found.get(browser.total, 0) + 1
        return [found, sum(bool(browser.code) for browser in self.all)]

    async def close(self) -> int:
        for browser in (*self.all, *self.paused):
            browser.transport.abort()
        count = len(self.all)
        self.all, self.paused = [], []
        return count

    async def acknowledge(self) -> None:
        """Each once a second, spread over it."""
        while True:
            for turn in range(20):
                for browser in self.all[turn::20]:
                    browser.ack()
                await asyncio.sleep(0.05)


async def main() -> None:
    browsers, loop = Browsers(), asyncio.get_running_loop()
    acks = loop.create_task(browsers.acknowledge())
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        name, *arguments = json.loads(line)
        print(json.dumps(await getattr(browsers, name)(*arguments)), flush=True)
    acks.cancel()


if __name__ == "__main__":
    asyncio.run(main())
