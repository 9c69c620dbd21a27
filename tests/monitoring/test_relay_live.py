"""The relay in front of a real server: what happens there is in Redis and in the archive a moment later."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
import redis.asyncio
from django.db import connections

from accounts_app.models import Account
from monitoring import store
from monitoring.archive import Archive
from monitoring.models import ArchivedEvent
from monitoring.relay import asking, rows, wire
from monitoring.relay.relay import Relay
from monitoring.tables import METRICS
from provisioning import managing, tasks
from provisioning.strangers import NO_WAY_IN
from tests.monitoring.line import Line
from tests.provisioning.world import World


class Watching:
    """A relay in a thread of its own, and what it has put into Redis."""

    def __init__(self, system, url):
        self.system, self.url = system, url
        self.archive, self.loop = Archive(), asyncio.new_event_loop()
        self.threads = ThreadPoolExecutor(1)
        self.relay = self.task = None
        self.thread = threading.Thread(target=self._run, daemon=True)

    def _run(self):
        asyncio.set_event_loop(self.loop)
        with contextlib.suppress(asyncio.CancelledError):
            self.loop.run_until_complete(self._serve())
        self.loop.close()

    async def _serve(self):
        client = redis.asyncio.Redis.from_url(self.url)
        system = await self.loop.run_in_executor(self.threads, rows.read_system, self.system.pk)
        self.relay = Relay(system, client, self.archive, self.threads)
        self.task = asyncio.current_task()
        try:
            await self.relay.run()
        finally:
            await client.aclose()

    def start(self):
        self.thread.start()
        self.until(lambda: store.read_pulse(self.system.pk).live)
        self.until(lambda: self.rows("connections") and self.rows("servers") and self.rows("servers")[0]["digest"])
        return self

    def stop(self):
        self.loop.call_soon_threadsafe(lambda: self.task and self.task.cancel())
        self.thread.join(60)
        assert not self.thread.is_alive(), "the relay did not end when it was cancelled"
        self.threads.submit(connections.close_all).result(60)
        self.threads.shutdown()

    def until(self, true, seconds=60.0):
        """What `true` answers, as soon as it is something."""
        end = time.monotonic() + seconds
        while True:
            found = true()
            if found:
                return found
            assert time.monotonic() < end, "not in time"
            time.sleep(0.02)

    def frame(self, topic):
        found = store.read_frame(self.system.pk, topic)
        return json.loads(found)["data"] if found else {}

    def rows(self, name):
        table = store.read_table(self.system.pk, name)
        return [dict(zip(table.columns, row, strict=True)) for row in table.rows]

    def events(self, kind):
        return [event for event in self.frame("events").get("events", ()) if event["kind"] == kind]

    def counts(self):
        return self.frame("events")["counts"]

    def kept(self, **which):
        self.archive.flush()
        return list(ArchivedEvent.objects.filter(**which))


@pytest.fixture
def world(transactional_db, tmp_path, settings):
    made = World(tmp_path, settings)
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def watching(world, valkey, settings):
    world.account("ACME")
    world.apply()
    made = Watching(world.system, settings.REDIS_URL)
    try:
        yield made.start()
    finally:
        made.stop()


@pytest.fixture
def svc(world, watching):
    user = world.user(Account.objects.get(name="ACME"), "svc", "publish >", access="all")
    world.apply()
    watching.until(lambda: watching.frame("changes").get("revision") == world.system.__class__.objects.get().revision)
    return user


def test_a_client_comes_is_counted_and_goes(world, watching, svc):
    line = Line(world.port, name="orders-api")
    assert line.read() == "PONG"
    (came,) = watching.until(lambda: watching.events("connect"))  # measured: 0.05 to 0.2 s
    assert came["text"] == "orders-api connected to n1 as `svc`."
    assert (came["account"], came["user_pk"], came["address"]) == ("ACME", svc.pk, "127.0.0.1")
    line.say("PUB a.b 2", "hi", "PUB a.b 2", "hi", "SUB a.> 1", "PING")

    def seen():
        return [row for row in watching.rows("connections") if row["app"] == "orders-api" and row["in_msgs"] == 2]

    (row,) = watching.until(seen)
    assert (row["user"], row["account"], row["subscriptions"], row["own"]) == ("svc", "ACME", 1, False)
    watching.until(lambda: [r for r in watching.rows("accounts") if r["account"] == "ACME" and r["connections"] == 1])
    watching.until(lambda: watching.frame("overview")["figures"]["connections"] == 1)
    line.close()
    (gone,) = watching.until(lambda: watching.events("disconnect"))
    assert gone["reason"] == "Client Closed"
    watching.until(lambda: watching.frame("overview")["figures"]["connections"] == 0)
    kept = watching.kept(kind__in=["connect", "disconnect"])
    assert sorted(event.kind for event in kept) == ["connect", "disconnect"]
    assert {event.revision for event in kept} == {came["revision"]}


def test_a_wrong_password_is_told_once_and_grouped(world, watching, svc):
    for _ in range(3):
        line = Line(world.port, password="wrong-password", name="worker")
        assert "Authorization Violation" in line.read()
        line.close()
    watching.until(lambda: watching.counts()["auth_error"] == 3)
    (row,) = watching.until(lambda: [row for row in watching.rows("failures") if row["count"] == 3])
    assert (row["user"], row["user_pk"], row["app"]) == ("svc", svc.pk, "worker")
    assert watching.counts()["disconnect"] == 0
    watching.until(lambda: len(watching.kept(kind="auth_error")) == 3)
    watching.until(lambda: watching.frame("overview")["figures"]["auth_failures"] == 3)


def test_a_reload_is_one_event_and_nobody_comes_or_goes_by_it(world, watching, svc):
    lines = [Line(world.port) for _ in range(5)]
    assert [line.read() for line in lines] == ["PONG"] * 5
    watching.until(lambda: watching.counts()["connect"] == 5)
    world.permit(svc, "subscribe more.>")
    number = world.apply().number
    watching.until(lambda: [event for event in watching.events("reload") if event["revision"] == number])
    (server,) = watching.until(lambda: [row for row in watching.rows("servers") if row["state"] == "in_sync"])
    assert server["revision"] == server["intended"]
    extra = Line(world.port)  # after the repeats
    watching.until(lambda: watching.counts()["connect"] == 6)
    assert watching.counts()["disconnect"] == 0
    for line in (*lines, extra):
        line.close()


def test_a_server_that_dies_is_said_and_comes_back(world, watching, svc):
    line = Line(world.port)
    assert line.read() == "PONG"
    watching.until(lambda: watching.counts()["connect"] == 1)
    world.stop()
    pulse = watching.until(lambda: (now := store.read_pulse(watching.system.pk)).problem and now)
    assert not pulse.live and pulse.problem
    watching.until(lambda: watching.rows("servers")[0]["state"] == "unreachable")
    world.start()
    watching.until(lambda: store.read_pulse(watching.system.pk).live)
    watching.until(lambda: watching.rows("servers")[0]["state"] == "in_sync")
    watching.until(lambda: not [row for row in watching.rows("connections") if not row["own"]])
    assert any("was started" in event["text"] for event in watching.events("server"))
    again = Line(world.port)
    watching.until(lambda: watching.counts()["connect"] == 2)
    again.close()


def test_a_server_that_hangs_is_told_from_one_that_is_gone(world, watching):
    world.signal(signal.SIGSTOP)
    pulse = watching.until(lambda: (now := store.read_pulse(watching.system.pk)).problem and now)
    assert "don't answer" in pulse.problem
    world.signal(signal.SIGCONT)
    watching.until(lambda: store.read_pulse(watching.system.pk).live)


def test_many_connections_are_seen_page_by_page_and_forgotten_as_they_go(world, watching, svc, monkeypatch):
    monkeypatch.setattr(asking, "PAGE", 20)
    lines = [Line(world.port, name=f"app-{number}") for number in range(55)]
    for line in lines:
        assert line.read() == "PONG"
        line.say("PUB x 1", "x", "PING")

    def others():
        return [row for row in watching.rows("connections") if not row["own"]]

    watching.until(lambda: len(others()) == 55 and all(row["in_msgs"] == 1 for row in others()))
    for line in lines[:30]:
        line.close()
    watching.until(lambda: len(others()) == 25)
    for line in lines[30:]:
        line.close()


def test_an_account_that_somebody_watches_has_a_topic(world, watching, svc):
    assert watching.frame("account:ACME") == {}
    store.watch(watching.system.pk, ["ACME"])
    line = Line(world.port)
    watching.until(lambda: watching.frame("account:ACME").get("row", {}).get("connections") == 1)
    watching.until(lambda: "connect" in [event["kind"] for event in watching.frame("account:ACME")["events"]])
    line.close()


async def test_a_part_ends_even_if_a_library_loses_its_cancellation():
    relay, begun = object.__new__(Relay), asyncio.Event()
    relay._said = set()

    async def loses():
        begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.sleep(60)

    part = asyncio.create_task(relay._every(0.0, "part", loses))
    await begun.wait()
    part.cancel()
    await asyncio.wait({part}, timeout=30)
    assert part.cancelled()


async def test_a_server_that_refuses_is_asked_less_and_less_until_something_is_new(monkeypatch):
    monkeypatch.setattr(wire, "REFUSED_S", 30.0)
    waiting = wire.Wire(lambda: None, (), lambda subject, data: None)
    waiting._refusals = 5
    pause = asyncio.create_task(waiting._pause(0.01))
    await asyncio.sleep(0.2)
    assert not pause.done()
    waiting.try_again()
    await asyncio.wait_for(pause, 5)
    await asyncio.wait_for(waiting._pause(0.01), 5)


def test_every_second_has_a_point(world, watching):
    index = METRICS.index("subscriptions") + 1
    points = watching.until(lambda: len(found := store.read_series(watching.system.pk, 1, "system")) >= 3 and found)
    assert all(later[0] >= earlier[0] for earlier, later in pairwise(points))
    assert points[-1][0] - points[0][0] >= len(points) - 2  # never more than one a second
    assert points[-1][index] > 0
    assert store.read_series(watching.system.pk, 1, "server:n1")


def test_when_the_servers_know_nothing_of_nunect_it_says_so(world, watching):
    conf = world.conf.read_text()
    world.conf.write_text("accounts: {}\n")
    world.signal(signal.SIGHUP)
    pulse = watching.until(lambda: (now := store.read_pulse(watching.system.pk)).problem and now)
    watching.until(lambda: "refuses nunect's own credential" in store.read_pulse(watching.system.pk).problem)
    assert not pulse.live
    world.conf.write_text(conf)
    world.signal(signal.SIGHUP)
    watching.until(lambda: store.read_pulse(watching.system.pk).live)


def test_where_no_way_leads_in_it_does_not_knock(world, watching):
    """Each try would be an error in the log of servers that nunect only observes."""
    managing.observe(world.system)
    (world.folder / "nats-server.conf").write_text(
        f"port: {world.port}\naccounts: {{ A: {{ users: [ {{ user: a, password: b }} ] }} }}\n"
    )
    world.restart()
    tasks.apply(world.system.pk)
    watching.until(lambda: store.read_pulse(watching.system.pk).problem == NO_WAY_IN)

    def knocks():
        return (world.folder / "log").read_text().count("authentication error")

    before = knocks()
    time.sleep(5)  # the pauses between tries are two seconds at most as long as few were refused
    assert knocks() == before


def test_a_stream_that_is_made_is_seen_and_told(world, watching, svc):
    account = Account.objects.get(name="ACME")
    account.jetstream = True
    account.save()
    world.apply()
    line = Line(world.port)
    assert line.read() == "PONG"
    config = json.dumps({"name": "ORDERS", "subjects": ["orders.>"], "storage": "file"})
    line.say(f"PUB $JS.API.STREAM.CREATE.ORDERS reply {len(config)}", config, "PING")

    def made():
        return [event for event in watching.events("advisory") if event["detail"]["stream"] == "ORDERS"]

    (told,) = watching.until(made)
    assert told["text"] == "Stream ORDERS in ACME was created." and told["account_pk"] == account.pk
    line.say("PUB orders.new 2", "hi", "PING")
    (row,) = watching.until(lambda: [row for row in watching.rows("streams") if row["messages"] == 1])
    assert (row["account"], row["stream"], row["subjects"]) == ("ACME", "ORDERS", ["orders.>"])
    line.close()
    assert [event.account for event in watching.kept(kind="advisory")] == ["ACME"]
