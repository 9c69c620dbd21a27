"""Clients with credentials that were handed over: what they may do is tried on the server."""

from __future__ import annotations

import base64
import socket
import struct

import nats
from nats.aio.client import Client

from accounts_app import credentials
from accounts_app.natsconf import nkeys


class Holder:
    """A client of one user, connected as the hand-over tells: with its key or password, and its inbox prefix."""

    def __init__(self, handed):
        self.handed, self.refused, self.client = handed, [], Client()

    async def __aenter__(self):
        context, options = self.handed["connect"]["context"], {}
        if self.handed["kind"] == "nkey":
            seed = self.handed["secret"]
            self.client._public_nkey = credentials.public_of(nkeys.decode_seed(seed)[1])
            options["signature_cb"] = lambda nonce: base64.b64encode(credentials.sign(seed, nonce.encode()))
        else:
            options |= {"user": context["user"], "password": context["password"]}
        if "inbox_prefix" in context:
            options["inbox_prefix"] = context["inbox_prefix"]

        async def on_error(error):
            self.refused.append(str(error))

        await self.client.connect(
            context["url"], allow_reconnect=False, connect_timeout=20, error_cb=on_error, **options
        )
        self.js = self.client.jetstream(timeout=20)
        return self

    async def __aexit__(self, *_):
        await self.client.close()

    async def settle(self):
        """Wait until the server has done all that was asked, and has said what it refuses.

        Twice: nats-py's PING may overtake what was asked just before.
        """
        await self.client.flush(20)
        await self.client.flush(20)

    async def may_publish(self, subject):
        """Whether the server lets it; by its answer, which comes before that to a PING."""
        return await self._may(lambda: self.client.publish(subject, b""), f'publish to "{subject}"'.lower())

    async def may_subscribe(self, subject, queue=""):
        async def listen(_):
            pass

        return await self._may(
            lambda: self.client.subscribe(subject, queue, cb=listen), f'subscription to "{subject}"'.lower()
        )

    async def _may(self, act, words):
        self.refused.clear()
        await act()
        await self.settle()
        return not any(words in said.lower() for said in self.refused)

    async def publishes(self, *subjects):
        """{subject: whether it may publish it}"""
        return {subject: await self.may_publish(subject) for subject in subjects}

    async def subscribes(self, *subjects):
        return {subject: await self.may_subscribe(subject) for subject in subjects}


async def enters(url, **login):
    """Whether somebody gets in."""
    try:
        client = await nats.connect(url, allow_reconnect=False, connect_timeout=20, **login)
    except nats.errors.Error:
        return False
    await client.close()
    return True


class Mqtt:
    """MQTT 3.1.1, as much of it as a device needs. Source: OASIS MQTT Version 3.1.1, section 3."""

    REFUSED = 0x80  # the answer to a subscription

    def __init__(self, port, user, password):
        self.line = socket.create_connection(("127.0.0.1", port), 20)
        self.line.settimeout(20)
        self.packet = 0
        flags = 0b1100_0010  # user name, password, clean session
        body = _text("MQTT") + bytes([4, flags]) + struct.pack(">H", 60) + _text(user) + _text(user) + _text(password)
        self._send(0x10, body)
        kind, answer = self.receive()
        self.entered = (kind, answer[1]) == (0x20, 0)

    def publish(self, topic, data):
        """With an acknowledgement; a server acknowledges also what it then refuses."""
        self.packet += 1
        self._send(0x32, _text(topic) + struct.pack(">H", self.packet) + data)
        assert self.receive()[0] == 0x40

    def subscribe(self, topic):
        """Whether the server lets it, at least once each."""
        self.packet += 1
        self._send(0x82, struct.pack(">H", self.packet) + _text(topic) + b"\x01")
        kind, answer = self.receive()
        assert kind == 0x90
        return answer[2] != self.REFUSED

    def message(self):
        """(topic, data) of the next message."""
        kind, body = self.receive()
        assert kind & 0xF0 == 0x30, hex(kind)
        length = struct.unpack(">H", body[:2])[0]
        start = 2 + length + (2 if kind & 6 else 0)
        return body[2 : 2 + length].decode(), body[start:]

    def receive(self):
        """(first byte, body) of the next packet."""
        kind, size, shift = self._exactly(1)[0], 0, 0
        while True:
            digit = self._exactly(1)[0]
            size |= (digit & 127) << shift
            shift += 7
            if digit < 128:
                return kind, self._exactly(size)

    def close(self):
        self.line.close()

    def _send(self, kind, body):
        size, digits = len(body), b""
        while True:
            size, digit = divmod(size, 128)
            digits += bytes([digit | (128 if size else 0)])
            if not size:
                break
        self.line.sendall(bytes([kind]) + digits + body)

    def _exactly(self, count):
        found = b""
        while len(found) < count:
            more = self.line.recv(count - len(found))
            if not more:
                raise EOFError("the server has closed the connection")
            found += more
        return found


def _text(text):
    return struct.pack(">H", len(text.encode())) + text.encode()
