"""Values of settings as people write them, and back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from accounts_app.jetstream.checks import check, read_config
from accounts_app.jetstream.differences import differences, in_words
from accounts_app.jetstream.settings import SETTINGS, Setting, settings_of
from accounts_app.jetstream.wire import to_server
from accounts_app.jetstream.words import check_canonical, duration_text, read_value, write_value
from tests.jetstream.strategies import configs

AGE = settings_of("stream")["max_age"]
SIZE = settings_of("stream")["max_bytes"]
SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("said", "canonical"),
    [
        ("7d", 7 * 86_400 * SECOND),
        ("1h30m", 5_400 * SECOND),
        ("1h 30m", 5_400 * SECOND),
        ("500ms", SECOND // 2),
        ("1.5s", 1_500_000_000),
        ("2w", 14 * 86_400 * SECOND),
        ("unlimited", 0),
        ("0", 0),
        (0, 0),
        (60 * SECOND, 60 * SECOND),
        (None, 0),
    ],
)
def test_a_duration_is_read_exactly(said, canonical):
    assert read_value(AGE, said) == canonical


@pytest.mark.parametrize(
    ("said", "canonical"),
    [
        ("1GiB", 2**30),
        ("1.5 GiB", 3 * 2**29),
        ("10MB", 10 * 2**20),
        ("10M", 10_000_000),
        ("512", 512),
        (512, 512),
        ("unlimited", -1),
        (-1, -1),
        (0, -1),
        ("0", -1),
    ],
)
def test_a_size_is_read_as_a_server_reads_its_conf(said, canonical):
    assert read_value(SIZE, said) == canonical


@pytest.mark.parametrize(
    ("kind", "name", "said", "sentence"),
    [
        ("stream", "max_age", 3600, "needs its unit"),
        ("stream", "max_age", "soon", "7d, 1h30m or 500ms"),
        ("stream", "max_age", "-1h", "7d, 1h30m or 500ms"),
        ("stream", "max_age", -1, "needs its unit"),
        ("stream", "max_age", -5 * SECOND, "0s or more"),
        ("stream", "max_age", "300y", "This must be 292 years or less."),
        ("stream", "max_age", True, "a duration"),
        ("stream", "max_bytes", "many", "a size"),
        ("stream", "max_bytes", 1.5, "a size"),
        ("stream", "max_bytes", -2, "-1 (no limit) or more"),
        ("stream", "max_bytes", 2**63, "This must be 8 EiB or less."),
        ("stream", "max_bytes", "9" * 25 + "EiB", "or less"),
        ("stream", "max_msg_size", "4GiB", "or less"),
        ("stream", "max_msgs", "1,000", "whole number"),
        ("stream", "max_msgs", "9" * 5000, "whole number"),
        ("stream", "replicas", 0, "1 or more"),
        ("stream", "replicas", 7, "5 or less"),
        ("stream", "replicas", "unlimited", "without a limit"),
        ("stream", "retention", "forever", "one of limits, interest, workqueue"),
        ("stream", "subjects", 5, "a list of texts"),
        ("stream", "subjects", ["a", 5], "must be text"),
        ("stream", "description", "a\x00b", "can't be stored"),
        ("stream", "description", "a\ud800", "can't be stored"),
        ("stream", "deny_purge", "maybe", "true or false"),
        ("stream", "deny_purge", 1, "true or false"),
        ("stream", "metadata", ["team"], "key=value"),
        ("stream", "metadata", {"": "x"}, "key must not be empty"),
        ("stream", "metadata", {"a": 5}, "must be text"),
        ("stream", "mirror", {"filter_subject": "a"}, "name: This field is required."),
        ("stream", "mirror", {"name": "A", "opt_start_tim": 5}, "no “opt_start_tim” here"),
        ("stream", "sources", [{"name": "A"}, {"name": "B", "opt_start_time": "today"}], "2. entry: opt_start_time:"),
        ("stream", "sources", "A", "a list of maps"),
        ("kv", "history", 65, "64 or less"),
        ("consumer", "ack_wait", 0, "1ns or more"),
        ("consumer", "backoff", "1s, later", "a duration"),
        ("consumer", "opt_start_time", "2027-01-31T12:00:00", "with its zone"),
        ("consumer", "opt_start_time", "2027-02-31T12:00:00Z", "a date and time"),
        ("consumer", "opt_start_time", "0001-01-01T00:00:00+14:00", "a date and time"),
    ],
)
def test_what_can_not_be_read_is_one_sentence(kind, name, said, sentence):
    config, wrong = read_config(kind, {name: said})
    assert config == {}
    assert sentence in wrong[name] and wrong[name].endswith((".", "”"))


def test_a_text_may_stand_for_a_list_and_for_a_map():
    settings = settings_of("stream")
    assert read_value(settings["subjects"], "a.>\n b, c ,") == ["a.>", "b", "c"]
    assert read_value(settings["metadata"], "team=shop\nurl=a=b\n") == {"team": "shop", "url": "a=b"}
    assert read_value(settings_of("consumer")["backoff"], "1s, 5s,1m") == [SECOND, 5 * SECOND, 60 * SECOND]
    assert read_value(settings["mirror"], "") is None


def test_times_are_one_spelling():
    setting = settings_of("consumer")["opt_start_time"]
    assert read_value(setting, "2026-01-01T02:00:00.120+02:00") == "2026-01-01T00:00:00.12Z"
    assert read_value(setting, "2026-01-01 00:00:00.123456789Z") == "2026-01-01T00:00:00.123456789Z"


def test_unknown_settings_and_names_are_told():
    assert read_config("kv", {"subjects": ["a"]}) == ({}, {"subjects": "There is no such setting."})
    assert set(check("stream", "a.b", {"subjects": ["a"]})) == {"name"}
    assert set(check("kv", "s", {})) == set(check("object", "OBJ_", {})) == {"name"}
    assert set(check("kv", "KV_a b", {})) == {"name"}


@given(st.integers(-(2**63) + 1, 2**63 - 1))
def test_a_duration_as_text_says_every_nanosecond(ns):
    text = duration_text(ns)
    free = Setting("any", "duration", "Any", default=0, least=-(2**63), most=2**63 - 1)
    assert read_value(free, text.removeprefix("-")) == abs(ns)
    assert text.startswith("-") == (ns < 0)


@pytest.mark.parametrize(
    ("kind", "name", "canonical", "said"),
    [
        ("stream", "max_age", 2**63 - 1, "292 years"),
        ("stream", "max_age", 100 * 365 * 86_400 * SECOND, "100 years"),
        ("stream", "max_age", 99 * 365 * 86_400 * SECOND, "36135d"),
        ("stream", "max_age", 0, "no limit"),
        ("kv", "ttl", 0, "no limit"),
        ("consumer", "idle_heartbeat", 0, "none"),
        ("consumer", "inactive_threshold", 0, "none"),
        ("stream", "max_bytes", 2**63 - 1, "8 EiB"),
        ("stream", "max_bytes", 3 * 2**50, "3 PiB"),
        ("stream", "max_bytes", 2**40, "1TiB"),
        ("stream", "max_bytes", 1500, "1,500 bytes"),
    ],
)
def test_a_limit_is_said_in_words(kind, name, canonical, said):
    assert in_words(kind, name, canonical) == said


def test_two_huge_limits_that_differ_are_told_apart():
    (found,) = differences("stream", {"max_age": 2**63 - 1}, to_server("stream", "S", {"max_age": 2**63 - 2}))
    assert str(2**63 - 1) in found.words and str(2**63 - 2) in found.words


@given(configs())
def test_what_is_written_for_people_reads_back_the_same(drawn):
    kind, _, config = drawn
    settings = settings_of(kind)
    written = {name: write_value(settings[name], value) for name, value in config.items()}
    assert read_config(kind, written) == (config, {})
    assert all(check_canonical(settings[name], value) == value for name, value in config.items())


@given(st.sampled_from(sorted(SETTINGS)), st.data())
def test_whatever_is_said_is_read_or_told(kind, data):
    setting = data.draw(st.sampled_from(SETTINGS[kind]))
    anything = st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
        max_leaves=5,
    )
    said = data.draw(anything)
    config, wrong = read_config(kind, {setting.name: said})
    assert not (config and wrong)
    for name, value in config.items():
        assert check_canonical(settings_of(kind)[name], value) == value
