"""What the server has of an object and its row doesn't say, or the other way round."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from accounts_app.jetstream.settings import settings_of
from accounts_app.jetstream.wire import SERVERS_OWN, Config, complete, effective
from accounts_app.jetstream.words import bytes_words, duration_words, write_value


@dataclass(frozen=True, slots=True)
class Difference:
    """One setting that differs. setting: "" for the object itself; wanted, seen: canonical; words: a sentence."""

    setting: str
    wanted: Any
    seen: Any
    words: str

    def as_dict(self) -> dict[str, Any]:
        """As a row keeps it in `drift`."""
        return asdict(self)


def differences(
    kind: str,
    wanted: Config,
    seen: Config | None,
    *,
    now: datetime | None = None,
) -> tuple[Difference, ...]:
    """What differs between a row's config and the server's; None: it isn't there. In the order of the settings.

    A row is the whole truth for the settings that nunect knows: what it doesn't say is the default. Left out is what
    the server decides by itself: direct reads, its own metadata, and a default that limits of the account, the stream
    or the server have lowered. now: a pause that was over by then is none.
    """
    if seen is None:
        return (Difference("", None, None, "It is gone from the server."),)
    theirs, ours = complete(kind, seen), effective(kind, wanted)
    found = []
    for name, setting in settings_of(kind).items():
        if name in SERVERS_OWN and name not in wanted:
            continue
        mine, there = ours[name], theirs[name]
        if name == "max_ack_pending" and name not in wanted and 0 < there < mine:
            continue
        if name == "pause_until" and now is not None:
            mine, there = (None if is_over(each, now) else each for each in (mine, there))
        if setting.type in _UNORDERED and sorted(map(_key, mine or ())) == sorted(map(_key, there or ())):
            continue
        if mine != there:
            says, has = in_words(kind, name, mine), in_words(kind, name, there)
            if says == has:  # huge ones, which differ in what words leave out
                says, has = str(mine), str(there)
            found.append(Difference(name, mine, there, f"{setting.title}: the row says {says}, the server has {has}."))
    return tuple(found)


def is_over(moment: str | None, now: datetime) -> bool:
    """Whether a canonical time lies behind; an unset one doesn't."""
    return moment is not None and datetime.fromisoformat(moment) <= now


def in_words(kind: str, name: str, canonical: Any) -> str:
    """A canonical value as a sentence shows it."""
    setting = settings_of(kind)[name]
    if canonical is None or canonical in ("", [], {}):
        return "nothing"
    if canonical == -1 or (canonical == 0 and setting.type == "duration"):
        return "no limit" if canonical == -1 or name.startswith("max_") or name == "ttl" else "none"
    if isinstance(canonical, bool):
        return "yes" if canonical else "no"
    if setting.type == "bytes" and isinstance(canonical, int):
        return bytes_words(canonical)
    if setting.type == "duration":
        return duration_words(canonical)
    value = write_value(setting, canonical)
    if isinstance(value, list):
        return ", ".join(each if isinstance(each, str) else json.dumps(each, ensure_ascii=False) for each in value)
    if isinstance(value, Mapping):
        return json.dumps(value, ensure_ascii=False)
    return f"{value:,}" if isinstance(value, int) else str(value)


def drift_digest(drift: Iterable[Mapping[str, Any]]) -> str:
    """What tells one drift (as a row keeps it) from another: a person ignores just the one that they saw."""
    text = json.dumps([[each.get("setting"), each.get("wanted"), each.get("seen")] for each in drift], sort_keys=True)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


_UNORDERED = frozenset(("texts", "objects"))


def _key(value: Any) -> str:
    return json.dumps(value, sort_keys=True)
