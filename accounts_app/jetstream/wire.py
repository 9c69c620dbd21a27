"""Configs of rows ⇄ configs of the server, each complete: what a row doesn't say is the server's default.

A bucket is a stream made the way the clients' libraries make it (NATS ADR-8, ADR-20), so that they find theirs in it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from accounts_app.jetstream.names import KV_PREFIX, OBJECT_PREFIX, bucket_of, check_bucket_name
from accounts_app.jetstream.settings import Setting, settings_of
from accounts_app.jetstream.words import read_value

Config = Mapping[str, Any]
WINDOW_NS = 120_000_000_000  # the server's longest window of duplicates by default
LONGEST_HISTORY = 64  # values of a key
OWN_METADATA = "_nats."  # what the server writes into the metadata


def to_server(kind: str, name: str, config: Config, seen: Config | None = None) -> dict[str, Any]:
    """The config to create an object with, or to update the one that `seen` (the server's config) tells of.

    Settings that nunect doesn't know stay as they are there.
    """
    found = dict(seen) if seen is not None else _shape(kind, name, config)
    before, told = seen or {}, effective(kind, config)
    for setting in settings_of(kind).values():
        value = told[setting.name]
        if setting.name not in config and setting.name in SERVERS_OWN and seen is not None:
            continue
        if value is None or (setting.name not in config and setting.name in FILLED):
            found.pop(setting.key, None)
        else:
            found[setting.key] = _out(setting, value, before.get(setting.key))
    if kind == "consumer":
        found |= {"name": name, "durable_name": name}
        _filters_out(found)
        if config.get("backoff"):
            found["ack_wait"] = told["ack_wait"]
    else:
        found["name"] = name
        if kind == "kv":
            _fit_window(found)
            _rename_sources(name, found)
    own = {key: text for key, text in (before.get("metadata") or {}).items() if key.startswith(OWN_METADATA)}
    found["metadata"] = {**found.get("metadata", {}), **own}
    return {key: value for key, value in found.items() if value not in ("", [], {})}


def from_server(kind: str, seen: Config) -> dict[str, Any]:
    """{setting: canonical value} of what a server's config says beside its defaults."""
    told = complete(kind, seen)
    usual = effective(kind, {})
    # What the server makes of other settings is no word of its own.
    derived = effective(kind, {name: value for name, value in told.items() if name not in FILLED})
    return {name: value for name, value in told.items() if value != (derived if name in FILLED else usual)[name]}


def complete(kind: str, seen: Config) -> dict[str, Any]:
    """{setting: canonical value} of a server's config, every setting told."""
    found: dict[str, Any] = {}
    for setting in settings_of(kind).values():
        value = seen.get(setting.key)
        found[setting.name] = setting.default if value is None else _in(setting, value)
    found["metadata"] = {key: text for key, text in found["metadata"].items() if not key.startswith(OWN_METADATA)}
    if kind == "consumer":
        one = seen.get("filter_subject")
        found["filter_subjects"] = found["filter_subjects"] or ([one] if one else [])
    if kind == "stream":
        found["duplicate_window"] = seen.get("duplicate_window") or _window(found)
    if kind == "kv":
        found["sources"] = [_without_rename(str(seen.get("name", "")), source) for source in found["sources"]]
    return _from_all(found)


def effective(kind: str, config: Config) -> dict[str, Any]:
    """{setting: canonical value} that the server will have of a row's config: with its defaults, every setting told."""
    found = {setting.name: config.get(setting.name, setting.default) for setting in settings_of(kind).values()}
    if kind == "stream":
        if found["sealed"]:
            found |= {"max_age": 0, "discard": "new", "deny_delete": True, "deny_purge": True}
            found["allow_rollup_hdrs"] = False
        found["duplicate_window"] = config.get("duplicate_window") or _window(found)
    elif kind == "consumer" and found["backoff"]:
        found["ack_wait"] = found["backoff"][0]
    return _from_all(found)


def kind_of(seen: Config) -> str:
    """ "kv", "object" or "stream": what a stream is, by its name and by what it stores."""
    name, subjects = str(seen.get("name", "")), seen.get("subjects") or []
    for kind, prefix in (("kv", KV_PREFIX), ("object", OBJECT_PREFIX)):
        if name.startswith(prefix) and _is_bucket(name.removeprefix(prefix)):
            usual = _subjects(kind, name)
            mirrored = kind == "kv" and bool(seen.get("mirror")) and not subjects
            kept = kind == "object" or 1 <= (seen.get("max_msgs_per_subject") or 0) <= LONGEST_HISTORY
            if kept and (mirrored or sorted(subjects) == sorted(usual)):
                return kind
    return "stream"


SERVERS_OWN = frozenset(("allow_direct", "mirror_direct"))  # where a row says nothing, the server's word stays
FILLED = frozenset(("duplicate_window", "ack_wait", "max_ack_pending", "max_waiting"))  # computed from the others

_FILTERS = frozenset(("subject_transforms", "filter_subject"))


def _shape(kind: str, name: str, config: Config) -> dict[str, Any]:
    """What makes a stream the one under a bucket."""
    if kind == "kv":
        made: dict[str, Any] = {
            "allow_direct": True,
            "allow_rollup_hdrs": True,
            "allow_msg_ttl": True,
            "deny_delete": True,
            "discard": "new",
            "duplicate_window": min(config.get("ttl") or WINDOW_NS, WINDOW_NS),
        }
        return {**made, "mirror_direct": True} if config.get("mirror") else {**made, "subjects": _subjects(kind, name)}
    if kind == "object":
        return {"allow_direct": True, "allow_rollup_hdrs": True, "discard": "new", "subjects": _subjects(kind, name)}
    return {}


def _subjects(kind: str, name: str) -> list[str]:
    bucket = bucket_of(kind, name)
    return [f"$KV.{bucket}.>"] if kind == "kv" else [f"$O.{bucket}.C.>", f"$O.{bucket}.M.>"]


def _is_bucket(name: str) -> bool:
    try:
        check_bucket_name(name)
    except ValueError:
        return False
    return True


def _window(found: Config) -> int:
    if found["mirror"] or found["sources"]:
        return 0
    return min(found["max_age"] or WINDOW_NS, WINDOW_NS)


def _from_all(found: dict[str, Any]) -> dict[str, Any]:
    """Republishing of everything in one spelling: the server writes “>” for nothing."""
    if (found.get("republish") or {}).get("src") == ">":
        found["republish"] = {key: value for key, value in found["republish"].items() if key != "src"}
    return found


def _fit_window(found: dict[str, Any]) -> None:
    """No window of duplicates is longer than what it looks back at."""
    if found.get("max_age") and found.get("duplicate_window", 0) > found["max_age"]:
        found["duplicate_window"] = found["max_age"]


def _filters_out(found: dict[str, Any]) -> None:
    """One filter goes by the name that old servers and tools know, too."""
    filters = found.pop("filter_subjects", [])
    found.pop("filter_subject", None)
    if len(filters) == 1:
        found["filter_subject"] = filters[0]
    elif filters:
        found["filter_subjects"] = filters


def _rename_sources(name: str, found: dict[str, Any]) -> None:
    """Keys of another bucket come in under this one's subjects."""
    if found.get("sources"):
        found["sources"] = [
            source
            if "subject_transforms" in source or "filter_subject" in source
            else {**source, **_rename(name, source)}
            for source in found["sources"]
        ]


def _rename(name: str, source: Config) -> dict[str, Any]:
    there, here = bucket_of("kv", source["name"]), bucket_of("kv", name)
    return {"subject_transforms": [{"src": f"$KV.{there}.>", "dest": f"$KV.{here}.>"}]}


def _without_rename(name: str, source: Config) -> dict[str, Any]:
    usual = _rename(name, source)["subject_transforms"]
    return {key: value for key, value in source.items() if not (key == "subject_transforms" and value == usual)}


def _out(setting: Setting, value: Any, before: Any = None) -> Any:
    """A canonical value as the server's JSON has it; what says the same already stays as it is there."""
    if before is not None and setting.type in ("object", "objects") and _in(setting, before) == value:
        return before
    if setting.type == "object":
        return {field.key: _out(field, value[field.name]) for field in setting.fields if field.name in value}
    if setting.type == "objects":
        there = {json.dumps(_fields_in(setting, each), sort_keys=True): each for each in before or ()}
        fields = {field.name: field for field in setting.fields}
        return [
            there.get(json.dumps(each, sort_keys=True))
            or {fields[name].key: _out(fields[name], one) for name, one in each.items()}
            for each in value
        ]
    return value


def _in(setting: Setting, value: Any) -> Any:
    """A value of the server's JSON as canonical; what nunect doesn't know of a map is left out."""
    if setting.type == "object":
        return _fields_in(setting, value)
    if setting.type == "objects":
        return [_fields_in(setting, each) for each in value]
    if setting.type == "map":
        return {str(key): str(text) for key, text in value.items()}
    if setting.type in ("whole", "bytes"):
        return int(setting.default) if value == 0 and setting.least < 0 else int(value)
    if setting.type == "time":
        try:
            return read_value(setting, value)
        except ValueError:
            return str(value)
    return value


def _fields_in(setting: Setting, value: Config) -> dict[str, Any]:
    found = {}
    for field in setting.fields:
        if value.get(field.key) is not None:
            one = _in(field, value[field.key])
            if one != field.default:
                found[field.name] = one
    return found
