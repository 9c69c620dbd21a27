"""The process that pretends to be a busy system: connects and disconnects, as a nats-server tells them.

Events go to `$SYS.ACCOUNT.<account>.CONNECT` and `.DISCONNECT`, published by a user of the system account. Reads
commands and writes answers, a JSON line each: ["run", events a second, seconds] → [[when, events so far], …].
"""

from __future__ import annotations

import json
import socket
import sys
import time
from datetime import UTC, datetime
from typing import Any

TICK_S = 0.002
OPEN = 1000  # connections that are open at any time
ACCOUNTS = [f"A{number:02}" for number in range(50)]


class Source:
    def __init__(self, port: int, user: str, password: str) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), 10)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._file = self._socket.makefile("rb")
        info = json.loads(self._file.readline().partition(b" ")[2])
        self._server = {
            "name": info["server_name"],
            "host": "127.0.0.1",
            "id": info["server_id"],
            "ver": info["version"],
            "jetstream": False,
        }
        hello = {"verbose": False, "user": user, "pass": password, "lang": "benchmark", "version": "1", "protocol": 1}
        self._socket.sendall(b"CONNECT " + json.dumps(hello).encode() + b"\r\n")
        self._flush()
        self.sent = 0

    def run(self, per_s: int, seconds: float) -> list[tuple[float, int]]:
        """Send events at an even pace; [(monotonic clock, events so far)] of each tick."""
        began, ticks, first = time.monotonic(), [], self.sent
        while (now := time.monotonic()) < began + seconds:
            due = first + int((now - began) * per_s)
            if due > self.sent:
                self._socket.sendall(b"".join(self._event(number) for number in range(self.sent, due)))
                self.sent = due
                ticks.append((now, self.sent))
            time.sleep(max(0.0, now + TICK_S - time.monotonic()))
        self._flush()
        return ticks

    def _event(self, number: int) -> bytes:
        """The connects come first; then each connect is followed by the disconnect of the oldest client."""
        connects = number < OPEN or number % 2 == 0
        cid = number if number < OPEN else OPEN + (number - OPEN) // 2 if connects else (number - OPEN) // 2
        account, now = ACCOUNTS[cid % len(ACCOUNTS)], time.time()
        stamp = datetime.fromtimestamp(now, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        kind = "client_connect" if connects else "client_disconnect"
        client: dict[str, Any] = {
            "start": stamp,  # a login that is told long after it began would be the repeat of a reload
            "host": f"10.0.{cid // 250 % 250}.{cid % 250}",
            "id": cid + 100,
            "acc": account,
            "user": f"{account}.u{cid % 200}",
            "name": f"orders-api-{cid % 40}",
            "lang": "go",
            "ver": "1.48.0",
            "name_tag": account,
            "kind": "Client",
            "client_type": "nats",
        }
        told: dict[str, Any] = {
            "type": f"io.nats.server.advisory.v1.{kind}",
            "id": f"BENCH{number:017}",
            "timestamp": stamp,
            "server": {**self._server, "seq": number + 1, "time": stamp},
            "client": client,
        }
        if not connects:
            client["stop"] = stamp
            told |= {
                "sent": {"msgs": 4, "bytes": 400},
                "received": {"msgs": 2, "bytes": 100},
                "reason": "Client Closed",
            }
        body = json.dumps(told, separators=(",", ":")).encode()
        verb = "CONNECT" if connects else "DISCONNECT"
        return f"PUB $SYS.ACCOUNT.{account}.{verb} {len(body)}\r\n".encode() + body + b"\r\n"

    def _flush(self) -> None:
        self._socket.sendall(b"PING\r\n")
        for line in self._file:
            if line.startswith(b"PONG"):
                return
            if line.startswith(b"PING"):
                self._socket.sendall(b"PONG\r\n")
            if line.startswith(b"-ERR"):
                raise SystemExit(line.decode())


def main() -> None:
    source = Source(int(sys.argv[1]), sys.argv[2], sys.argv[3])
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(json.dumps(source.run(*arguments) if name == "run" else source.sent), flush=True)


if __name__ == "__main__":
    main()
