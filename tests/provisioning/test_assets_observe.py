"""The look at a real server: what is there becomes rows, what differs becomes drift."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts_app import assets
from accounts_app.models import AuditEntry, Consumer, Stream
from provisioning.jetstream import sightings
from provisioning.jetstream.enforce import enforce
from provisioning.jetstream.observe import observe
from tests.provisioning.assets_world import by_tenant, make, on_server, publish, state

THEIRS = {"name": "THEIRS", "subjects": ["theirs.>"]}


@pytest.fixture
def stream(world, account):
    """A managed stream that the server has."""
    row = make(account)
    enforce(world.system.pk)
    return row


def test_what_tenants_have_made_is_told(world, account):
    by_tenant(world, "STREAM.CREATE.THEIRS", THEIRS)
    by_tenant(world, "STREAM.CREATE.KV_b", {"name": "KV_b", "subjects": ["$KV.b.>"], "max_msgs_per_subject": 1})
    durable = {"stream_name": "THEIRS", "config": {"durable_name": "d", "ack_policy": "explicit"}}
    by_tenant(world, "CONSUMER.CREATE.THEIRS.d", durable)
    passing = {"stream_name": "THEIRS", "config": {"name": "e", "ack_policy": "none", "inactive_threshold": 60 * 10**9}}
    by_tenant(world, "CONSUMER.CREATE.THEIRS.e", passing)
    assert publish(world, "theirs.a")["seq"] == 1
    observe(world.system.pk)
    rows = {row.name: row for row in Stream.objects.all()}
    assert {name: (row.state, row.kind) for name, row in rows.items()} == {
        "THEIRS": ("observed", "stream"),
        "KV_b": ("observed", "kv"),
    }
    assert rows["THEIRS"].seen["subjects"] == ["theirs.>"]
    assert (rows["THEIRS"].counts["messages"], rows["THEIRS"].counts["consumers"]) == (1, 2)
    consumer = Consumer.objects.get()  # the other one comes and goes
    assert (consumer.name, consumer.state, consumer.counts["pending"]) == ("d", "observed", 1)
    assert Stream.history.count() == Consumer.history.count() == 0
    by_tenant(world, "STREAM.DELETE.THEIRS")
    observe(world.system.pk)
    assert [row.name for row in Stream.objects.all()] == ["KV_b"]
    assert not Consumer.objects.exists()


def test_what_was_made_is_at_rest(world, account, stream):
    assets.make_consumer(stream, "worker", {"backoff": ["1s", "5s"], "max_deliver": 5})
    assets.make_stream(account, "kv", "KV_config", {"history": 5, "ttl": "1h"})
    assets.make_stream(account, "object", "OBJ_files", {})
    enforce(world.system.pk)
    told = ("name", "seen", "drift", "counts__messages", "done")
    before = [list(model.objects.values(*told)) for model in (Stream, Consumer)]
    observe(world.system.pk)
    assert [list(model.objects.values(*told)) for model in (Stream, Consumer)] == before


def test_numbers_follow_and_nothing_is_written_that_did_not_change(world, account, stream):
    publish(world, "orders.a")
    observe(world.system.pk)
    stream.refresh_from_db()
    assert stream.counts["messages"] == 1
    with CaptureQueriesContext(
        connection,
    ) as queries:
        observe(world.system.pk)
    assert not [query["sql"] for query in queries if not query["sql"].startswith("SELECT")]


def test_the_number_of_queries_does_not_grow_with_the_streams(world, account):
    def look():
        with CaptureQueriesContext(connection) as queries:
            observe(world.system.pk)
        return len(queries)

    few = look()
    for number in range(30):
        by_tenant(world, f"STREAM.CREATE.S{number}", {"name": f"S{number}", "subjects": [f"s{number}"]})
    observe(world.system.pk)
    assert Stream.objects.count() == 30
    assert look() == few


def test_a_change_behind_nunects_back_is_drift_that_waits_for_a_person(world, account, stream):
    by_tenant(world, "STREAM.UPDATE.ORDERS", {"name": "ORDERS", "subjects": ["orders.>", "more.>"], "max_msgs": 7})
    observe(world.system.pk)
    assert state(stream) == "drifted"
    assert [each["setting"] for each in stream.drift] == ["subjects", "max_msgs"]
    observe(world.system.pk)
    enforce(world.system.pk)
    assert on_server(world)["max_msgs"] == 7
    assert AuditEntry.objects.filter(act="stream drifted").count() == 1
    assets.revert(stream)
    enforce(world.system.pk)
    observe(world.system.pk)
    assert state(stream) == "applied"
    assert on_server(world)["subjects"] == ["orders.>"]


def test_a_drift_is_accepted_or_ignored(world, account, stream):
    by_tenant(world, "STREAM.UPDATE.ORDERS", {"name": "ORDERS", "subjects": ["orders.>"], "max_msgs": 7})
    observe(world.system.pk)
    stream.refresh_from_db()
    assets.ignore(stream)
    observe(world.system.pk)
    assert state(stream) == "applied"
    by_tenant(world, "STREAM.UPDATE.ORDERS", {"name": "ORDERS", "subjects": ["orders.>"], "max_msgs": 8})
    observe(world.system.pk)
    assert state(stream) == "drifted"  # just the one that was ignored is
    assets.accept(stream)
    enforce(world.system.pk)
    observe(world.system.pk)
    assert state(stream) == "applied"
    assert (stream.config["max_msgs"], on_server(world)["max_msgs"]) == (8, 8)


def test_a_drift_that_went_away_by_itself_is_over(world, account, stream):
    by_tenant(world, "STREAM.UPDATE.ORDERS", {"name": "ORDERS", "subjects": ["orders.>"], "max_msgs": 7})
    observe(world.system.pk)
    by_tenant(world, "STREAM.UPDATE.ORDERS", {"name": "ORDERS", "subjects": ["orders.>"]})
    observe(world.system.pk)
    assert state(stream) == "applied"


def test_a_managed_stream_that_somebody_deleted_is_told_and_brought_back(world, account, stream):
    consumer = assets.make_consumer(stream, "worker")
    enforce(world.system.pk)
    by_tenant(world, "STREAM.DELETE.ORDERS")
    observe(world.system.pk)
    assert (state(stream), state(consumer)) == ("drifted", "drifted")
    assert (stream.seen, [each["setting"] for each in stream.drift]) == (None, [""])
    assets.revert(stream)  # with its consumer
    enforce(world.system.pk)
    assert (state(stream), state(consumer)) == ("applied", "applied")
    assert on_server(world)["subjects"] == ["orders.>"]


def test_a_stream_is_adopted_as_it_is(world, account):
    by_tenant(world, "STREAM.CREATE.THEIRS", {**THEIRS, "max_msgs": 3, "consumer_limits": {"max_ack_pending": 5}})
    observe(world.system.pk)
    row = Stream.objects.get()
    assets.manage(row)
    before = on_server(world, "THEIRS")
    enforce(world.system.pk)
    assert state(row) == "applied"
    assert on_server(world, "THEIRS") == before
    assets.remove(row, "keep")
    observe(world.system.pk)
    assert state(row) == "observed"
    assert on_server(world, "THEIRS") == before


def test_a_row_whose_place_a_stranger_has_left_is_met(world, account):
    by_tenant(world, "STREAM.CREATE.ORDERS", {"name": "ORDERS", "subjects": ["theirs.>"]})
    row = make(account)
    enforce(world.system.pk)
    observe(world.system.pk)
    assert (state(row), row.seen["subjects"]) == ("failed", ["theirs.>"])
    by_tenant(world, "STREAM.DELETE.ORDERS")
    observe(world.system.pk)
    assert (state(row), row.seen, row.drift) == ("pending", None, [])
    enforce(world.system.pk)
    assert state(row) == "applied"


def test_a_row_that_nobody_has_met_yet_is_no_drift(world, account):
    by_tenant(world, "STREAM.CREATE.ORDERS", {"name": "ORDERS", "subjects": ["theirs.>"]})
    row = make(account)
    observe(world.system.pk)
    assert (state(row), row.seen, row.drift) == ("pending", None, [])
    by_tenant(world, "STREAM.DELETE.ORDERS")
    enforce(world.system.pk)
    assets.save_asset(row, {"max_msgs": 3})
    observe(world.system.pk)
    assert (state(row), row.drift) == ("pending", [])


def test_streams_of_who_opts_out_are_forgotten_and_managed_ones_stay(world, account, stream):
    by_tenant(world, "STREAM.CREATE.THEIRS", THEIRS)
    observe(world.system.pk)
    assert Stream.objects.count() == 2
    account.refresh_from_db()
    account.jetstream_control = False
    account.save()
    world.apply()
    observe(world.system.pk)
    assert [row.name for row in Stream.objects.all()] == ["ORDERS"]
    assert state(stream) == "applied"


def test_every_page_of_accounts_is_read(world, account, monkeypatch):
    monkeypatch.setattr(sightings, "PAGE", 2)
    monkeypatch.setitem(sightings._ASK, "limit", 2)
    for number in range(5):
        other = world.account(f"B{number}", jetstream=True)
        world.user(other, f"b{number}", access="all")
    world.apply()
    for number in range(5):
        by_tenant(world, "STREAM.CREATE.THEIRS", THEIRS, f"b{number}")
    observe(world.system.pk)
    assert sorted(Stream.objects.values_list("account__name", flat=True)) == ["B0", "B1", "B2", "B3", "B4"]
