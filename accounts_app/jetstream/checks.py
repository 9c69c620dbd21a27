"""What one row alone can be wrong in, before any server is asked; the rules are the server's own.

Source: `server/stream.go` checkStreamCfg, `server/consumer.go` checkConsumerCfg.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from accounts_app.jetstream.names import KV_PREFIX, check_asset_name, check_name
from accounts_app.jetstream.settings import settings_of
from accounts_app.jetstream.wire import FILLED, OWN_METADATA, SERVERS_OWN, Config, effective
from accounts_app.jetstream.words import check_canonical, read_value
from accounts_app.natsconf import subjects

TELLING = FILLED | SERVERS_OWN  # saying the default of these is not the same as saying nothing
LONGEST_DESCRIPTION = 4 * 1024  # bytes, in UTF-8
MOST_METADATA = 128 * 1024 - 256  # bytes, less what the server adds of its own
SHORTEST_NS, SHORTEST_PULL_NS = 100_000_000, 1_000_000
_API, _SYSTEM = ("$JS.>", "$JSC.>", "$NRG.>"), ("$SYS.>",)
_FREE = {_API: "$JS.EVENT.>", _SYSTEM: "$SYS.ACCOUNT.>"}
_SAMPLING = re.compile(r"[0-9]{1,9}%?")
_BEGINS = {"by_start_sequence": "opt_start_seq", "by_start_time": "opt_start_time"}

Wrong = tuple[str, str]  # setting, sentence


def check(kind: str, name: str, config: Config) -> dict[str, str]:
    """{setting: sentence} of what can't be, "name" for the name; {} when a server may take it. The first of each."""
    wrong = [*_form(kind, name, config)] or [*_CHECKS[kind](name, config, effective(kind, config))]
    return dict(reversed(wrong))


def read_config(kind: str, said: Config) -> tuple[dict[str, Any], dict[str, str]]:
    """({setting: canonical value} of what is said beside defaults, {setting: sentence} of what can't be read)."""
    settings = settings_of(kind)
    config: dict[str, Any] = {}
    wrong: dict[str, str] = {}
    for name, value in said.items():
        if name not in settings:
            wrong[name] = "There is no such setting."
            continue
        try:
            config[name] = None if value is None else read_value(settings[name], value)
        except ValueError as refused:
            wrong[name] = str(refused)
    kept = {name: value for name, value in config.items() if value is not None}
    return {name: value for name, value in kept.items() if value != settings[name].default or name in TELLING}, wrong


def _form(kind: str, name: str, config: Config) -> Iterator[Wrong]:
    """Values that can't stand in a row."""
    yield from _refusals("name", check_name, kind, name)
    settings = settings_of(kind)
    for key, value in config.items():
        if key not in settings:
            yield key, "There is no such setting."
            continue
        yield from _refusals(key, check_canonical, settings[key], value)


def _stream(name: str, config: Config, told: Config) -> Iterator[Wrong]:
    yield from _common(told)
    yield from _copies(name, told)
    yield from _subjects(told)
    yield from _long_enough("max_age", told["max_age"])
    yield from _long_enough("duplicate_window", told["duplicate_window"])
    if 0 < told["max_age"] < told["duplicate_window"]:
        yield "duplicate_window", "This is longer than the age."
    if told["discard_new_per_subject"]:
        if told["discard"] != "new":
            yield "discard_new_per_subject", "This goes with discard: new."
        if told["max_msgs_per_subject"] <= 0:
            yield "discard_new_per_subject", "This needs a limit of messages of a subject."
    if told["deny_purge"] and told["allow_rollup_hdrs"]:
        yield "allow_rollup_hdrs", "Roll-ups need purging: allow it, or no roll-ups."
    yield from _republish(told["republish"], told["subjects"])
    if told["subject_transform"]:
        yield from _rename("subject_transform", told["subject_transform"])


def _kv(name: str, config: Config, told: Config) -> Iterator[Wrong]:
    yield from _common(told)
    yield from _copies(name, told)
    yield from _long_enough("ttl", told["ttl"])
    yield from _republish(told["republish"], [f"$KV.{name.removeprefix(KV_PREFIX)}.>"])
    for setting, source in (*_each("mirror", told["mirror"]), *_each("sources", told["sources"])):
        if not source["name"].startswith(KV_PREFIX):
            yield setting, f"Name the stream under the other bucket: {KV_PREFIX}{source['name']}."


def _object(name: str, config: Config, told: Config) -> Iterator[Wrong]:
    yield from _common(told)
    yield from _long_enough("ttl", told["ttl"])


def _consumer(name: str, config: Config, told: Config) -> Iterator[Wrong]:
    yield from _common(told)
    yield from _apart("filter_subjects", told["filter_subjects"])
    if told["backoff"] and 0 < told["max_deliver"] < len(told["backoff"]):
        yield "backoff", "There are more steps of back-off than deliveries."
    if any(step < 0 for step in told["backoff"]):
        yield "backoff", "A step of back-off must not be negative."
    if told["sample_freq"] and not _SAMPLING.fullmatch(told["sample_freq"]):
        yield "sample_freq", "This must be per cent, such as 50%."
    if told["flow_control"] and not told["idle_heartbeat"]:
        yield "idle_heartbeat", "Flow control needs a heartbeat, too."
    yield from _beginning(told)
    yield from (_push if told["deliver_subject"] else _pull)(config, told)


def _beginning(told: Config) -> Iterator[Wrong]:
    policy = told["deliver_policy"]
    needed = _BEGINS.get(policy)
    for setting in _BEGINS.values():
        if setting == needed and not told[setting]:
            yield setting, f"Consumers that begin “{policy}” need this."
        if setting != needed and told[setting]:
            yield setting, f"Consumers that begin “{policy}” have none."
    if policy == "last_per_subject" and not told["filter_subjects"]:
        yield "filter_subjects", "Consumers that begin “last_per_subject” need this; “>” is all subjects."


def _push(config: Config, told: Config) -> Iterator[Wrong]:
    yield from _refusals("deliver_subject", subjects.check_subject, told["deliver_subject"])
    if subjects.has_wildcard(told["deliver_subject"]):
        yield "deliver_subject", "A subject to push to has no wildcards."
    if "max_waiting" in config:
        yield "max_waiting", "A consumer that pushes has no waiting pulls."
    if told["ack_policy"] == "none" and config.get("max_ack_pending", 0) > 0:
        yield "max_ack_pending", "Without acknowledgements there are none to wait for."
    yield from _long_enough("idle_heartbeat", told["idle_heartbeat"])


def _pull(config: Config, told: Config) -> Iterator[Wrong]:
    for setting in ("rate_limit_bps", "idle_heartbeat", "flow_control"):
        if told[setting]:
            yield setting, "Only a consumer that pushes has this: say where to."
    if 0 < told["max_expires"] < SHORTEST_PULL_NS:
        yield "max_expires", "The longest pull is 1ms or longer."


_CHECKS: dict[str, Callable[[str, Config, Config], Iterator[Wrong]]] = {
    "stream": _stream,
    "kv": _kv,
    "object": _object,
    "consumer": _consumer,
}


def _common(told: Config) -> Iterator[Wrong]:
    if len(told["description"].encode()) > LONGEST_DESCRIPTION:
        yield "description", f"A description has at most {LONGEST_DESCRIPTION} bytes."
    metadata = told["metadata"]
    if any(key.startswith(OWN_METADATA) for key in metadata):
        yield "metadata", f"Names that begin with {OWN_METADATA.removesuffix('.')} are the server's own."
    if sum(len(text.encode()) for pair in metadata.items() for text in pair) > MOST_METADATA:
        yield "metadata", f"Metadata have at most {MOST_METADATA} bytes."


def _subjects(told: Config) -> Iterator[Wrong]:
    stored = told["subjects"]
    if told["mirror"]:
        if stored:
            yield "subjects", "A mirror has no subjects of its own."
        return
    if not stored and not told["sources"]:
        yield "subjects", "A stream needs subjects, or something that it copies."
    yield from _apart("subjects", stored)
    if told["no_ack"]:
        if ">" in stored and told["replicas"] != 1:
            yield "replicas", "A stream of all subjects has one replica."
        return
    for subject in stored:
        for reserved, free in _FREE.items():
            if any(subjects.overlaps(subject, each) for each in reserved) and not subjects.covers(free, subject):
                yield "subjects", f"“{subject}” takes in the servers' own subjects: that needs “no acknowledgement”."


def _apart(setting: str, said: list[str]) -> Iterator[Wrong]:
    """Subjects, and none of them within another."""
    for subject in said:
        yield from _refusals(setting, subjects.check_subject, subject)
    for number, subject in enumerate(said):
        for other in said[number + 1 :]:
            if subject == other:
                yield setting, f"“{subject}” stands there twice."
            elif _met(setting, subject, other):
                yield setting, f"“{subject}” and “{other}” overlap."


def _met(setting: str, one: str, other: str) -> bool:
    if setting == "subjects":
        return subjects.overlaps(one, other)
    return subjects.covers(one, other) or subjects.covers(other, one)


def _copies(name: str, told: Config) -> Iterator[Wrong]:
    """Mirror and sources."""
    if told["mirror"]:
        if told["sources"]:
            yield "sources", "A mirror has no sources."
        if told.get("first_seq"):
            yield "first_seq", "A mirror has the sequences of its origin."
    for setting, source in (*_each("mirror", told["mirror"]), *_each("sources", told["sources"])):
        yield from _refusals(setting, check_asset_name, source["name"])
        if source["name"] == name and not source.get("external"):
            yield setting, "A stream can't copy itself."
        if source.get("filter_subject") and source.get("subject_transforms"):
            yield setting, "Give one filter or renames, not both."
        if source.get("filter_subject"):
            yield from _refusals(setting, subjects.check_subject, source["filter_subject"])
        if source.get("opt_start_seq") and source.get("opt_start_time"):
            yield setting, "Give a first sequence or a time, not both."
        for rename in source.get("subject_transforms", ()):
            yield from _rename(setting, rename)
    keys = [repr(sorted(source.items())) for source in told["sources"]]
    if len(set(keys)) < len(keys):
        yield "sources", "Two sources are the same."


def _each(setting: str, said: Any) -> Iterable[tuple[str, Mapping[str, Any]]]:
    return [(setting, source) for source in ([said] if isinstance(said, Mapping) else said or ())]


def _republish(republish: Mapping[str, Any] | None, stored: list[str]) -> Iterator[Wrong]:
    if republish:
        yield from _rename("republish", republish)
        if any(subjects.overlaps(republish["dest"], subject) for subject in stored):
            yield "republish", "What is republished would come back into the stream."


def _rename(setting: str, rename: Mapping[str, Any]) -> Iterator[Wrong]:
    yield from _refusals(setting, subjects.check_destination, rename.get("src") or ">", rename["dest"])


def _long_enough(setting: str, ns: int) -> Iterator[Wrong]:
    if 0 < ns < SHORTEST_NS:
        yield setting, "This is 100ms or longer."


def _refusals(setting: str, look: Callable[..., Any], *values: Any) -> Iterator[Wrong]:
    try:
        look(*values)
    except ValueError as refused:
        yield setting, str(refused)
