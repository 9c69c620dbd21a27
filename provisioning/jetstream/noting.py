"""Writing down a look: by plain updates and inserts, since nothing of it is a change that anybody asked for."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from django.db import transaction
from django.db.models import Exists, OuterRef, QuerySet
from django.utils import timezone

from accounts_app.jetstream.wire import kind_of
from accounts_app.models import Asset, Consumer, Stream, record
from provisioning.jetstream.columns import write_columns
from provisioning.jetstream.sightings import config_of, counts_of

T = TypeVar("T")
AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Change:
    """What a row is to hold from now on. forgiven: what stood in its way is gone, so that it may be tried again."""

    row: dict[str, Any]
    seen: dict[str, Any] | None
    counts: dict[str, Any]
    drift: list[dict[str, Any]]
    forgiven: bool = False

    @property
    def is_one(self) -> bool:
        row = self.row
        return (row["seen"], row["counts"], row["drift"]) != (self.seen, self.counts, self.drift)


@dataclass(frozen=True, slots=True)
class Newcomer:
    """An object that no row tells of. account: primary key; info: what the server tells."""

    account: int
    stream: str
    name: str
    info: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Notes:
    """What a look has brought. vanished: primary keys of observed rows whose object is gone."""

    changes: dict[type[Asset], list[Change]]
    vanished: dict[type[Asset], list[int]]
    streams: list[Newcomer]
    consumers: list[Newcomer]

    def __bool__(self) -> bool:
        return bool(any((*self.changes.values(), *self.vanished.values())) or self.streams or self.consumers)


def write(notes: Notes) -> None:
    """One transaction, if there is anything. A row that has been changed or met since the look began keeps what it
    has."""
    if not notes:
        return
    now = timezone.now()
    with transaction.atomic():
        for model, changes in notes.changes.items():
            _update(model, changes, now)
        _forget(notes.vanished[Stream], notes.vanished[Consumer])
        _add_streams(notes.streams, now)
        _add_consumers(notes.consumers, now)
    for model, changes in notes.changes.items():
        _tell(model, [each.row["pk"] for each in changes if each.drift and each.drift != each.row["drift"]])


def _update(model: type[Asset], changes: list[Change], now: datetime) -> None:
    write_columns(
        model,
        (
            (
                {name: each.row[name] for name in ("pk", "wanted", "done")},
                {"seen": each.seen, "counts": each.counts, "drift": each.drift, "seen_at": now},
            )
            for each in changes
        ),
    )
    for part in _parts(each.row["pk"] for each in changes if each.drift != each.row["drift"]):
        ignoring = QuerySet[Asset](model).filter(pk__in=part).exclude(drift_ignored="")
        ignoring.update(drift_ignored="", ignored_until=None)  # it was about another difference
    for part in _parts(each.row["pk"] for each in changes if each.forgiven):
        rows = QuerySet[Asset](model).filter(pk__in=part, seen__isnull=True)
        rows.update(problem_kind="", problem="", problem_field="", problem_wanted=0)


def forget_hidden(system_id: int) -> None:
    """Drop observed streams of accounts that no longer show their JetStream: nunect has no business to know them."""
    managed = Consumer.objects.filter(stream=OuterRef("pk"), managed=True)
    rows = QuerySet[Stream](Stream).filter(~Exists(managed), account__system=system_id, managed=False)
    hidden = list(rows.filter(account__jetstream_control=False).values_list("pk", flat=True))
    if hidden:
        with transaction.atomic():
            _forget(hidden, [])


def _forget(streams: Iterable[int], consumers: Iterable[int]) -> None:
    """Drop observed rows, without a line of history: they told what was there, and nobody has deleted them."""
    for part in _parts(consumers):
        _drop(QuerySet[Consumer](Consumer).filter(pk__in=part, managed=False))
    for part in _parts(streams):
        _drop(QuerySet[Consumer](Consumer).filter(stream__in=part, stream__managed=False, managed=False))
        kept = Consumer.objects.filter(stream=OuterRef("pk"))
        _drop(QuerySet[Stream](Stream).filter(~Exists(kept), pk__in=part, managed=False))


def _drop(rows: QuerySet[Any]) -> None:
    rows.order_by()._raw_delete(rows.db)  # type: ignore[attr-defined]


def _add_streams(found: list[Newcomer], now: datetime) -> None:
    rows = [
        _observed(Stream(account_id=each.account, name=each.name, kind=kind_of(each.info["config"])), each.info, now)
        for each in found
    ]
    QuerySet[Stream](Stream).bulk_create(rows, ignore_conflicts=True, batch_size=200)


def _add_consumers(found: list[Newcomer], now: datetime) -> None:
    homes = _streams_of({each.account for each in found})
    rows = [
        _observed(Consumer(stream_id=homes[each.account, each.stream], name=each.name), each.info, now)
        for each in found
        if (each.account, each.stream) in homes
    ]
    QuerySet[Consumer](Consumer).bulk_create(rows, ignore_conflicts=True, batch_size=200)


def _observed(row: T, info: dict[str, Any], now: datetime) -> T:
    told = {"managed": False, "seen": config_of(info["config"]), "seen_at": now, "counts": counts_of(info)}
    for name, value in told.items():
        setattr(row, name, value)
    return row


def _streams_of(accounts: Collection[int]) -> dict[tuple[int, str], int]:
    """{(account, name): primary key} of every stream of these accounts."""
    found: dict[tuple[int, str], int] = {}
    for part in _parts(sorted(accounts)):
        rows = QuerySet[Stream](Stream).filter(account__in=part).order_by()
        found |= {(account, name): pk for account, name, pk in rows.values_list("account_id", "name", "pk")}
    return found


def _tell(model: type[Asset], drifted: list[int]) -> None:
    """Write drifts that are new into the trail."""
    for part in _parts(drifted):
        for row in model._default_manager.filter(pk__in=part).exclude(drift=[]).select_related(*model.AFFECTS):
            why = " ".join(str(each["words"]) for each in row.drift[:5])
            record(f"{model._meta.verbose_name} drifted", row, account=row.home.name, why=why)


def _parts(many: Iterable[T]) -> Iterator[list[T]]:
    rest = iter(many)
    while part := list(islice(rest, AT_ONCE)):
        yield part
