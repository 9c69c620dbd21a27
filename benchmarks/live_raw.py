"""What the hub is held against: asyncio and nothing else. The same bytes from Redis to every websocket, unasked.

No sign-in, no rights, no topics, no acknowledgements, no bound on what a slow browser leaves in memory.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import sys

import redis.asyncio

sockets: set[Raw] = set()


class Raw(asyncio.Protocol):
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.open = False

    def data_received(self, data: bytes) -> None:
        if self.open:
            return  # what browsers say is of no interest
        key = next(line[19:].strip() for line in data.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
        accept = base64.b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
        self.transport.write(  # type: ignore[attr-defined]
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "
            + accept
            + b"\r\n\r\n"
            + framed(b'{"type":"hello"}')
        )
        self.open = True
        sockets.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        sockets.discard(self)


def framed(body: bytes) -> bytes:
    if len(body) < 126:
        return bytes([129, len(body)]) + body
    if len(body) < 65536:
        return bytes([129, 126]) + len(body).to_bytes(2) + body
    return bytes([129, 127]) + len(body).to_bytes(8) + body


async def main(port: int, url: str, channel: str, topic: str) -> None:
    server = await asyncio.get_running_loop().create_server(Raw, "127.0.0.1", port, backlog=2048)
    async with server, redis.asyncio.Redis.from_url(url) as client, client.pubsub() as pubsub:
        await pubsub.subscribe(channel)
        async for message in pubsub.listen():
            if message["type"] != "message":
                continue
            head, _, body = message["data"].partition(b"\n")
            if head.endswith(b" " + topic.encode()):
                frame = framed(body)
                for each in list(sockets):
                    each.transport.write(frame)  # type: ignore[attr-defined]


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), *sys.argv[2:]))
