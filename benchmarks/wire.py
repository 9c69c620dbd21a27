"""A NATS client with nothing between the socket and the clock: it notes when each line came."""

from __future__ import annotations

import base64
import json
import queue
import re
import socket
import threading
import time
from collections.abc import Callable
from typing import Any

_REFUSED = re.compile(rb'Permissions Violation for Subscription to \\?"([^"\\]+)')


class Wire:
    """One connection, signed in by nkey. refused: {subject: when the server took the right away}."""

    def __init__(self, port: int, nkey: str, sign: Callable[[bytes], bytes]) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        info = json.loads(self._file.readline().partition(b" ")[2])
        self.server_id = info["server_id"]
        hello = {
            "verbose": False,
            "pedantic": False,
            "nkey": nkey,
            "sig": base64.b64encode(sign(info["nonce"].encode())).decode(),
            "lang": "benchmark",
            "version": "1",
            "protocol": 1,
            "headers": True,
            "no_responders": True,
        }
        self.refused: dict[str, float] = {}
        self.errors: list[bytes] = []
        self._pongs: queue.Queue[float] = queue.Queue()
        self._messages: queue.Queue[tuple[float, bytes]] = queue.Queue()
        self._news = threading.Condition()
        self._socket.settimeout(None)
        self._send(b"CONNECT " + json.dumps(hello).encode() + b"\r\n")
        threading.Thread(target=self._read, daemon=True).start()
        self.flush()

    def subscribe(self, *subjects: str) -> None:
        self._send(b"".join(f"SUB {subject} {number}\r\n".encode() for number, subject in enumerate(subjects, 10)))
        self.flush()

    def request(self, subject: str, timeout_s: float = 60) -> tuple[float, dict[str, Any]]:
        """(when the answer came, the answer)"""
        self._send(
            b"SUB _INBOX_nunect.bench 1\r\nUNSUB 1 1\r\n" + f"PUB {subject} _INBOX_nunect.bench 0\r\n\r\n".encode()
        )
        came, body = self._messages.get(timeout=timeout_s)
        return came, json.loads(body)

    def until_refused(self, subject: str, timeout_s: float = 60) -> float:
        """When the server said that this subscription is no longer allowed."""
        with self._news:
            if not self._news.wait_for(lambda: subject in self.refused, timeout_s):
                raise AssertionError(f"{subject} was never refused: {self.errors[-3:]}")
        return self.refused[subject]

    def flush(self) -> None:
        self._send(b"PING\r\n")
        self._pongs.get(timeout=30)

    def close(self) -> None:
        self._socket.close()

    def _send(self, data: bytes) -> None:
        self._socket.sendall(data)

    def _read(self) -> None:
        try:
            for line in self._file:
                now = time.monotonic()
                if line.startswith((b"MSG", b"HMSG")):
                    body = self._file.read(int(line.split()[-1]) + 2)
                    self._messages.put((time.monotonic(), body[:-2]))
                elif line.startswith(b"PING"):
                    self._send(b"PONG\r\n")
                elif line.startswith(b"PONG"):
                    self._pongs.put(now)
                elif line.startswith(b"-ERR"):
                    self.errors.append(line)
                    if found := _REFUSED.search(line):
                        with self._news:
                            self.refused[found[1].decode()] = now
                            self._news.notify_all()
        except (OSError, ValueError):
            pass  # closed
