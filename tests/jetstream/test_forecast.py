"""The forecast against a real server: it refuses just what was told, and loses just what was told."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts_app.jetstream.checks import check
from accounts_app.jetstream.forecast import forecast
from accounts_app.jetstream.wire import to_server
from accounts_app.natsconf.specs import JetStreamSpec
from tests.jetstream.strategies import SECOND

on_one_server = settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
LIMITS = JetStreamSpec(
    max_mem=16 * 2**20,
    max_file=64 * 2**20,
    max_streams=3,
    max_consumers=4,
    max_ack_pending=500,
    max_bytes_required=True,
    disk_max_stream_bytes=32 * 2**20,
)
CHANGES = {
    "subjects": st.sampled_from([["s"], ["s", "o.x"], ["o.*"]]),
    "storage": st.just("memory"),
    "retention": st.sampled_from(["interest", "workqueue"]),
    "replicas": st.sampled_from([1, 3]),
    "deny_delete": st.just(True),
    "deny_purge": st.just(True),
    "allow_msg_ttl": st.just(True),
    "sealed": st.just(True),
    "max_consumers": st.just(5),
    "max_bytes": st.sampled_from([1000, 2000]),
}


def refused(warnings):
    return [each.setting for each in warnings if each.severity == "refused"]


def loses(warnings):
    return [each.sentence for each in warnings if each.severity == "loses"]


@on_one_server
@given(st.fixed_dictionaries({}, optional=CHANGES), st.fixed_dictionaries({}, optional=CHANGES))
def test_streams_become_what_was_not_refused_before(nats_server, before, after):
    nats_server.clear()
    before, after = {"subjects": ["s"], **before}, {"subjects": ["s"], **after}
    other = nats_server.ask("STREAM.CREATE.OTHER", {"name": "OTHER", "subjects": ["o.>"]})["config"]
    told, seen = make(nats_server, "S", before, {"OTHER": other})
    if seen is not None:
        told = forecast("stream", "S", after, seen, {}, {"OTHER": other}, None, 1)
        answer = nats_server.ask("STREAM.UPDATE.S", to_server("stream", "S", after, seen))
        assert bool(refused(told)) == ("error" in answer), (told, answer)


def make(server, name, config, others, account="OPEN", limits=None):
    """(forecast, the server's config); they agree on whether there is one."""
    told = forecast("stream", name, config, None, {}, others, limits, 1)
    answer = server.ask(f"STREAM.CREATE.{name}", to_server("stream", name, config), account)
    assert bool(refused(told)) == ("error" in answer), (told, answer)
    return told, answer.get("config")


SIZED = st.fixed_dictionaries(
    {},
    optional={"max_bytes": st.sampled_from([2**20, 8 * 2**20, 30 * 2**20, 40 * 2**20]), "storage": st.just("memory")},
)


@on_one_server
@given(st.lists(SIZED, min_size=1, max_size=5), SIZED)
def test_an_account_takes_as_many_and_as_large_streams_as_was_told(nats_server, configs, change):
    nats_server.clear("LIMITED")
    there = {}
    for number, config in enumerate(configs):
        config = {"subjects": [f"s{number}"], **config}
        _, seen = make(nats_server, f"S{number}", config, there, "LIMITED", LIMITS)
        there |= {f"S{number}": seen} if seen else {}
    for name, seen in list(there.items())[:1]:
        others = {key: value for key, value in there.items() if key != name}
        after = {"subjects": seen["subjects"], **change}
        told = forecast("stream", name, after, seen, {}, others, LIMITS, 1)
        answer = nats_server.ask(f"STREAM.UPDATE.{name}", to_server("stream", name, after, seen), "LIMITED")
        assert bool(refused(told)) == ("error" in answer), (told, answer)


CONSUMER = st.fixed_dictionaries(
    {},
    optional={
        "filter_subjects": st.sampled_from([["w.a"], ["w.b", "w.c"], ["w.*"], ["x"]]),
        "ack_policy": st.sampled_from(["all", "none"]),
        "deliver_policy": st.just("new"),
        "deliver_subject": st.sampled_from(["push", "w.x"]),
        "replicas": st.sampled_from([1, 2]),
    },
)


@on_one_server
@given(
    st.sampled_from(["limits", "interest", "workqueue"]),
    st.sampled_from([-1, 2]),
    st.lists(CONSUMER, min_size=1, max_size=4),
)
def test_a_stream_takes_just_the_consumers_that_were_not_refused_before(nats_server, retention, most, configs):
    nats_server.clear()
    body = {"name": "W", "subjects": ["w.>"], "retention": retention, "max_consumers": most}
    stream, there = nats_server.ask("STREAM.CREATE.W", body)["config"], {}
    for number, config in enumerate(configs):
        name = f"c{number}"
        assert check("consumer", name, config) == {}
        told = forecast("consumer", name, config, None, {}, there, None, 1, stream)
        answer = nats_server.ask(
            f"CONSUMER.CREATE.W.{name}", {"stream_name": "W", "config": to_server("consumer", name, config)}
        )
        assert bool(refused(told)) == ("error" in answer), (told, answer)
        there |= {} if "error" in answer else {name: answer["config"]}


def test_consumers_and_limits_of_the_account(nats_server):
    stream = {"name": "N", "subjects": ["n"]}
    there = {f"c{number}": {} for number in range(4)}
    assert refused(forecast("consumer", "c4", {}, None, {}, there, LIMITS, 1, stream)) == ["name"]
    assert refused(forecast("consumer", "c", {"max_ack_pending": 501}, None, {}, {}, LIMITS, 1, stream)) == [
        "max_ack_pending"
    ]
    assert forecast("consumer", "c", {"max_ack_pending": 500}, None, {}, {}, LIMITS, 1, stream) == ()


@pytest.mark.parametrize("storage, mebibytes", [("file", 256), ("memory", 64)])
def test_what_is_larger_than_the_server_is_said(nats_server, storage, mebibytes):
    room = {"file": 256 << 20, "memory": 64 << 20}
    for size, fits in ((mebibytes << 19, True), ((mebibytes << 20) + 1, False)):
        nats_server.clear()
        config = {"subjects": ["b"], "storage": storage, "max_bytes": size}
        told = forecast("stream", "B", config, None, {}, {}, None, 1, room=room)
        answer = nats_server.ask("STREAM.CREATE.B", to_server("stream", "B", config))
        assert ("error" in answer, refused(told)) == ((False, []) if fits else (True, ["max_bytes"])), (told, answer)


# --- what is lost ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "sentence", "left"),
    [
        ({"max_msgs": 15}, "85 of 100 messages go, the oldest ones.", 15),
        ({"max_msgs": 15, "discard": "new"}, None, 100),
        ({"max_bytes": 500, "discard": "new"}, None, 100),
        (
            {"max_msgs_per_subject": 3, "discard": "new", "discard_new_per_subject": True},
            "Of each subject, only the last 3 of its messages stay.",
            30,
        ),
        ({"max_msgs": 100}, None, 100),
        ({"max_msgs_per_subject": 3}, "Of each subject, only the last 3 of its messages stay.", 30),
        ({"max_msgs_per_subject": 1}, "Of each subject, only the last one of its messages stays.", 10),
        ({"max_age": SECOND // 10}, "Of 100 messages, those go that are older than 100ms.", 0),
        ({"retention": "interest"}, "Of 100 messages, those go that every consumer has; without consumers all do.", 0),
        ({"max_bytes": 10_000_000}, None, 100),
        ({"max_msg_size": 10}, None, 100),
        ({"description": "x"}, None, 100),
    ],
)
def test_narrower_limits_lose_what_was_told(nats_server, change, sentence, left):
    seen, counts = filled(nats_server)
    config = {"subjects": ["s.*"], **change}
    told = forecast("stream", "S", config, seen, counts)
    assert loses(told) == ([sentence] if sentence else [])
    assert "error" not in nats_server.ask("STREAM.UPDATE.S", to_server("stream", "S", config, seen))
    assert settled(nats_server, left) == left


def test_a_smaller_size_loses_about_what_was_told(nats_server):
    seen, counts = filled(nats_server)
    config = {"subjects": ["s.*"], "max_bytes": counts["bytes"] // 4}
    assert loses(forecast("stream", "S", config, seen, counts)) == ["About 75 of 100 messages go, the oldest ones."]
    nats_server.ask("STREAM.UPDATE.S", to_server("stream", "S", config, seen))
    assert settled(nats_server, 25) == pytest.approx(25, abs=1)


def test_deleting_says_what_goes_along(nats_server):
    seen, counts = filled(nats_server)
    told = forecast("stream", "S", None, seen, {**counts, "messages": 1204, "consumers": 1})
    assert [each.sentence for each in told] == ["Its 1,204 messages (4.2 KiB) go.", "Its 1 consumer goes, too."]


def filled(server):
    """The server's config of a stream of 100 messages of 10 subjects, and what it holds."""
    seen = server.ask("STREAM.CREATE.S", {"name": "S", "subjects": ["s.*"]})["config"]

    async def fill(client):
        for number in range(100):
            await client.jetstream().publish(f"s.{number % 10}", b"0123456789")

    server.run(fill)
    state = server.ask("STREAM.INFO.S")["state"]
    return seen, {"messages": state["messages"], "bytes": state["bytes"], "subjects": 10}


def settled(server, wanted):
    """How many messages are left; looked at until they are so many, for a while."""

    async def look(client):
        count = -1
        try:
            async with asyncio.timeout(5):
                while count != wanted:
                    count = (await client.jetstream().stream_info("S")).state.messages
                    await asyncio.sleep(0.01)
        except TimeoutError:
            pass
        return count

    return server.run(look)


# --- notes, and what one server can't show ------------------------------------------


def test_replicas_are_held_against_the_servers_that_are_known():
    config = {"subjects": ["s"], "replicas": 3}
    assert forecast("stream", "S", config, servers=None) == ()
    assert forecast("stream", "S", config, servers=3) == ()
    (told,) = forecast("stream", "S", config, servers=2)
    assert told.sentence == "There are 2 servers with JetStream, too few for 3 replicas."
    (told,) = forecast("stream", "S", {**config, "replicas": 2}, servers=3)
    assert (told.severity, told.sentence) == ("note", "2 replicas survive no more losses than 1.")


def test_what_can_not_be_taken_back_is_noted_before():
    told = forecast("stream", "S", {"subjects": ["s"], "deny_purge": True})
    assert [(each.setting, each.severity) for each in told] == [("deny_purge", "note")]


def test_a_bucket_is_told_in_its_own_words():
    seen = to_server("kv", "KV_b", {"history": 10, "ttl": 3600 * SECOND})
    told = forecast("kv", "KV_b", {"history": 2, "ttl": 60 * SECOND}, seen, {"messages": 50})
    assert [(each.setting, each.sentence) for each in told] == [
        ("ttl", "Of 50 messages, those go that are older than 1m."),
        ("history", "Of each key, only the last 2 of its messages stay."),
    ]


def test_an_origin_that_is_not_there_is_noted():
    (told,) = forecast("stream", "S", {"mirror": {"name": "FAR"}}, others={"NEAR": {}})
    assert (told.severity, told.setting) == ("note", "mirror")
