"""A backup of the product that runs, and another machine that begins from it: clients sign in there as before."""

import asyncio
import contextlib
import socket
import subprocess
import sys
import time

import nats
import pytest

from provisioning.binary import binary
from tests.whole.product import Product


async def may_publish(port, user, password, subject):
    """Whether a user may publish there; None when it may not even sign in."""
    refused = []

    async def on_error(error):
        refused.append(error)

    try:
        client = await nats.connect(
            f"nats://127.0.0.1:{port}",
            user=user,
            password=password,
            allow_reconnect=False,
            connect_timeout=5,
            error_cb=on_error,
        )
    except nats.errors.Error:
        return None
    await client.publish(subject, b"")
    await client.flush(5)
    await asyncio.sleep(0.01)
    await client.close()
    return not refused


@pytest.fixture
def elsewhere(tmp_path):
    """A machine with nothing on it."""
    return Product(tmp_path / "elsewhere", python=sys.executable)


@contextlib.contextmanager
def nats_server(product):
    """nats-server alone, with the files of a product."""
    port = product.ports["NATS_PORT"]
    process = subprocess.Popen([binary(), "-c", str(product.config / "nats-server.conf"), "-l", "/dev/null"])
    try:
        end = time.monotonic() + 10
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 0.5) as line:
                if line.recv(4):
                    break
            assert process.poll() is None and time.monotonic() < end
            time.sleep(0.02)
        yield port
    finally:
        process.kill()
        process.wait()


def done(told):
    assert told.returncode == 0 and "Traceback" not in told.stderr, (told.stdout, told.stderr)
    return told.stdout


def test_another_machine_begins_where_this_one_was(running, elsewhere, tmp_path):
    done(running.nunect("create", "account", "name=SHOP"))
    secret = done(running.nunect("user", "add", "SHOP", "svc", "--password", "--publish", "orders.>")).strip()
    (tmp_path / "passphrase").write_text("a long and boring phrase\n")
    with_it = ("--passphrase-file", str(tmp_path / "passphrase"))
    done(running.nunect("backup", str(tmp_path / "one"), *with_it))
    told = done(elsewhere.nunect("restore", str(tmp_path / "one"), *with_it))
    assert "default is only observed" in told and "nothing here says what was revoked" in told
    with nats_server(elsewhere) as port:
        assert asyncio.run(may_publish(port, "svc", secret, "orders.new")) is True
        assert asyncio.run(may_publish(port, "svc", secret, "else")) is False
        assert asyncio.run(may_publish(port, "svc", "another", "orders.new")) is None
        done(elsewhere.nunect("system", "manage", "--confirm", "default", "--wait", "0"))
        assert "the servers hold" in done(elsewhere.run("enforce"))
        assert asyncio.run(may_publish(port, "svc", secret, "orders.new")) is True
