"""Stands where `manage.py relay` will: counts what the system account tells, and publishes the topic `events`.

Every event is decoded, a repeat is none, and eight frames a second carry the counters and the last events.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections import deque
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "nunect.settings")

import django

django.setup()

import redis.asyncio  # noqa: E402
from django.conf import settings  # noqa: E402

from monitoring import frames, store  # noqa: E402
from monitoring.events import KINDS, Event  # noqa: E402

PER_S, LAST = 8, 30


class Reader(asyncio.Protocol):
    """The NATS protocol as far as it is needed, and what was counted."""

    def __init__(self, user: str, password: str) -> None:
        self._login = {"verbose": False, "user": user, "pass": password, "lang": "benchmark", "version": "1"}
        self._buffer = b""
        self.counts = dict.fromkeys(KINDS, 0)
        self.last: deque[Event] = deque(maxlen=LAST)
        self._open: set[tuple[str, int, str]] = set()

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        buffer, place = self._buffer + data, 0
        while (end := buffer.find(b"\r\n", place)) >= 0:
            line = buffer[place:end]
            if line.startswith(b"MSG"):
                size = int(line.rpartition(b" ")[2])
                if len(buffer) < end + 2 + size + 2:
                    break
                self._take(buffer[end + 2 : end + 2 + size])
                place = end + 2 + size + 2
                continue
            if line.startswith(b"INFO"):
                subjects = ("$SYS.ACCOUNT.*.CONNECT", "$SYS.ACCOUNT.*.DISCONNECT")
                told = "".join(f"SUB {subject} {number}\r\n" for number, subject in enumerate(subjects, 1))
                self._transport.write(f"CONNECT {json.dumps(self._login)}\r\n{told}".encode())
            elif line.startswith(b"PING"):
                self._transport.write(b"PONG\r\n")
            place = end + 2
        self._buffer = buffer[place:]

    def _take(self, body: bytes) -> None:
        told = json.loads(body)
        client, server = told["client"], told["server"]
        key = (server["id"], client["id"], client["start"])
        if told["type"].endswith("client_connect"):
            if key in self._open:
                return
            self._open.add(key)
            kind: Any = "connect"
        else:
            self._open.discard(key)
            kind = "disconnect"
        self.counts[kind] += 1
        self.last.append(
            Event(
                at=time.time(),
                id=f"{server['id'][:8]}:{client['id']}:{kind[0]}",
                kind=kind,
                text=f"{client.get('name', '')} {kind}ed at {server['name']} as `{client.get('user', '')}`.",
                server=server["name"],
                account=client["acc"],
                user=client.get("user", ""),
                app=client.get("name", ""),
                address=client["host"],
                cid=client["id"],
                reason=told.get("reason", ""),
            )
        )


async def main(port: int, user: str, password: str, system: int) -> None:
    loop = asyncio.get_running_loop()
    _, reader = await loop.create_connection(lambda: Reader(user, password), "127.0.0.1", port)
    client, epoch, seq, since = redis.asyncio.Redis.from_url(settings.REDIS_URL), f"{os.getpid():x}", 0, time.time()
    due = loop.time()
    while True:
        seq += 1
        now = time.time()
        data = {"events": [each.as_dict() for each in reversed(reader.last)], "counts": reader.counts}
        data |= {"malformed": 0, "unarchived": 0}
        async with client.pipeline(transaction=False) as pipe:
            store.put_frame(pipe, system, "events", frames.snapshot("events", "default", epoch, seq, now, data))
            store.put_pulse(pipe, system, store.Pulse(epoch, seq, now, True, "", since))
            await pipe.execute()
        due += 1 / PER_S
        await asyncio.sleep(max(0.0, due - loop.time()))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])))
