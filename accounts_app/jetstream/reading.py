"""Streams, buckets and consumers of an account in a document → specs; each place that is wrong is told."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Literal

from accounts_app.jetstream.checks import check, read_config
from accounts_app.jetstream.names import bucket_of, stream_of
from accounts_app.jetstream.settings import settings_of
from accounts_app.jetstream.specs import AssetsSpec, ConsumerSpec, Deletion, StreamKind, StreamSpec

KEYS: dict[str, StreamKind] = {"streams": "stream", "kv_buckets": "kv", "object_buckets": "object"}
_DELETIONS: tuple[Deletion, ...] = ("keep", "delete")
Tell = Callable[[str, str], None]  # where, sentence


def read_assets(account: Mapping[str, Any], at: str, wrong: Tell) -> AssetsSpec | None:
    """What an account of a document keeps in JetStream; None when it doesn't say. at: where the account stands."""
    if all(account.get(key) is None for key in KEYS):
        return None
    found: dict[str, StreamSpec] = {}
    for key, kind in KEYS.items():
        for data, here in _listed(account, key, at, wrong):
            spec = _stream(kind, data, here, wrong)
            if spec is None:
                continue
            if spec.name in found:
                wrong(f"{here}.name", "There is one of this name in the account already.")
            found[spec.name] = spec
    return tuple(found.values())


def _stream(kind: StreamKind, data: Any, at: str, wrong: Tell) -> StreamSpec | None:
    more = frozenset(("consumers",)) if kind == "stream" else frozenset[str]()
    read = _asset(kind, data, at, wrong, more)
    if read is None:
        return None
    name, config, deletion = read
    consumers = None
    if kind == "stream" and data.get("consumers") is not None:
        made: dict[str, ConsumerSpec] = {}
        for each, here in _listed(data, "consumers", at, wrong):
            one = _asset("consumer", each, here, wrong)
            if one is not None:
                if one[0] in made:
                    wrong(f"{here}.name", "The stream has a consumer of this name already.")
                made[one[0]] = ConsumerSpec(*one)
        consumers = tuple(made.values())
    return StreamSpec(kind, name, config, deletion, consumers)


def _asset(
    kind: Literal["stream", "kv", "object", "consumer"],
    data: Any,
    at: str,
    wrong: Tell,
    more: frozenset[str] = frozenset(),
) -> tuple[str, dict[str, Any], Deletion] | None:
    """(the server's name, config, deletion); None when there is no name to know it by."""
    if not isinstance(data, Mapping):
        wrong(at, "This must be a map.")
        return None
    settings = settings_of(kind)
    for key in data:
        if key not in settings and key not in {"name", "deletion"} | more:
            wrong(f"{at}.{key}", "There is no such field.")
    said = data.get("deletion") or "keep"
    deletion = next((each for each in _DELETIONS if each == said), None)
    if deletion is None:
        wrong(f"{at}.deletion", f"This must be one of {', '.join(_DELETIONS)}.")
    name = data.get("name")
    if not isinstance(name, str) or not name:
        wrong(f"{at}.name", "This field is required." if name in (None, "") else "This must be text.")
        return None
    name = stream_of(kind, name)
    config, refused = read_config(kind, {key: value for key, value in data.items() if key in settings})
    for setting, sentence in (refused or check(kind, name, config)).items():
        wrong(f"{at}.{setting}", sentence)
    return name, config, deletion or "keep"


def _listed(data: Mapping[str, Any], key: str, at: str, wrong: Tell) -> Iterator[tuple[Any, str]]:
    values, here = data.get(key), f"{at}.{key}"
    if values is None:
        return
    if not isinstance(values, list):
        wrong(here, "This must be a list.")
        return
    for number, value in enumerate(values):
        yield value, f"{here}[{number}]"


def place_of(spec: StreamSpec) -> str:
    """What people call it: stream “ORDERS”, KV bucket “settings”."""
    what = {"stream": "stream", "kv": "KV bucket", "object": "object bucket"}[spec.kind]
    return f"{what} “{bucket_of(spec.kind, spec.name)}”"
