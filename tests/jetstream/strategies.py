"""Configs of rows as hypothesis draws them: canonical, and such as one server takes."""

from __future__ import annotations

from hypothesis import strategies as st

from accounts_app.jetstream.settings import settings_of

SECOND = 1_000_000_000
TEXT = st.text("abc µ“”é😀", min_size=1, max_size=12)
SIZE = st.integers(1, 2**20)
COUNT = st.integers(1, 10_000)
AGE = st.integers(100_000_000, 400 * 86_400 * SECOND)
WINDOW = st.integers(100_000_000, 86_400 * SECOND)
METADATA = st.dictionaries(st.text("abcdef-", min_size=1, max_size=8), TEXT, min_size=1, max_size=3)
TIME = (
    st.datetimes().map(lambda moment: f"{moment.year:04}-{moment:%m-%dT%H:%M:%S}Z").filter(lambda text: text > "0002")
)

COMMON = {
    "description": TEXT,
    "storage": st.just("memory"),
    "compression": st.just("s2"),
    "metadata": METADATA,
    "placement": st.fixed_dictionaries({"tags": st.just(["fast"])}),
}
STREAM = {
    **COMMON,
    "retention": st.sampled_from(["interest", "workqueue"]),
    "discard": st.just("new"),
    "max_age": AGE,
    "max_bytes": SIZE,
    "max_msgs": COUNT,
    "max_msgs_per_subject": COUNT,
    "max_msg_size": SIZE,
    "max_consumers": COUNT,
    "republish": st.fixed_dictionaries({"dest": st.just("again.>")}, optional={"headers_only": st.just(True)}),
    "subject_transform": st.just({"src": "s.a.*", "dest": "s.b.{{wildcard(1)}}"}),
    "allow_direct": st.just(True),
    "allow_rollup_hdrs": st.just(True),
    "allow_msg_ttl": st.just(True),
    "deny_delete": st.just(True),
    "no_ack": st.just(True),
    "first_seq": COUNT,
    "sources": st.lists(
        st.fixed_dictionaries(
            {"name": st.sampled_from(["OTHER", "MORE"])},
            optional={"opt_start_time": TIME, "filter_subject": st.just("x.>")},
        ),
        min_size=1,
        max_size=2,
        unique_by=lambda source: source["name"],
    ),
}
KV = {
    **COMMON,
    "history": st.integers(2, 64),
    "ttl": AGE,
    "max_bytes": SIZE,
    "max_value_size": SIZE,
    "republish": STREAM["republish"],
    "sources": st.just([{"name": "KV_other"}]),
}
OBJECT = {**COMMON, "ttl": AGE, "max_bytes": SIZE}
CONSUMER = {
    "description": TEXT,
    "metadata": METADATA,
    "filter_subjects": st.sampled_from([["s.a"], ["s.a", "s.b.*"]]),
    "ack_policy": st.sampled_from(["all", "none"]),
    "replay_policy": st.just("original"),
    "max_deliver": st.integers(3, 50),
    "headers_only": st.just(True),
    "inactive_threshold": AGE,
    "mem_storage": st.just(True),
    "sample_freq": st.sampled_from(["50%", "100"]),
    "pause_until": st.just("2090-01-01T00:00:00Z"),
}
PULL = {"max_waiting": COUNT, "max_batch": COUNT, "max_expires": AGE, "max_bytes": SIZE}
PUSH = {"deliver_group": st.just("group"), "rate_limit_bps": COUNT}
STARTS = st.sampled_from(
    [
        {},
        {"deliver_policy": "new"},
        {"deliver_policy": "last"},
        {"deliver_policy": "by_start_sequence", "opt_start_seq": 7},
        {"deliver_policy": "by_start_time", "opt_start_time": "2026-03-01T08:00:00.25Z"},
    ]
)
WAITS = st.sampled_from([{}, {"ack_wait": 5 * SECOND}, {"backoff": [SECOND, 5 * SECOND]}])


def _some(fields):
    return st.fixed_dictionaries({}, optional=fields)


@st.composite
def consumers(draw):
    push = draw(st.booleans())
    config = draw(_some({**CONSUMER, **(PUSH if push else PULL)})) | draw(STARTS) | draw(WAITS)
    if push:
        config["deliver_subject"] = "push.here"
        if draw(st.booleans()):
            config |= {"flow_control": True, "idle_heartbeat": 5 * SECOND}
    if config.get("ack_policy") == "none":
        for name in ("ack_wait", "backoff", "max_deliver"):
            config.pop(name, None)
    else:
        config |= draw(_some({"max_ack_pending": COUNT}))
    return config


@st.composite
def streams(draw):
    config = draw(_some(STREAM))
    if draw(st.booleans()) or "sources" not in config:
        config["subjects"] = draw(st.sampled_from([["s.>"], ["s.a.*", "s.b"]]))
    if "sources" in config:  # one thing at a time is what the server can hold apart
        config.pop("subject_transform", None)
        config.pop("first_seq", None)
    if "max_msgs_per_subject" in config and config.get("discard") == "new":
        config |= draw(_some({"discard_new_per_subject": st.just(True)}))
    if not config.get("allow_rollup_hdrs"):
        config |= draw(_some({"deny_purge": st.just(True)}))
    if draw(st.booleans()):
        config["duplicate_window"] = min(draw(WINDOW), config.get("max_age") or 10**18)
    return config


CONFIGS = {"stream": streams(), "kv": _some(KV), "object": _some(OBJECT), "consumer": consumers()}
NAMES = {"stream": "S", "kv": "KV_s", "object": "OBJ_s", "consumer": "c"}
KINDS = tuple(CONFIGS)


@st.composite
def configs(draw, kinds=KINDS):
    """(kind, name, config)."""
    kind = draw(st.sampled_from(kinds))
    config = draw(CONFIGS[kind])
    settings = settings_of(kind)
    return kind, NAMES[kind], {name: value for name, value in config.items() if value != settings[name].default}
