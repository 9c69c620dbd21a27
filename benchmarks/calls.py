"""One kept-open HTTP connection that times what it asks, and nothing between it and the clock."""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Answer:
    """seconds: from the first byte sent to the last one read."""

    status: int
    body: bytes
    seconds: float

    def json(self) -> Any:
        return json.loads(self.body)


class Caller:
    """Requests to one port of this machine, one after the other."""

    def __init__(self, port: int, *, headers: dict[str, str] | None = None, timeout_s: float = 300) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
        self._headers = headers or {}

    def get(self, path: str) -> Answer:
        return self._ask("GET", path, None, {})

    def post(self, path: str, body: Any, **headers: str) -> Answer:
        """headers: names with _ for -; what is not bytes yet goes as JSON, encoded before the clock starts."""
        ready = body if isinstance(body, bytes) else json.dumps(body).encode()
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._ask("POST", path, ready, {"Content-Type": "application/json", **named})

    def close(self) -> None:
        self._connection.close()

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Answer:
        began = time.monotonic()
        self._connection.request(method, path, body, {**self._headers, **headers})
        answer = self._connection.getresponse()
        read = answer.read()
        seconds = time.monotonic() - began
        if answer.status >= 400:
            raise AssertionError(f"{method} {path}: {answer.status} {read[:600]!r}")
        return Answer(answer.status, read, seconds)
