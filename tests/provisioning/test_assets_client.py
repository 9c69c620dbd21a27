"""The client of JetStream's API, on a real server."""

import pytest

from provisioning.errors import Unreachable
from provisioning.jetstream.client import JetStream
from provisioning.jetstream.errors import JetStreamError, NoAnswer, NotShown


def stream(name, **more):
    return {"name": name, "subjects": [f"{name}.>"], **more}


@pytest.fixture
def jetstream(world):
    world.account("A", jetstream=True)
    world.account("B", jetstream=True)
    world.apply()
    with JetStream(world.system) as client:
        yield client


def test_streams_and_consumers_are_made_changed_seen_and_deleted(jetstream):
    assert jetstream.stream("A", "S") is None
    assert jetstream.create_stream("A", stream("S"))["did_create"] is True
    assert jetstream.update_stream("A", stream("S", max_msgs=7))["config"]["max_msgs"] == 7
    assert jetstream.stream("A", "S")["config"]["max_msgs"] == 7
    assert [each["config"]["name"] for each in jetstream.streams("A")] == ["S"]
    assert jetstream.streams("B") == []
    consumer = {"durable_name": "c", "ack_policy": "explicit", "filter_subject": "S.a"}
    assert jetstream.consumer("A", "S", "c") is None
    jetstream.create_consumer("A", "S", consumer)
    jetstream.update_consumer("A", "S", {**consumer, "max_deliver": 3})
    assert jetstream.consumer("A", "S", "c")["config"]["max_deliver"] == 3
    assert [each["name"] for each in jetstream.consumers("A", "S")] == ["c"]
    assert jetstream.pause_consumer("A", "S", "c", "2099-01-01T00:00:00Z")["paused"] is True
    assert jetstream.pause_consumer("A", "S", "c", None)["paused"] is False
    assert jetstream.delete_consumer("A", "S", "c") is True
    assert jetstream.delete_consumer("A", "S", "c") is False
    assert jetstream.consumer("A", "NONE", "c") is None
    assert jetstream.delete_stream("A", "S") is True
    assert jetstream.delete_stream("A", "S") is False
    assert jetstream.account_info("A")["streams"] == 0


def test_a_list_of_several_pages_is_whole(jetstream):
    names = [f"S{number}" for number in range(260)]  # the server tells 256 at a time
    for name in names:
        jetstream.create_stream("A", stream(name, storage="memory"))
    assert sorted(each["config"]["name"] for each in jetstream.streams("A")) == sorted(names)
    assert sorted(jetstream.run(jetstream.api.stream_names("A"))) == sorted(names)


def test_a_refusal_is_told_with_its_number_and_words(jetstream):
    with pytest.raises(JetStreamError) as refused:
        jetstream.create_stream("A", stream("S", num_replicas=3))
    assert (refused.value.code, refused.value.err_code) == (500, 10074)
    assert refused.value.words == "replicas > 1 not supported in non-clustered mode"


def test_who_does_not_show_itself_and_who_does_not_answer_are_told_apart(world, jetstream):
    with pytest.raises(NotShown):
        jetstream.streams("NOBODY")
    jetstream.api.timeout_s = 0.3
    world.signal(19)
    with pytest.raises(NoAnswer):
        jetstream.streams("A")
    world.stop()
    with pytest.raises(Unreachable), JetStream(world.system):
        pass
