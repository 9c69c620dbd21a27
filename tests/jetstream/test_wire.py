"""Configs of rows against a real server: what it makes of them is what the rows say, and clients find their buckets."""

from __future__ import annotations

import asyncio
import contextlib
from datetime import UTC, datetime

import nats
import pytest
from hypothesis import HealthCheck, given, settings

from accounts_app.jetstream.differences import differences, drift_digest
from accounts_app.jetstream.wire import effective, from_server, kind_of, to_server
from tests.jetstream.strategies import configs

SECOND = 1_000_000_000
on_one_server = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


@given(configs())
def test_nothing_is_lost_on_the_way_there_and_back(drawn):
    kind, name, config = drawn
    there = to_server(kind, name, config)
    assert effective(kind, from_server(kind, there)) == effective(kind, config)
    assert differences(kind, config, there) == ()
    assert to_server(kind, name, config, there) == there
    if kind != "consumer":
        assert kind_of(there) == kind


@given(configs())
def test_what_nunect_does_not_know_stays_as_it_is(drawn):
    kind, name, config = drawn
    unknown = {"consumer_limits": {"max_ack_pending": 5}, "priority_groups": ["a"]}
    seen = {**to_server(kind, name, {}), **unknown, "metadata": {"_nats.ver": "2.15.1", "theirs": "x"}}
    there = to_server(kind, name, config, seen)
    assert unknown.items() <= there.items()
    assert there["metadata"] == {**config.get("metadata", {}), "_nats.ver": "2.15.1"}
    assert differences(kind, config, there) == ()


@on_one_server
@given(configs(("stream", "kv", "object")))
def test_the_server_makes_of_a_stream_what_the_row_says(nats_server, drawn):
    kind, name, config = drawn
    seen = create(nats_server, kind, name, config)
    try:
        assert differences(kind, config, seen) == ()
        assert effective(kind, from_server(kind, seen)) == effective(kind, config)
        assert kind_of(seen) == kind
        again = nats_server.ask(f"STREAM.UPDATE.{name}", to_server(kind, name, config, seen))
        assert again["config"] == seen  # what is as it shall be stays so
    finally:
        nats_server.ask(f"STREAM.DELETE.{name}")


@on_one_server
@given(configs(("consumer",)))
def test_the_server_makes_of_a_consumer_what_the_row_says(nats_server, drawn):
    kind, name, config = drawn
    create(nats_server, "stream", "S", {"subjects": ["s.>"]})
    try:
        seen = create(nats_server, kind, name, config)
        assert differences(kind, config, seen) == ()
        assert effective(kind, from_server(kind, seen)) == effective(kind, config)
        body = {"stream_name": "S", "config": to_server(kind, name, config, seen), "action": "update"}
        again = nats_server.ask(f"CONSUMER.CREATE.S.{name}", body)
        assert differences(kind, config, again["config"]) == ()
    finally:
        nats_server.ask("STREAM.DELETE.S")


def test_an_update_brings_every_setting_to_the_row(nats_server):
    before = {"subjects": ["s.>"], "max_age": 5 * SECOND, "max_msgs": 5, "description": "old", "allow_direct": True}
    after = {"subjects": ["s.a", "s.b"], "max_bytes": 1000, "metadata": {"a": "b"}, "duplicate_window": SECOND}
    seen = create(nats_server, "stream", "S", before)
    assert {each.setting for each in differences("stream", after, seen)} == {
        "subjects", "max_age", "max_msgs", "description", "max_bytes", "metadata", "duplicate_window"
    }  # fmt: skip
    seen = nats_server.ask("STREAM.UPDATE.S", to_server("stream", "S", after, seen))["config"]
    assert differences("stream", after, seen) == ()
    assert seen["allow_direct"] is True  # the row says nothing of it


def test_a_change_behind_the_rows_is_seen(nats_server):
    config = {"subjects": ["s.>"], "max_age": 3600 * SECOND}
    seen = create(nats_server, "stream", "S", config)
    hand = {"max_age": 60 * SECOND, "duplicate_window": 60 * SECOND, "subjects": ["s.>", "t"]}
    theirs = nats_server.ask("STREAM.UPDATE.S", {**seen, **hand})["config"]
    found = differences("stream", config, theirs)
    assert [each.words for each in found] == [
        "Subjects: the row says s.>, the server has s.>, t.",
        "Age: the row says 1h, the server has 1m.",
        "Duplicates: the row says 2m, the server has 1m.",
    ]
    assert from_server("stream", theirs) == {"subjects": ["s.>", "t"], "max_age": 60 * SECOND}
    assert differences("stream", from_server("stream", theirs), theirs) == ()
    told = [each.as_dict() for each in found]
    assert drift_digest(told) == drift_digest(told) != drift_digest(told[1:])
    assert [each.words for each in differences("stream", config, None)] == ["It is gone from the server."]


def test_limits_of_the_account_and_pauses_that_are_over_are_no_drift(nats_server):
    nats_server.ask("STREAM.CREATE.S", {"name": "S", "subjects": ["s"], "max_bytes": 1000}, "LIMITED")
    body = {"stream_name": "S", "config": to_server("consumer", "c", {"pause_until": "2020-01-01T00:00:00Z"})}
    seen = nats_server.ask("CONSUMER.CREATE.S.c", body, "LIMITED")["config"]
    assert seen["max_ack_pending"] == 500
    now = datetime(2026, 1, 1, tzinfo=UTC)
    assert differences("consumer", {}, seen, now=now) == ()
    assert {each.setting for each in differences("consumer", {}, seen)} == {"pause_until"}
    assert {each.setting for each in differences("consumer", {"max_ack_pending": 400}, seen, now=now)} == {
        "max_ack_pending"
    }


def test_clients_find_their_buckets(nats_server):
    create(nats_server, "kv", "KV_settings", {"history": 3})
    create(nats_server, "object", "OBJ_files", {})

    async def work(client):
        context = client.jetstream()
        values = await context.key_value("settings")
        for value in (b"1", b"2", b"3", b"4"):
            await values.put("shop.open", value)
        history = [entry.value for entry in await values.history("shop.open")]
        await values.delete("shop.open")
        files = await context.object_store("files")
        await files.put("plan.txt", b"x" * 300_000)
        return history, (await values.status()).values, len((await files.get("plan.txt")).data)

    assert nats_server.run(work) == ([b"2", b"3", b"4"], 3, 300_000)


@pytest.mark.parametrize(("kind", "name"), [("kv", "KV_b"), ("object", "OBJ_b")])
def test_a_bucket_is_the_one_that_a_client_would_make(nats_server, kind, name):
    async def work(client):
        context = client.jetstream()
        await (context.create_key_value(bucket="b") if kind == "kv" else context.create_object_store("b"))

    nats_server.run(work)
    theirs = nats_server.ask(f"STREAM.INFO.{name}")["config"]
    nats_server.ask(f"STREAM.DELETE.{name}")
    assert kind_of(theirs) == kind
    assert from_server(kind, theirs) == {}
    assert create(nats_server, kind, name, {}) == {**theirs, "allow_direct": True}


def test_keys_of_another_bucket_come_in_under_this_ones_subjects(nats_server):
    create(nats_server, "kv", "KV_a", {})
    create(nats_server, "kv", "KV_copy", {"mirror": {"name": "KV_a"}})
    create(nats_server, "kv", "KV_b", {"sources": [{"name": "KV_a"}]})

    async def work(client):
        context = client.jetstream()
        await (await context.key_value("a")).put("k", b"v")
        bucket = await context.key_value("b")
        async with asyncio.timeout(20):
            while True:
                with contextlib.suppress(nats.js.errors.KeyNotFoundError):
                    return (await bucket.get("k")).value
                await asyncio.sleep(0.01)

    assert nats_server.run(work) == b"v"
    assert kind_of(nats_server.ask("STREAM.INFO.KV_copy")["config"]) == "kv"


def create(server, kind, name, config):
    """The server's config of what it made."""
    if kind == "consumer":
        answer = server.ask(f"CONSUMER.CREATE.S.{name}", {"stream_name": "S", "config": to_server(kind, name, config)})
    else:
        answer = server.ask(f"STREAM.CREATE.{name}", to_server(kind, name, config))
    assert "error" not in answer, answer
    return answer["config"]
