"""Streams and consumers of rows on a real server: made, changed, deleted, and never somebody else's."""

import asyncio

import nats
import pytest

from accounts_app import assets
from accounts_app.models import Consumer, Stream
from provisioning.jetstream.enforce import enforce
from tests.provisioning.assets_world import by_tenant, consumer_on_server, make, on_server, state
from tests.provisioning.world import PASSWORD


def test_a_stream_and_its_consumer_are_made_changed_and_deleted(world, account):
    stream = make(account, max_msgs=100)
    consumer = assets.make_consumer(stream, "worker", {"max_deliver": 5, "filter_subjects": ["orders.new"]})
    assert (state(stream), state(consumer)) == ("pending", "pending")
    enforce(world.system.pk)
    assert (state(stream), state(consumer)) == ("applied", "applied")
    assert on_server(world)["max_msgs"] == 100
    assert consumer_on_server(world, "worker")["max_deliver"] == 5
    assert (stream.seen["name"], stream.counts["messages"], consumer.counts["pending"]) == ("ORDERS", 0, 0)
    assets.save_asset(stream, {"max_msgs": 200})
    assets.save_asset(consumer, {"max_deliver": 7})
    enforce(world.system.pk)
    assert (state(stream), state(consumer)) == ("applied", "applied")
    assert (on_server(world)["max_msgs"], consumer_on_server(world, "worker")["max_deliver"]) == (200, 7)
    assets.remove(consumer, "delete")
    assert state(consumer) == "leaving"
    enforce(world.system.pk)
    assert consumer_on_server(world, "worker") is None
    assert not Consumer.objects.exists()
    assets.remove(stream, "delete")
    enforce(world.system.pk)
    assert on_server(world) is None
    assert not Stream.objects.exists()


@pytest.mark.parametrize("kind, name", [("kv", "KV_config"), ("object", "OBJ_files")])
def test_a_bucket_is_made_and_a_client_uses_it(world, account, kind, name):
    row = assets.make_stream(account, kind, name, {"ttl": "1h"})
    enforce(world.system.pk)
    assert state(row) == "applied"

    async def use():
        client = await nats.connect(world.urls, user="svc", password=PASSWORD, connect_timeout=20)
        try:
            jetstream = client.jetstream(timeout=20)
            if kind == "kv":
                bucket = await jetstream.key_value("config")
                await bucket.put("key", b"value")
                return (await bucket.get("key")).value
            store = await jetstream.object_store("files")
            await store.put("key", b"value")
            return (await store.get("key")).data
        finally:
            await client.close()

    assert asyncio.run(use()) == b"value"


def test_nothing_is_asked_twice(world, account):
    stream = make(account)
    enforce(world.system.pk)
    requests = by_tenant(world, "INFO")["api"]["total"]
    enforce(world.system.pk)
    assert by_tenant(world, "INFO")["api"]["total"] == requests + 1  # its own
    stream.refresh_from_db()
    stream.save()  # nothing differs
    enforce(world.system.pk)
    assert state(stream) == "applied"
    assert by_tenant(world, "INFO")["api"]["total"] == requests + 3  # one look more


def test_what_the_server_has_beyond_nunects_settings_stays(world, account):
    by_tenant(
        world,
        "STREAM.CREATE.ORDERS",
        {"name": "ORDERS", "subjects": ["orders.>"], "consumer_limits": {"max_ack_pending": 5}},
    )
    stream = make(account)
    enforce(world.system.pk)  # it is the same for all that nunect knows: nothing is taken from anybody
    assert state(stream) == "applied"
    assets.save_asset(stream, {"max_msgs": 5})
    enforce(world.system.pk)
    assert on_server(world)["max_msgs"] == 5
    assert on_server(world)["consumer_limits"] == {"max_ack_pending": 5}


def test_a_stream_of_the_tenants_of_the_same_name_is_left_alone_until_a_person_decides(world, account):
    by_tenant(world, "STREAM.CREATE.ORDERS", {"name": "ORDERS", "subjects": ["theirs.>"]})
    stream = make(account)
    enforce(world.system.pk)
    assert state(stream) == "failed"
    assert "that nunect doesn't manage" in stream.problem
    assert [each["setting"] for each in stream.drift] == ["subjects"]
    assets.save_asset(stream, {"max_msgs": 9})  # no answer to that
    enforce(world.system.pk)
    assert state(stream) == "failed"
    assert on_server(world)["subjects"] == ["theirs.>"]
    assets.revert(stream)
    enforce(world.system.pk)
    assert state(stream) == "applied"
    assert (on_server(world)["subjects"], on_server(world)["max_msgs"]) == (["orders.>"], 9)


def test_a_stream_of_the_tenants_of_the_same_name_can_be_accepted(world, account):
    by_tenant(world, "STREAM.CREATE.ORDERS", {"name": "ORDERS", "subjects": ["theirs.>"]})
    stream = make(account)
    enforce(world.system.pk)
    assets.accept(stream)
    enforce(world.system.pk)
    assert state(stream) == "applied"
    assert stream.config["subjects"] == ["theirs.>"]
    assert on_server(world)["subjects"] == ["theirs.>"]


def test_a_row_that_never_had_its_stream_takes_nobody_elses_with_it(world, account):
    by_tenant(world, "STREAM.CREATE.ORDERS", {"name": "ORDERS", "subjects": ["theirs.>"]})
    stream = make(account, deletion="delete")
    enforce(world.system.pk)
    assets.remove(stream, "delete")
    enforce(world.system.pk)
    assert not Stream.objects.exists()
    assert on_server(world)["subjects"] == ["theirs.>"]
    stream = make(account, deletion="delete")
    assets.remove(stream, "delete")  # before anybody has looked
    enforce(world.system.pk)
    assert not Stream.objects.exists()
    assert on_server(world)["subjects"] == ["theirs.>"]


def test_what_a_server_refuses_is_told_at_its_setting_and_not_tried_again(world, account):
    make(account, "FIRST", subjects=["orders.>"])
    second = make(account, "SECOND", subjects=["orders.new"])
    consumer = assets.make_consumer(second, "worker")
    other = make(account, "THIRD")
    enforce(world.system.pk)
    assert (state(second), state(other)) == ("failed", "applied")
    assert (state(consumer), consumer.problem) == ("waits", "Waits for stream SECOND.")
    assert second.problem_field == "subjects"
    assert second.seen is None
    refused = by_tenant(world, "INFO")["api"]["errors"]
    enforce(world.system.pk)
    assert by_tenant(world, "INFO")["api"]["errors"] == refused + 2  # of the consumer alone, which waits
    assert state(consumer) == "waits"
    assets.save_asset(second, {"subjects": ["second.>"]})
    enforce(world.system.pk)
    assert (state(second), state(consumer)) == ("applied", "applied")


def test_a_consumer_is_paused_and_goes_on(world, account):
    stream = make(account)
    consumer = assets.make_consumer(stream, "worker", {"pause_until": "2099-01-01T00:00:00Z"})
    enforce(world.system.pk)
    assert state(consumer) == "applied"
    assert consumer.counts["paused"] is True
    assets.save_asset(consumer, {"pause_until": None, "max_deliver": 3})
    enforce(world.system.pk)
    assert state(consumer) == "applied"
    assert consumer.counts["paused"] is False
    assets.save_asset(consumer, {"pause_until": "2098-01-01T00:00:00Z"})
    enforce(world.system.pk)
    assert (state(consumer), consumer.counts["paused"]) == ("applied", True)
