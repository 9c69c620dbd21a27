"""What would come of a row of a stream, bucket or consumer, with all that its forecast needs to know read at once."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import Max, Q

from accounts_app.jetstream.forecast import Warning, forecast
from accounts_app.jetstream.settings import settings_of
from accounts_app.jetstream.wire import to_server
from accounts_app.models import Account, Consumer, Server, Stream
from accounts_app.natsconf.specs import JetStreamSpec
from accounts_app.snapshot import JETSTREAM_FIELDS


def forecast_of(row: Stream | Consumer, *, deleted: bool = False) -> tuple[Warning, ...]:
    """What the server would refuse of the row as it stands in memory, or lose. deleted: it goes with its data."""
    stream = row.stream if isinstance(row, Consumer) else None
    return forecast(
        "consumer" if isinstance(row, Consumer) else row.kind,
        row.name,
        None if deleted else row.config,
        row.seen,
        row.counts,
        _beside(row),
        _limits(row.home),
        servers_with_jetstream(row.home.system_id),
        None if stream is None else _config(stream.kind, stream.name, stream.config, stream.seen, stream.managed),
        room_of(row.home.system_id),
    )


def losses_of(row: Stream | Consumer) -> list[str]:
    """What would be lost were the servers brought to what the row says, a sentence each."""
    return [one.sentence for one in forecast_of(row) if one.severity == "loses"] if row.seen else []


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What comes of a row. refused: {setting, "" for the object: what the server is sure to refuse}; warnings: what
    it takes, and loses or should be known of."""

    refused: Mapping[str, list[str]]
    warnings: tuple[Warning, ...]


def foreseen(row: Any, changes: Collection[str], *, new: bool = False) -> Foreseen:
    """What comes of the row as it stands in memory. changes: settings that are being changed; new: it is being made.

    Of an object that is there, what stays as it is stands in nobody's way.
    """
    if not changes and not new:
        return Foreseen({}, ())
    known = settings_of(row.settings_kind)
    found: dict[str, list[str]] = {}
    told = forecast_of(row)
    for one in told:
        if one.severity == "refused" and (row.seen is None or one.setting in changes or one.setting not in known):
            found.setdefault(one.setting, []).append(one.sentence)
    return Foreseen(found, tuple(one for one in told if one.severity != "refused"))


def _beside(row: Stream | Consumer) -> dict[str, dict[str, Any]]:
    """{name: the server's config, as it is to be} of the account's other streams, or the stream's other consumers."""
    columns = ("name", "config", "seen", "managed")
    found: list[tuple[Any, ...]]
    if isinstance(row, Consumer):
        consumers = Consumer.objects.filter(stream=row.stream_id, leaving=False).exclude(pk=row.pk)
        found = [("consumer", *each) for each in consumers.values_list(*columns)]
    else:
        streams = Stream.objects.filter(account=row.account_id, leaving=False).exclude(pk=row.pk)
        found = list(streams.values_list("kind", *columns))
    return {name: _config(kind, name, said, seen, managed) for kind, name, said, seen, managed in found}


def _config(kind: str, name: str, said: Any, seen: Any, managed: bool) -> dict[str, Any]:
    return to_server(kind, name, said, seen) if managed else seen or {}


def _limits(account: Account) -> JetStreamSpec | None:
    if not account.jetstream:
        return None
    values: list[Any] = [getattr(account, f"jetstream_{name}") for name in JETSTREAM_FIELDS]
    return JetStreamSpec(*values)


def servers_with_jetstream(system_id: int) -> int | None:
    """How many servers of a system have JetStream; None as long as none was seen."""
    keeps = Q(jetstream_max_file__gt=0) | Q(jetstream_max_mem__gt=0)
    return Server.objects.filter(keeps, system=system_id).count() or None


def room_of(system_id: int) -> dict[str, int]:
    """{storage: bytes that the largest server of a system gives to streams}; without those that nobody has told."""
    largest = Server.objects.filter(system=system_id).aggregate(
        memory=Max("jetstream_max_mem"), file=Max("jetstream_max_file")
    )
    return {storage: size for storage, size in largest.items() if size}
