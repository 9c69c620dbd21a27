"""Tasks of streams and consumers: the hint after a commit, the sweep, and the look between the sweeps."""

import json

import pytest
from celery import current_app

from accounts_app import assets
from accounts_app.models import Server, Stream
from provisioning import hints, tasks
from provisioning.jetstream.enforce import enforce
from provisioning.missing import look_for_missing, missing_servers
from tests.provisioning.assets_world import by_tenant, make, on_server, state


@pytest.fixture
def queue(valkey, settings):
    """A real broker; called, it gives the tasks that wait there, and takes them away."""
    before, path = current_app.conf.broker_url, valkey.connection_pool.connection_kwargs.get("path")
    settings.VALKEY_SOCKET = path or settings.VALKEY_SOCKET
    current_app.conf.broker_url = f"redis+socket://{path}" if path else settings.REDIS_URL

    def taken():
        found = [json.loads(message)["headers"]["task"] for message in valkey.lrange("celery", 0, -1)]
        valkey.flushdb()
        return sorted(found)

    for cached in (hints._redis, hints._brokers):
        cached.cache_clear()
    valkey.flushdb()
    yield taken
    current_app.conf.broker_url = before
    for cached in (hints._redis, hints._brokers):
        cached.cache_clear()


def test_a_change_hints_at_its_own_task_once_and_at_no_run(account, queue):
    queue()
    row = make(account)
    assets.save_asset(row, {"max_msgs": 5})
    assert queue() == ["provisioning.assets"]
    tasks.assets(account.system_id)
    assert (state(row), queue()) == ("applied", [])


def test_a_hint_is_cleared_before_the_rows_are_read(account, queue):
    row = make(account)
    tasks.assets(account.system_id)
    queue()
    assets.save_asset(row, {"max_msgs": 5})
    assert queue() == ["provisioning.assets"]


def test_a_revision_hints_at_streams_that_wait_for_it(world, account, queue):
    row = make(world.account("B", jetstream=True))
    enforce(world.system.pk)
    assert (state(row), row.problem) == ("waits", "Waits for account B to reach the servers.")
    queue()
    world.apply()
    assert "provisioning.assets" in queue()
    tasks.assets(world.system.pk)
    assert state(row) == "applied"


def test_a_sweep_brings_what_a_hint_lost_and_looks_around(world, account):
    by_tenant(world, "STREAM.CREATE.THEIRS", {"name": "THEIRS", "subjects": ["theirs.>"]})
    make(account)
    tasks.sweep()
    assert {row.name: row.state for row in Stream.objects.all()} == {"ORDERS": "applied", "THEIRS": "observed"}


def test_the_look_between_sweeps_brings_what_waits(world, account):
    row = make(account)
    account.jetstream = False
    account.save()
    world.apply()
    tasks.waiting()
    assert (state(row), row.problem) == ("waits", "Waits for account A to have JetStream.")
    account.refresh_from_db()
    account.jetstream = True
    account.save()
    world.apply()
    tasks.waiting()
    assert state(row) == "applied"


@pytest.mark.long
def test_a_server_that_was_away_is_told_and_found_again(world, account):
    assert missing_servers(world.system) == []
    world.stop()
    tasks.sweep()
    assert missing_servers(world.system) == ["n1"]
    assert look_for_missing(world.system.pk) is False
    world.start()
    assert look_for_missing(world.system.pk) is True
    assert missing_servers(world.system) == []
    assert look_for_missing(world.system.pk) is False
    Server.objects.update(revision=0)
    world.system.refresh_from_db()
    assert missing_servers(world.system) == ["n1"]
    make(account)
    enforce(world.system.pk)
    row = Stream.objects.get()
    assert row.problem == "Waits for n1 to know account A."
    tasks.sweep()
    assert state(row) == "applied"
    assert on_server(world)
    assert assets.remove(row, "keep") is None
