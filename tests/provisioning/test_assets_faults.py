"""Streams and consumers when somebody dies, stands in the way, or is away."""

import os
import signal
import threading

import pytest
from django.db import connection, connections

from accounts_app import assets
from accounts_app.models import Account, Stream
from provisioning import decisions
from provisioning.jetstream import enforce as enforcing
from provisioning.jetstream.enforce import enforce
from provisioning.jetstream.locks import sole_enforcer
from provisioning.jetstream.observe import observe
from provisioning.models import Hold
from tests.provisioning.assets_world import by_tenant, consumer_on_server, make, on_server, publish, state
from tests.provisioning.world import dies_at

STEPS = ("assets look", "assets trace", "assets act", "assets write")


def switch(account, **fields):
    account.refresh_from_db()
    for name, value in fields.items():
        setattr(account, name, value)
    account.save()


@pytest.mark.parametrize("step", STEPS)
def test_a_worker_that_is_killed_leaves_nothing_half_done(world, account, step):
    row = make(account, max_msgs=5)
    consumer = assets.make_consumer(row, "worker")
    assert dies_at(step, lambda: enforce(world.system.pk))
    assets.save_asset(row, {"max_msgs": 6})  # what the dead one has made is known to be the row's
    enforce(world.system.pk)
    assert (state(row), state(consumer)) == ("applied", "applied")
    assert on_server(world)["max_msgs"] == 6
    assert consumer_on_server(world, "worker")
    assets.remove(row, "delete")
    assert dies_at(step, lambda: enforce(world.system.pk))
    enforce(world.system.pk)
    assert not Stream.objects.exists()
    assert on_server(world) is None


def test_a_deletion_that_follows_a_crash_takes_what_the_dead_one_made(world, account):
    row = make(account)
    assert dies_at("assets act", lambda: enforce(world.system.pk))
    assert on_server(world)
    assets.remove(row, "delete")
    enforce(world.system.pk)
    assert on_server(world) is None


def test_two_workers_at_once_do_it_once(world, account):
    rows = [make(account, f"S{number}") for number in range(8)]
    made = by_tenant(world, "INFO")["api"]["total"]
    failed = []

    def work():
        try:
            enforce(world.system.pk)
        except Exception as error:
            failed.append(error)
        finally:
            connections.close_all()

    workers = [threading.Thread(target=work) for _ in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert failed == []
    assert {state(row) for row in rows} == {"applied"}
    assert by_tenant(world, "INFO")["api"]["total"] == made + 1 + 2 * len(rows)  # a look and an act for each


def test_a_worker_that_sleeps_on_its_lock_keeps_nobody_else_than_its_accounts_waiting(world, account, monkeypatch):
    monkeypatch.setattr(enforcing, "LOCK_TIMEOUT_S", 0.2)
    row = make(account)
    with sole_enforcer(world.system.folder, [account.pk], 1):
        enforce(world.system.pk)
        assert (state(row), row.problem) == ("waits", "Waits. Another worker is at the streams of this account.")
    enforce(world.system.pk)
    assert state(row) == "applied"


def test_the_lock_of_a_dead_worker_is_free(world, account):
    connections.close_all()
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with sole_enforcer(world.system.folder, [account.pk], 1):
            os.write(writing, b"x")
            signal.pause()
    os.read(reading, 1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    with sole_enforcer(world.system.folder, [account.pk], 0.5):
        pass


def test_a_change_while_it_is_being_made_is_met_by_the_same_run(world, account, monkeypatch):
    row = make(account, max_msgs=1)
    real, changed = enforcing.act, []

    async def slow(*arguments):
        outcome = await real(*arguments)
        if not changed:
            changed.append(threading.Thread(target=change))
            changed[0].start()
            changed[0].join(30)
        return outcome

    def change():
        assets.save_asset(Stream.objects.get(), {"max_msgs": 2})
        connection.close()

    monkeypatch.setattr(enforcing, "act", slow)  # does the work, and lets somebody in at the worst moment
    enforce(world.system.pk)
    assert state(row) == "applied"
    assert on_server(world)["max_msgs"] == 2


def test_a_server_that_is_away_is_waited_for(world, account):
    row = make(account)
    world.stop()
    enforce(world.system.pk)
    assert (state(row), row.problem.startswith("Waits. No server answers at")) == ("waits", True)
    world.start()
    enforce(world.system.pk)
    assert state(row) == "applied"


def test_a_server_that_hangs_is_waited_for_and_then_it_was_done_once(world, account, monkeypatch):
    row, other = make(account), make(account, "OTHER")
    client = enforcing.JetStream
    monkeypatch.setattr(enforcing, "JetStream", lambda system: client(system, timeout_s=0.3))
    real = enforcing.act

    async def hang(*arguments):
        world.signal(signal.SIGSTOP)
        return await real(*arguments)

    monkeypatch.setattr(enforcing, "act", hang)  # the server stops between the look and the act
    enforce(world.system.pk)
    assert (state(row), row.problem) == ("waits", "Waits. JetStream of account A does not answer (TimeoutError).")
    assert state(other) == "waits"
    monkeypatch.undo()
    world.signal(signal.SIGCONT)  # and does what it was asked, when nobody waits any more
    enforce(world.system.pk)
    assert (state(row), state(other)) == ("applied", "applied")


@pytest.mark.parametrize(
    "fields, words",
    [
        ({"enabled": False}, "Waits for account A to be enabled."),
        ({"jetstream": False}, "Waits for account A to have JetStream."),
        ({"jetstream_control": False}, "Waits for account A to show its JetStream to nunect."),
    ],
)
def test_an_account_that_can_not_be_asked_is_waited_for(world, account, fields, words):
    row = make(account)
    switch(account, **fields)
    enforce(world.system.pk)
    assert (state(row), row.problem) == ("waits", words)
    world.apply()
    enforce(world.system.pk)
    observe(world.system.pk)
    assert (state(row), row.problem) == ("waits", words)
    switch(account, **dict.fromkeys(fields, True))
    enforce(world.system.pk)
    assert row.problem == words
    assert state(row) == "waits"
    world.apply()
    enforce(world.system.pk)
    assert state(row) == "applied"


def test_an_account_that_fails_is_told(world, account):
    bad = world.account("BAD", jetstream=True, jetstream_max_file=8_000_000_000)  # more than the server has
    row = make(bad)
    world.apply()
    enforce(world.system.pk)
    assert state(row) == "waits"
    assert row.problem.startswith("Waits for account BAD, which is failed: JetStream max_file:")
    switch(bad, jetstream_max_file=1_000_000)
    world.apply()
    enforce(world.system.pk)
    assert state(row) == "applied"


def test_what_a_limit_refused_is_tried_again_when_the_account_has_changed(world, account):
    switch(account, jetstream_max_streams=1)
    world.apply()
    first, second = make(account, "FIRST"), make(account, "SECOND")
    enforce(world.system.pk)
    assert (state(first), state(second)) == ("applied", "failed")
    switch(account, jetstream_max_streams=2)
    world.apply()
    enforce(world.system.pk)
    assert state(second) == "applied"


def test_only_the_accounts_asked_for_are_met(world, account):
    other = world.account("B", jetstream=True)
    world.apply()
    mine, theirs = make(account), make(other)
    enforce(world.system.pk, [account.pk])
    assert (state(mine), state(theirs)) == ("applied", "pending")
    enforce(world.system.pk, [])
    assert state(theirs) == "pending"


def test_a_retired_account_that_is_added_again_stores_again(world, account):
    """Removed with its JetStream in two reloads, so that its streams are not left without an owner (facts §13)."""
    make(account)
    enforce(world.system.pk)
    assert publish(world, "orders.a")["seq"] == 1
    row = Stream.objects.get()
    assets.remove(row, "delete")
    enforce(world.system.pk)
    assert not Stream.objects.exists()
    before = world.reloads()
    Account.objects.get(name="A").delete()
    world.apply()
    assert world.reloads() == before + 2
    again = world.account("A", jetstream=True)
    world.user(again, "svc", access="all")
    world.apply()
    row = make(again)
    enforce(world.system.pk)
    assert state(row) == "applied"
    assert publish(world, "orders.a") == {"stream": "ORDERS", "seq": 1}
    assert publish(world, "orders.b")["seq"] == 2


def test_an_account_that_is_disabled_and_enabled_again_stores_again_what_it_kept(world, account):
    row = make(account)
    enforce(world.system.pk)
    publish(world, "orders.a")
    for enabled in (False, True):
        switch(account, enabled=enabled)
        world.apply()
        if not enabled:
            decisions.approve(Hold.objects.get(state="open"))
            world.apply()
    assert publish(world, "orders.b")["seq"] == 2
    observe(world.system.pk)
    assert state(row) == "applied"
    assert row.counts["messages"] == 2
