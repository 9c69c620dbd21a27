"""What one row alone is wrong in: said before, and just where a real server says no."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts_app.jetstream.checks import check
from accounts_app.jetstream.refusals import explain
from accounts_app.jetstream.wire import to_server
from tests.jetstream.strategies import NAMES, SECOND, configs

on_one_server = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
NS = st.sampled_from([1, 50_000_000, 100_000_000, SECOND, 300 * SECOND])
SUBJECT = st.sampled_from(["a", "a.*", "a.b", "b.>", "a b", "", "a..b", ">", "$JS.API.x", "$JS.EVENT.x", "*.b"])
COPY = st.fixed_dictionaries(
    {"name": st.sampled_from(["X", "Y", "no.name"])},
    optional={"filter_subject": SUBJECT, "subject_transforms": st.just([{"src": "a", "dest": "b"}])},
)
LOOSE = {  # values of which some go together and some don't
    "stream": {
        "subjects": st.lists(SUBJECT, min_size=1, max_size=3),
        "max_age": NS,
        "duplicate_window": NS,
        "discard": st.just("new"),
        "discard_new_per_subject": st.just(True),
        "max_msgs_per_subject": st.just(5),
        "deny_purge": st.just(True),
        "allow_rollup_hdrs": st.just(True),
        "no_ack": st.just(True),
        "mirror": COPY,
        "sources": st.lists(COPY, min_size=1, max_size=2),
        "first_seq": st.just(5),
        "republish": st.fixed_dictionaries({"dest": SUBJECT.filter(bool)}),
        "description": st.sampled_from(["x" * 4096, "µ" * 2049]),
        "metadata": st.sampled_from([{"a": "x" * 100_000}, {"a": "x" * 131_072}]),
    },
    "kv": {"ttl": NS, "republish": st.fixed_dictionaries({"dest": st.sampled_from(["k.>", "$KV.s.a", "$KV.>"])})},
    "consumer": {
        "filter_subjects": st.lists(SUBJECT.filter(bool), max_size=3),
        "ack_policy": st.sampled_from(["all", "none"]),
        "backoff": st.just([SECOND, SECOND]),
        "max_deliver": st.sampled_from([1, 2, 3]),
        "sample_freq": st.sampled_from(["50%", "50", "%", "-5", "often"]),
        "deliver_subject": st.sampled_from(["p", "p.*", "p p"]),
        "flow_control": st.just(True),
        "idle_heartbeat": NS,
        "rate_limit_bps": st.just(5),
        "max_waiting": st.just(5),
        "max_ack_pending": st.just(5),
        "max_expires": st.sampled_from([5, SECOND]),
        "deliver_policy": st.sampled_from(["new", "last_per_subject", "by_start_sequence", "by_start_time"]),
        "opt_start_seq": st.just(5),
        "opt_start_time": st.just("2026-01-01T00:00:00Z"),
    },
}


@st.composite
def loose(draw, kind):
    """A config of a few settings that may not go together."""
    chosen = draw(st.lists(st.sampled_from(sorted(LOOSE[kind])), unique=True, max_size=4))
    config = {name: draw(LOOSE[kind][name]) for name in chosen}
    if kind == "stream" and not config.keys() & {"mirror", "sources", "subjects"}:
        config["subjects"] = ["a"]
    return config


@given(configs())
def test_what_a_server_takes_is_not_refused(drawn):
    assert check(*drawn) == {}


@pytest.mark.parametrize("kind", sorted(LOOSE))
@on_one_server
@given(data=st.data())
def test_the_server_refuses_just_what_is_refused_before(nats_server, kind, data):
    config = data.draw(loose(kind))
    name, body = NAMES[kind], to_server(kind, NAMES[kind], config)
    if kind == "consumer":
        nats_server.ask("STREAM.CREATE.S", {"name": "S", "subjects": ["s.>"]})
        answer = nats_server.ask(f"CONSUMER.CREATE.S.{name}", {"stream_name": "S", "config": body})
        nats_server.ask(f"CONSUMER.DELETE.S.{name}")
    else:
        answer = nats_server.ask(f"STREAM.CREATE.{name}", body)
        nats_server.ask(f"STREAM.DELETE.{name}")
    wrong, error = check(kind, name, config), answer.get("error")
    assert bool(wrong) == bool(error), (wrong, error, body)
    if error:
        told = explain(error["err_code"], error["description"], kind)
        assert not told.sentence.startswith("The server refused it"), error


@pytest.mark.parametrize(
    ("kind", "config", "setting", "sentence"),
    [
        ("stream", {}, "subjects", "A stream needs subjects, or something that it copies."),
        ("stream", {"subjects": ["a", "a"]}, "subjects", "“a” stands there twice."),
        ("stream", {"subjects": ["a.*", "a.b"]}, "subjects", "“a.*” and “a.b” overlap."),
        ("stream", {"subjects": ["a"], "mirror": {"name": "X"}}, "subjects", "A mirror has no subjects of its own."),
        ("stream", {"subjects": ["a"], "metadata": {"_nats.x": ""}}, "metadata", "Names that begin with _nats are"),
        ("stream", {"sources": [{"name": "S"}]}, "sources", "A stream can't copy itself."),
        ("kv", {"sources": [{"name": "other"}]}, "sources", "Name the stream under the other bucket: KV_other."),
        ("kv", {"history": 100}, "history", "This must be 64 or less."),
        ("object", {"ttl": 5}, "ttl", "This is 100ms or longer."),
        ("consumer", {"max_deliver": 1, "backoff": [5, 5]}, "backoff", "There are more steps of back-off than"),
    ],
)
def test_sentences(kind, config, setting, sentence):
    found = check(kind, NAMES[kind], config)
    assert list(found) == [setting] and found[setting].startswith(sentence)
