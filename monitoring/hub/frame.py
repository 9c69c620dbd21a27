"""What is published, ready for all who watch it."""

from __future__ import annotations

import re
from typing import Any

_HEAD = re.compile(rb'"epoch":"((?:[^"\\]|\\.)*)","seq":(\d{1,16})')


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
