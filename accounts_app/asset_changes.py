"""What an act changes of streams, buckets and consumers, in words, and what the servers would make of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from accounts_app.forecasting import room_of, servers_with_jetstream
from accounts_app.jetstream.differences import in_words
from accounts_app.jetstream.forecast import Warning, forecast
from accounts_app.jetstream.names import bucket_of
from accounts_app.jetstream.settings import settings_of
from accounts_app.jetstream.wire import complete, effective, to_server
from accounts_app.models import Account, Consumer, Stream
from accounts_app.natsconf.changes import Change
from accounts_app.natsconf.specs import JetStreamSpec
from accounts_app.row_writer import parts
from accounts_app.snapshot import JETSTREAM_FIELDS

_COLUMNS = ("name", "config", "deletion", "managed", "leaving", "seen", "counts", "drift")
_WHAT = {"stream": "stream", "kv": "KV bucket", "object": "object bucket", "consumer": "consumer"}
Key = tuple[str, str, str]  # account, stream, consumer ("" for the stream itself)


@dataclass(frozen=True, slots=True)
class Seen:
    """One row of a moment."""

    kind: str
    name: str
    config: Mapping[str, Any]
    deletion: str
    managed: bool
    leaving: bool
    seen: Mapping[str, Any] | None
    counts: Mapping[str, Any]
    drift: Sequence[Mapping[str, Any]]

    @property
    def wanted(self) -> bool:
        """Whether the row says that it shall be there."""
        return self.managed and not self.leaving


@dataclass(frozen=True, slots=True)
class Warned:
    """A forecast of one object. named: as people call it: stream “ORDERS”."""

    account: str
    named: str
    warning: Warning

    def as_dict(self) -> dict[str, str]:
        told = {"account": self.account, "object": self.named, "setting": self.warning.setting}
        return {**told, "text": self.warning.sentence, "severity": self.warning.severity}


@dataclass(frozen=True, slots=True)
class Moment:
    """Streams and consumers of some accounts as they stand. limits: {account that is there: what it may}; servers:
    how many have JetStream, None as long as none was seen; room: {storage: bytes of the largest of them}."""

    rows: Mapping[Key, Seen]
    limits: Mapping[str, JetStreamSpec]
    servers: int | None
    room: Mapping[str, int] = field(default_factory=dict)


def moment(system_id: int, accounts: Iterable[int]) -> Moment:
    """What the rows of these accounts (primary keys) say now."""
    pks = sorted(accounts)
    if not pks:
        return Moment({}, {}, None)
    rows: dict[Key, Seen] = {}
    limits: dict[str, JetStreamSpec] = {}
    for part in parts(pks):
        streams = Stream.objects.filter(account__in=part).order_by()
        for account, kind, *row in streams.values_list("account__name", "kind", *_COLUMNS):
            rows[(account, row[0], "")] = Seen(kind, *row)
        consumers = Consumer.objects.filter(stream__account__in=part).order_by()
        for account, stream, *row in consumers.values_list("stream__account__name", "stream__name", *_COLUMNS):
            rows[(account, stream, row[0])] = Seen("consumer", *row)
        known = Account.objects.filter(pk__in=part).order_by()
        for name, *values in known.values_list("name", *(f"jetstream_{each}" for each in JETSTREAM_FIELDS)):
            limits[name] = JetStreamSpec(*values)
    return Moment(rows, limits, servers_with_jetstream(system_id), room_of(system_id))


def changes(before: Moment, after: Moment) -> list[Change]:
    """What differs, a sentence for each object, in order; what goes with its account isn't told."""
    found = []
    for key in sorted(before.rows.keys() | after.rows.keys()):
        told = _told(before.rows.get(key), after.rows.get(key)) if key[0] in after.limits else None
        above = after.rows.get((key[0], key[1], ""))
        if told is None or (key[2] and (above is None or above.leaving)):
            continue  # what a stream takes along is told with it
        says, loses = told
        named = _named(key, after.rows.get(key) or before.rows[key])
        found.append(Change("asset", key[0], f"{named}{says}", removes_access=loses))
    return found


def _named(key: Key, row: Seen) -> str:
    if key[2]:
        return f"consumer `{key[2]}` of stream `{key[1]}` of account `{key[0]}`"
    return f"{_WHAT[row.kind]} `{bucket_of(row.kind, key[1])}` of account `{key[0]}`"


def _told(before: Seen | None, after: Seen | None) -> tuple[str, bool] | None:
    """(what happens to it, whether something is lost); None for nothing."""
    was, is_ = before is not None and before.wanted, after is not None and after.wanted
    if after is not None and after.leaving:
        return None if before is not None and before.leaving else (f" is deleted{_with(after)}", True)
    if was and not is_:
        kept = " is no longer managed; it stays with its data" if after is not None else " is forgotten"
        return kept, False
    if after is None or not is_:
        return None
    if before is None or before.leaving:
        return f" is made{_for(after)}", False
    if not was:
        steps = _steps(after.kind, complete(after.kind, after.seen or {}), effective(after.kind, after.config))
        return f", which is there already, is managed from now on{f': {steps}' if steps else ''}", False
    if _goes_back(before, after):
        if after.seen is None:
            return " is made again, without what it held", False
        settings = [each["setting"] for each in before.drift]
        there, shall = ({each["setting"]: each[side] for each in before.drift} for side in ("seen", "wanted"))
        return f" goes back: {_steps(after.kind, there, shall, settings)}", False
    steps = _steps(after.kind, effective(before.kind, before.config), effective(after.kind, after.config))
    if before.deletion != after.deletion:
        goes = "goes with its data" if after.deletion == "delete" else "stays on the servers"
        steps = "; ".join(filter(None, (steps, f"when nobody asks for it any more, it {goes}")))
    return (f": {steps}", False) if steps else None


def _with(row: Seen) -> str:
    if row.kind == "consumer":
        return ", with where its clients have got to"
    counts = ((int(row.counts.get(noun + "s") or 0), noun) for noun in ("message", "consumer"))
    told = [f"{count:,} {noun}{'' if count == 1 else 's'}" for count, noun in counts if count]
    return f" with its {' and '.join(told)}" if told else " with its data"


def _for(row: Seen) -> str:
    told = row.config.get("subjects") or row.config.get("filter_subjects")
    return f", for {', '.join(told[:5])}{' …' if len(told) > 5 else ''}" if told else ""


def _steps(
    kind: str, before: Mapping[str, Any], after: Mapping[str, Any], settings: Collection[str] | None = None
) -> str:
    """settings: those that are compared, None for all."""
    return "; ".join(
        f"{setting.title.lower()} {in_words(kind, name, before[name])} → {in_words(kind, name, after[name])}"
        for name, setting in settings_of(kind).items()
        if (settings is None or name in settings) and before[name] != after[name]
    )


def warnings(before: Moment, after: Moment) -> list[Warned]:
    """What the servers would say to what changes, or would lose by it; what is deleted is told as a change."""
    moved = [key for key, row in sorted(after.rows.items()) if row.wanted and _moves(before.rows.get(key), row)]
    if not moved:
        return []
    streams: dict[str, dict[str, Any]] = defaultdict(dict)
    consumers: dict[tuple[str, str], dict[str, Any]] = defaultdict(dict)
    for (account, stream, consumer), row in after.rows.items():
        if not row.leaving:
            config = to_server(row.kind, row.name, row.config, row.seen) if row.managed else row.seen or {}
            (consumers[(account, stream)] if consumer else streams[account])[row.name] = config
    found = []
    for key in moved:
        account, stream, consumer = key
        row = after.rows[key]
        beside = consumers[(account, stream)] if consumer else streams[account]
        told = forecast(
            row.kind,
            row.name,
            row.config,
            row.seen,
            row.counts,
            {name: config for name, config in beside.items() if name != row.name},
            after.limits.get(account),
            after.servers,
            streams[account].get(stream) if consumer else None,
            after.room,
        )
        found += [Warned(account, quoted(key, row), warning) for warning in told]
    return found


def _moves(before: Seen | None, row: Seen) -> bool:
    return before is None or not before.wanted or before.config != row.config or _goes_back(before, row)


def _goes_back(before: Seen, after: Seen) -> bool:
    """Whether the servers are brought back to what the row says, as it does."""
    return bool(before.drift and not after.drift and before.config == after.config)


def quoted(key: Key, row: Seen) -> str:
    if key[2]:
        return f"consumer “{key[2]}” of stream “{key[1]}”"
    return f"{_WHAT[row.kind]} “{bucket_of(row.kind, key[1])}”"
