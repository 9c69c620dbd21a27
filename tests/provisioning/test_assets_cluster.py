"""Streams and consumers on a cluster of three whose servers come and go."""

import signal
import time

import pytest

from accounts_app import assets
from accounts_app.models import Account, Server
from provisioning.jetstream.enforce import enforce
from provisioning.jetstream.observe import observe
from provisioning.missing import look_for_missing, missing_servers
from provisioning.server import Fleet
from tests.provisioning.assets_world import make, on_server, publish, state

pytestmark = pytest.mark.long


@pytest.fixture
def account(cluster):
    made = cluster.account("A", jetstream=True)
    cluster.user(made, "svc", access="all")
    cluster.apply()
    return made


def until_applied(cluster, *rows, timeout_s=40):
    """Try again until these rows are met, as the look between the sweeps does: leaders are being chosen."""
    end = time.monotonic() + timeout_s
    while True:
        enforce(cluster.system.pk)
        if {state(row) for row in rows} == {"applied"}:
            return
        assert time.monotonic() < end, [(row.name, row.problem) for row in rows]


def test_three_copies_wait_for_the_server_that_is_away_and_are_made_when_it_is_back(cluster, account):
    one = make(account, "ONE")
    enforce(cluster.system.pk)
    observe(cluster.system.pk)
    assert state(one) == "applied"
    away = next(name for name in cluster.followers() if name != one.counts["leader"])
    cluster.stop(away)
    cluster.apply(fresh=True)
    assert missing_servers(cluster.system) == [away]
    many = make(account, "MANY", replicas=3)
    consumer = assets.make_consumer(many, "worker")
    assets.save_asset(one, {"max_msgs": 7})
    enforce(cluster.system.pk)
    assert (state(many), many.problem) == ("waits", f"Waits for {away}: it keeps 3 copies.")
    assert (state(one), state(consumer)) == ("applied", "waits")
    cluster.start(away)
    assert look_for_missing(cluster.system.pk) is True
    until_applied(cluster, many, consumer)
    assert publish(cluster, "many.a")["seq"] == 1
    observe(cluster.system.pk)
    assert {state(row) for row in (many, one, consumer)} == {"applied"}


def test_what_lives_on_a_server_that_is_away_is_neither_gone_nor_drift(cluster, account):
    rows = [make(account, f"S{number}") for number in range(6)]
    consumers = [assets.make_consumer(row, "worker") for row in rows]
    enforce(cluster.system.pk)
    observe(cluster.system.pk)
    assert {state(row) for row in rows + consumers} == {"applied"}
    leaders = {row.counts["leader"] for row in rows}
    away = next(name for name in cluster.followers() if name in leaders)
    cluster.stop(away)
    cluster.apply(fresh=True)
    observe(cluster.system.pk)
    assert {state(row) for row in rows + consumers} == {"applied"}
    observed = [row for row in rows if row.counts["leader"] == away]
    for row in observed:
        assets.remove(row, "keep")
    observe(cluster.system.pk)
    assert {state(row) for row in observed} == {"observed"}


def test_a_cluster_without_a_majority_is_waited_for(cluster, account):
    row = make(account, replicas=3)
    enforce(cluster.system.pk)
    away = cluster.followers()
    cluster.stop(*away)
    cluster.apply(fresh=True)
    assets.save_asset(row, {"max_msgs": 9})
    enforce(cluster.system.pk)
    assert state(row) == "waits"
    assert row.problem.startswith(f"Waits for {away[0]} and {away[1]}: ")
    other = make(account, "OTHER")
    enforce(cluster.system.pk)
    assert state(other) == "waits"
    assert other.problem.startswith(f"Waits for {away[0]} and {away[1]}: ")
    observe(cluster.system.pk)
    assert row.drift == []
    cluster.start(*away)
    cluster.apply(fresh=True)
    until_applied(cluster, row, other)
    assert on_server(cluster)["max_msgs"] == 9


def test_a_server_that_does_not_know_the_account_yet_is_waited_for(cluster, account):
    """A stream of three copies would be half made, and then lost (facts §12)."""
    asleep = cluster.followers()[-1]
    cluster.signal(signal.SIGSTOP, asleep)
    fresh = cluster.account("B", jetstream=True)
    cluster.user(fresh, "bob", access="all")
    cluster.apply()
    cluster.signal(signal.SIGCONT, asleep)
    cluster.until_led()
    Server.objects.filter(name=asleep).update(state="pending")  # as somebody sees it who looks before the next run
    row = make(Account.objects.get(name="B"), replicas=3)
    enforce(cluster.system.pk)
    assert (state(row), row.problem) == ("waits", f"Waits for {asleep} to know account B.")
    cluster.apply(fresh=True)
    enforce(cluster.system.pk)
    assert state(row) == "applied"


def test_a_removed_account_leaves_nothing_in_any_store(cluster, account):
    row = make(account, replicas=3)
    enforce(cluster.system.pk)
    publish(cluster, "orders.a")
    stores = [cluster.store_of(name) / "jetstream" / "A" for name in cluster.names]
    assert all(store.exists() for store in stores)
    assets.remove(row, "delete")
    enforce(cluster.system.pk)
    Account.objects.get(name="A").delete()
    cluster.apply()
    with Fleet(cluster.system) as fleet:
        assert fleet.purge_account("A") is True
    assert [store.exists() for store in stores] == [False] * 3
