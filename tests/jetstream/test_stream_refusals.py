"""The server's refusals, provoked on a real one: each at its setting, in a sentence of ours."""

from __future__ import annotations

import pytest

from accounts_app.jetstream.refusals import explain

STREAMS = [  # (account, body beside name and subjects, code, setting)
    ("OPEN", {"subjects": ["t"], "max_age": 10**9}, 10058, "name"),
    ("OPEN", {"name": "N", "subjects": ["s.a"]}, 10065, "subjects"),
    ("OPEN", {"name": "N", "subjects": ["a b"]}, 10052, "subjects"),
    ("OPEN", {"name": "N", "subjects": ["a.*", "a.b"]}, 10052, "subjects"),
    ("OPEN", {"name": "N", "subjects": ["a", "a"]}, 10052, "subjects"),
    ("OPEN", {"name": "N", "subjects": [">"]}, 10052, "subjects"),
    ("OPEN", {"name": "N", "subjects": ["$JS.API.>"]}, 10052, "subjects"),
    ("OPEN", {"name": "N", "num_replicas": 3}, 10074, "replicas"),
    ("OPEN", {"name": "N", "num_replicas": 7}, 10052, "replicas"),
    ("OPEN", {"name": "N", "num_replicas": -1}, 10133, "replicas"),
    ("OPEN", {"name": "N", "max_bytes": 10**12}, 10047, "max_bytes"),
    ("OPEN", {"name": "N", "max_bytes": 10**12, "storage": "memory"}, 10028, "max_bytes"),
    ("OPEN", {"name": "N", "max_age": 5}, 10052, "max_age"),
    ("OPEN", {"name": "N", "max_age": 10**9, "duplicate_window": 2 * 10**9}, 10052, "duplicate_window"),
    ("OPEN", {"name": "N", "duplicate_window": 5}, 10052, "duplicate_window"),
    ("OPEN", {"name": "N", "discard_new_per_subject": True}, 10052, "discard_new_per_subject"),
    ("OPEN", {"name": "N", "discard_new_per_subject": True, "discard": "new"}, 10052, "discard_new_per_subject"),
    ("OPEN", {"name": "N", "deny_purge": True, "allow_rollup_hdrs": True}, 10052, "allow_rollup_hdrs"),
    ("OPEN", {"name": "N", "sealed": True}, 10052, "sealed"),
    ("OPEN", {"name": "N", "mirror": {"name": "S"}}, 10034, "subjects"),
    ("OPEN", {"name": "N", "subjects": [], "mirror": {"name": "S"}, "sources": [{"name": "S"}]}, 10031, "sources"),
    ("OPEN", {"name": "N", "subjects": [], "mirror": {"name": "S"}, "first_seq": 5}, 10143, "first_seq"),
    ("OPEN", {"name": "N", "sources": [{"name": "S"}, {"name": "S"}]}, 10140, "sources"),
    ("OPEN", {"name": "N", "subject_transform": {"src": "n", "dest": "a b"}}, 10156, "subject_transform"),
    ("OPEN", {"name": "N", "republish": {"src": ">", "dest": "n"}}, 10052, "republish"),
    ("OPEN", {"name": "N", "description": "x" * 5000}, 10052, "description"),
    ("OPEN", {"name": "N", "metadata": {"a": "x" * 200_000}}, 10052, "metadata"),
    ("OPEN", {"name": "N", "max_msg_size": 2**40}, 10025, ""),
    ("LIMITED", {"name": "N"}, 10113, "max_bytes"),
    ("LIMITED", {"name": "N", "max_bytes": 2**26}, 10122, "max_bytes"),
    ("LIMITED", {"name": "N", "max_bytes": 2**25, "storage": "memory"}, 10028, "max_bytes"),
    ("NOBODY", {"name": "N"}, 10039, ""),
]
UPDATES = [  # (body, code, setting)
    ({"storage": "memory"}, 10052, "storage"),
    ({"retention": "workqueue"}, 10052, "retention"),
    ({"deny_delete": False}, 10052, "deny_delete"),
    ({"deny_purge": False}, 10052, "deny_purge"),
    ({"allow_msg_ttl": False}, 10052, "allow_msg_ttl"),
    ({"num_replicas": 3}, 10074, "replicas"),
    ({"subjects": [], "mirror": {"name": "OTHER"}}, 10055, "mirror"),
]
CONSUMERS = [  # (stream, config, code, setting)
    ("S", {"backoff": [1, 2, 3], "max_deliver": 2}, 10116, "backoff"),
    ("S", {"num_replicas": 3}, 10074, "replicas"),
    ("S", {"filter_subjects": ["s.*", "s.a"]}, 10138, "filter_subjects"),
    ("S", {"filter_subject": "a b"}, 10052, "filter_subjects"),
    ("S", {"deliver_subject": "x.*"}, 10079, "deliver_subject"),
    ("S", {"deliver_subject": "s.x"}, 10081, "deliver_subject"),
    ("S", {"deliver_subject": "x", "max_waiting": 5}, 10080, "max_waiting"),
    ("S", {"deliver_subject": "x", "flow_control": True}, 10108, "idle_heartbeat"),
    ("S", {"deliver_subject": "x", "ack_policy": "none", "max_ack_pending": 5}, 10082, "max_ack_pending"),
    ("S", {"deliver_subject": "x", "idle_heartbeat": 5}, 10083, "idle_heartbeat"),
    ("S", {"rate_limit_bps": 5}, 10086, "rate_limit_bps"),
    ("S", {"idle_heartbeat": 10**9}, 10088, "idle_heartbeat"),
    ("S", {"flow_control": True}, 10089, "flow_control"),
    ("S", {"max_expires": 5}, 10115, "max_expires"),
    ("S", {"deliver_policy": "by_start_sequence"}, 10094, "deliver_policy"),
    ("S", {"deliver_policy": "last_per_subject"}, 10094, "deliver_policy"),
    ("S", {"opt_start_seq": 5}, 10094, "deliver_policy"),
    ("S", {"sample_freq": "often"}, 10095, "sample_freq"),
    ("S", {"description": "x" * 5000}, 10107, "description"),
    ("S", {"metadata": {"a": "x" * 200_000}}, 10135, "metadata"),
    ("W", {}, 10099, "filter_subjects"),
    ("W", {"filter_subject": "w.a"}, 10100, "filter_subjects"),
    ("W", {"ack_policy": "none"}, 10084, "ack_policy"),
    ("W", {"deliver_policy": "new"}, 10101, "deliver_policy"),
    ("NONE", {}, 10059, "stream"),
]
CHANGES = [  # (config, setting) of a consumer that is there
    ({"ack_policy": "all"}, "ack_policy"),
    ({"deliver_policy": "new"}, "deliver_policy"),
    ({"deliver_policy": "by_start_sequence", "opt_start_seq": 5}, "deliver_policy"),
    ({"replay_policy": "original"}, "replay_policy"),
    ({"max_waiting": 5}, "max_waiting"),
    ({"deliver_subject": "x", "max_waiting": 0}, "deliver_subject"),
    ({"mem_storage": True}, "mem_storage"),
]
ELSEWHERE = [  # words of several servers (tests of provisioning meet them on three), and of a folder in the way
    (10005, "no suitable peers for placement, peer offline", "replicas", True),
    (10005, "no suitable peers for placement", "replicas", True),
    (10005, "no suitable peers for placement, tags not matched ['ssd']", "placement", False),
    (10005, "no suitable peers for placement, insufficient storage", "max_bytes", False),
    (10008, "JetStream system temporarily unavailable", "", True),
    (10023, "insufficient resources", "", True),
    (10035, "account not found", "", True),
    (10049, "error creating store for stream", "", True),
]


def refused(answer, kind="stream"):
    error = answer.get("error")
    assert error, answer
    found = explain(error["err_code"], error["description"], kind)
    assert found.words == error["description"]
    assert found.sentence.endswith(".") and not found.transient
    assert not found.sentence.startswith("The server refused it")
    return error["err_code"], found.setting


@pytest.fixture
def told(nats_server):
    """The server with two streams and a consumer of the work queue."""
    sealed = {"deny_delete": True, "deny_purge": True, "allow_msg_ttl": True}
    for name, more in (("S", sealed), ("W", {"retention": "workqueue"})):
        assert "error" not in nats_server.ask(
            f"STREAM.CREATE.{name}", {"name": name, "subjects": [f"{name.lower()}.>"], **more}
        )
    assert "error" not in consumer(nats_server, "W", {"name": "first"})
    return nats_server


def consumer(server, stream, config):
    config = {"name": "c", "ack_policy": "explicit", **config}
    config["durable_name"] = config["name"]
    return server.ask(f"CONSUMER.CREATE.{stream}.{config['name']}", {"stream_name": stream, "config": config})


def test_streams_that_can_not_be_made(told):
    for account, body, code, setting in STREAMS:
        body = {"name": "S", "subjects": ["n"], **body}
        answer = told.ask(f"STREAM.CREATE.{body['name']}", body, account)
        if code == 10039:
            found = explain(code, answer["error"]["description"])
            assert answer["error"]["err_code"] == code and found.transient
            continue
        assert refused(answer) == (code, setting), body


def test_the_limit_of_streams_of_an_account(told):
    for number in range(3):
        told.ask(
            f"STREAM.CREATE.N{number}", {"name": f"N{number}", "subjects": [f"n{number}"], "max_bytes": 10}, "LIMITED"
        )
    answer = told.ask("STREAM.CREATE.N3", {"name": "N3", "subjects": ["n3"], "max_bytes": 10}, "LIMITED")
    assert refused(answer) == (10027, "name")


def test_the_limits_of_consumers_of_an_account(told):
    told.ask("STREAM.CREATE.N", {"name": "N", "subjects": ["n"], "max_bytes": 10}, "LIMITED")
    body = {"stream_name": "N", "config": {"name": "c", "durable_name": "c", "ack_policy": "explicit"}}
    body["config"]["max_ack_pending"] = 501
    assert refused(told.ask("CONSUMER.CREATE.N.c", body, "LIMITED"), "consumer") == (10121, "max_ack_pending")
    del body["config"]["max_ack_pending"]
    for number in range(4):
        body["config"] |= {"name": f"c{number}", "durable_name": f"c{number}"}
        assert "error" not in told.ask(f"CONSUMER.CREATE.N.c{number}", body, "LIMITED")
    body["config"] |= {"name": "c4", "durable_name": "c4"}
    assert refused(told.ask("CONSUMER.CREATE.N.c4", body, "LIMITED"), "consumer") == (10026, "name")


def test_streams_that_can_not_become_so(told):
    seen = told.ask("STREAM.INFO.S")["config"]
    for body, code, setting in UPDATES:
        assert refused(told.ask("STREAM.UPDATE.S", {**seen, **body})) == (code, setting), body


def test_consumers_that_can_not_be_made(told):
    for stream, config, code, setting in CONSUMERS:
        assert refused(consumer(told, stream, config), "consumer") == (code, setting), config


def test_consumers_that_can_not_become_so(told):
    assert "error" not in consumer(told, "S", {})
    for config, setting in CHANGES:
        assert refused(consumer(told, "S", config), "consumer") == (10012, setting), config


@pytest.mark.parametrize(("code", "words", "setting", "transient"), ELSEWHERE)
def test_what_is_worth_another_try(code, words, setting, transient):
    found = explain(code, words)
    assert (found.setting, found.transient) == (setting, transient)


def test_settings_are_told_by_their_names_of_the_kind():
    assert explain(10052, "max age needs to be >= 100ms", "kv").setting == "ttl"
    assert explain(10052, "stream configuration update can not unseal a sealed stream", "kv").setting == ""


def test_what_is_not_known_comes_in_the_servers_words():
    found = explain(19999, "something new", "object")
    assert (found.setting, found.sentence) == ("", "The server refused it: something new.")
    assert not found.transient
