"""Leafnodes and browsers beside: what stands in the main file next to the accounts goes on through a take-over."""

import asyncio
import socket
import subprocess

import nats
import pytest

from accounts_app.models import Account, System
from provisioning import pipeline
from provisioning.binary import binary
from provisioning.takeover.looking import look
from provisioning.takeover.taking import take, undo
from tests.ports import free_ports
from tests.provisioning.taken_place import PASSWORD, Member, Place

pytestmark = pytest.mark.live


class Leaf:
    """A server that is joined to the hub by two remotes, one for each of its accounts."""

    def __init__(self, folder, hub):
        (self.port,) = free_ports(1)
        self.hub = hub
        remotes = "\n".join(
            f'{{ url: "nats-leaf://{user}:{password}@127.0.0.1:{hub.leaves}", account: {account} }}'
            for user, password, account in (("crane", "lift", "CRANES"), ("shop", "sell", "SHOP"))
        )
        conf = folder / "leaf.conf"
        conf.write_text(
            f"server_name: leaf\nlisten: 127.0.0.1:{self.port}\nleafnodes {{ reconnect: 1, remotes: [ {remotes} ] }}\n"
            "accounts { CRANES: { users: [ { user: crane, password: c } ] }\n"
            "SHOP: { users: [ { user: shop, password: s } ] } }\n"
        )
        self.process = subprocess.Popen([binary(), "-c", conf, "-l", folder / "leaf.log"])

    def stop(self):
        self.process.kill()
        self.process.wait(10)


async def passes(publishing, subscribing, subject):
    """Whether a message of one (port, user, password) reaches the other; tried for 5 s, as interest has to travel."""
    one, other = [
        await nats.connect(f"nats://127.0.0.1:{port}", user=user, password=password)
        for port, user, password in (publishing, subscribing)
    ]
    try:
        subscription = await other.subscribe(subject)
        await other.flush()
        for _ in range(50):
            await one.publish(subject, b"x")
            try:
                await subscription.next_msg(0.1)
            except nats.errors.TimeoutError:
                continue
            return True
        return False
    finally:
        await one.close()
        await other.close()


def flows(hub, leaf):
    """Whether messages go from the crane to the office, and from the orders to the shop."""
    return asyncio.run(passes((leaf.port, "crane", "c"), (hub.port, "office", PASSWORD), "crane.one")) and asyncio.run(
        passes((hub.port, "orders", PASSWORD), (leaf.port, "shop", "s"), "order.one")
    )


class Browser:
    """A client by websocket, by hand, whose connection is never made anew."""

    def __init__(self, hub):
        self.socket = socket.create_connection(("127.0.0.1", hub.websocket), 5)
        self.socket.sendall(
            f"GET / HTTP/1.1\r\nHost: 127.0.0.1:{hub.websocket}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n\r\n".encode()
        )
        self._until(b"\r\n\r\n")
        self._send(f'CONNECT {{"verbose":false,"user":"browser","pass":"{PASSWORD}"}}\r\n'.encode())

    def alive(self):
        """Whether the server still answers on this very connection."""
        try:
            self._send(b"PING\r\n")
            return b"-ERR" not in self._until(b"PONG")
        except OSError:
            return False

    def _send(self, words):
        """In one frame, with a mask of zeros."""
        assert len(words) < 126
        self.socket.sendall(bytes([0x82, 0x80 | len(words), 0, 0, 0, 0]) + words)

    def _until(self, end):
        said = b""
        while end not in said:
            part = self.socket.recv(65536)
            if not part:
                raise ConnectionResetError
            said += part
        return said


@pytest.fixture
def hub(transactional_db, tmp_path, settings):
    settings.STATE_DIR = tmp_path / "state"
    folder = tmp_path / "nats"
    folder.mkdir()
    made = Place(folder, "beside")
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def leaf(hub, tmp_path):
    made = Leaf(tmp_path, hub)
    try:
        yield made
    finally:
        made.stop()


def leaf_connections(leaf, folder):
    """How many times the leaf has joined the hub since its start, by its log."""
    return (folder / "leaf.log").read_text().count("Leafnode connection created")


def test_leafnodes_and_browsers_stay_through_a_take_over_and_its_undoing(hub, leaf, tmp_path):
    assert flows(hub, leaf)
    joined = leaf_connections(leaf, tmp_path)
    assert joined == 2
    browser, office = Browser(hub), Member(hub.port, "office")
    assert browser.alive()
    assert office.alive()
    forecast = look(hub.main, None)
    assert (forecast.refusals, forecast.differences) == ((), ())

    assert take(hub.main, "default").revision.servers[0]["proof"] == "digest"
    assert Account.objects.filter(name="CRANES").exists(), "leafnodes are bound to it"
    assert "leafnodes {" in hub.main.read_text()
    assert browser.alive()
    assert office.alive()
    assert flows(hub, leaf)

    pipeline.apply(System.objects.get().pk, fresh=True)
    assert flows(hub, leaf)
    undo(hub.main)
    assert browser.alive()
    assert office.alive()
    assert flows(hub, leaf)
    assert leaf_connections(leaf, tmp_path) == joined, "its connections were never made anew"
    assert hub.files() == hub.before


def test_leafnodes_come_back_after_a_restart_of_a_hub_that_is_taken_over(hub, leaf):
    take(hub.main, "default")
    hub.restart()
    assert Member(hub.port, "office").alive()
    assert not hub.anonymous_gets_in()
    assert flows(hub, leaf)
    undo(hub.main)
    assert hub.files() == hub.before
