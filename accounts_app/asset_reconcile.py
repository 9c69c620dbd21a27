"""Specs ⇄ rows of streams, buckets and consumers: what a document names is exactly what is managed."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import transaction

from accounts_app.jetstream.checks import check
from accounts_app.jetstream.forecast import fixed_changes
from accounts_app.jetstream.reading import place_of
from accounts_app.jetstream.specs import AssetsSpec, ConsumerSpec, StreamSpec
from accounts_app.models import Account, Asset, Consumer, Stream, System
from accounts_app.natsconf.changes import a_or_an
from accounts_app.row_writer import Changes, RowWriter, parts
from accounts_app.wrong import ReconcileError, Wrong, place

_COLUMNS = ("name", "config", "deletion")


def read_assets(account_pks: Iterable[int]) -> dict[int, AssetsSpec]:
    """{account's primary key: its managed streams with their managed consumers, by name}; () for none."""
    pks = sorted(set(account_pks))
    found: dict[int, list[StreamSpec]] = {pk: [] for pk in pks}
    for part in parts(pks):
        consumers: dict[int, list[ConsumerSpec]] = defaultdict(list)
        rows = Consumer.objects.filter(stream__account__in=part, managed=True, leaving=False).order_by("name")
        for stream, *columns in rows.values_list("stream_id", *_COLUMNS):
            consumers[stream].append(ConsumerSpec(*columns))
        streams = Stream.objects.filter(account__in=part, managed=True, leaving=False).order_by("name")
        for pk, account, kind, name, config, deletion in streams.values_list("pk", "account_id", "kind", *_COLUMNS):
            found[account].append(StreamSpec(kind, name, config, deletion, tuple(consumers[pk])))
    return {pk: tuple(specs) for pk, specs in found.items()}


def reconcile_assets(system: System, wanted: Mapping[str, AssetsSpec]) -> Changes:
    """Make what accounts (by name) manage in JetStream equal to specs, all or nothing, and say what changed.

    Managed rows without a spec go as their own `deletion` says: their data are kept, and they are observed from then
    on, or deleted. An observed object that a spec names is managed from then on. Raises ReconcileError with every
    place that is wrong.
    """
    with transaction.atomic():
        System.objects.select_for_update().get(pk=system.pk)
        return _Assets(system, wanted).run()


class _Assets:
    def __init__(self, system: System, wanted: Mapping[str, AssetsSpec]) -> None:
        self.wanted, self.writer = wanted, RowWriter()
        self.places: list[Wrong] = []
        self.accounts: dict[str, Account] = {}
        self.streams: dict[Any, Stream] = {}
        self.consumers: dict[Any, Consumer] = {}
        for part in parts(sorted(wanted)):
            self.accounts |= {row.name: row for row in Account.objects.filter(system=system, name__in=part)}

    def run(self) -> Changes:
        self._read()
        self._check()
        if self.places:
            raise ReconcileError(dict.fromkeys(self.places))
        wanted = {
            (self.accounts[name].pk, spec.name): {**_fields(spec), "kind": spec.kind}
            for name, specs in self.wanted.items()
            for spec in specs
        }

        def make(key: Any) -> Stream:
            return Stream(account=by_pk[key[0]], name=key[1])

        by_pk = {row.pk: row for row in self.accounts.values()}
        made, unnamed = self.writer.sync(Stream, self.streams, wanted, make)
        leftover = [row for row in unnamed if row.managed and not row.leaving]
        self._consumers(made, leftover)
        self._release(leftover)
        return self.writer.changes

    def _read(self) -> None:
        accounts = {row.pk: row for row in self.accounts.values()}
        for part in parts(list(accounts)):
            streams = {row.pk: row for row in Stream.objects.filter(account__in=part)}
            for row in streams.values():
                row.account = accounts[row.account_id]
                self.streams[(row.account_id, row.name)] = row
            for each in Consumer.objects.filter(stream__account__in=part):
                if each.stream_id not in streams:  # a look at the servers has just found it
                    continue
                each.stream = streams[each.stream_id]
                self.consumers[(each.stream_id, each.name)] = each

    def _check(self) -> None:
        for name, specs in self.wanted.items():
            account = self.accounts.get(name)
            if account is None:
                self.places.append(Wrong(place(name), "name", f"Account “{name}” does not exist."))
                continue
            if specs and not (account.jetstream and account.jetstream_control):
                field = "jetstream_control" if account.jetstream else "jetstream"
                told = "nunect manages streams only of accounts with JetStream that show it to nunect."
                self.places.append(Wrong(place(name), field, told))
            for spec in specs:
                self._check_stream(name, spec, self.streams.get((account.pk, spec.name)))

    def _check_stream(self, account: str, spec: StreamSpec, row: Stream | None) -> None:
        where = place(account, place_of(spec))
        if row is not None and row.kind != spec.kind:
            self.places.append(
                Wrong(where, "name", f"There is {a_or_an(str(row.get_kind_display()))} of this name already.")
            )
            return
        self._check_one(where, spec.kind, spec, row)
        for each in spec.consumers or ():
            there = None if row is None else self.consumers.get((row.pk, each.name))
            self._check_one(f"{where}, consumer “{each.name}”", "consumer", each, there)

    def _check_one(self, where: str, kind: str, spec: StreamSpec | ConsumerSpec, row: Asset | None) -> None:
        wrong = check(kind, spec.name, spec.config)
        if not wrong and row is not None and row.seen is not None and not row.leaving:
            wrong = fixed_changes(kind, spec.config, row.seen)
        self.places += [Wrong(where, setting, sentence) for setting, sentence in wrong.items()]

    def _consumers(self, streams: Mapping[Any, Stream], leftover: list[Stream]) -> None:
        """Those of streams whose spec names them; those of streams that nunect lets go are let go, too."""
        wanted: dict[Any, dict[str, Any]] = {}
        named: set[int] = set()
        for account, specs in self.wanted.items():
            for spec in specs:
                row = streams[(self.accounts[account].pk, spec.name)]
                if spec.consumers is not None:
                    named.add(row.pk)
                    wanted |= {(row.pk, each.name): _fields(each) for each in spec.consumers}
        by_pk = {row.pk: row for row in streams.values()}
        present = {key: row for key, row in self.consumers.items() if key[0] in named}

        def make(key: Any) -> Consumer:
            return Consumer(stream=by_pk[key[0]], name=key[1])

        _, unnamed = self.writer.sync(Consumer, present, wanted, make)
        gone = {row.pk for row in leftover}
        unnamed += [row for key, row in self.consumers.items() if key[0] in gone and _kept(by=row.stream)]
        self._release([row for row in unnamed if row.managed and not row.leaving])

    def _release(self, rows: list[Any]) -> None:
        """What is managed no more: gone with its data, observed, or (where there is nothing) forgotten."""
        doomed = [row for row in rows if row.deletion == Asset.Deletion.DELETE]
        kept = [row for row in rows if row.deletion == Asset.Deletion.KEEP]
        for row in doomed:
            row.leaving = True
        for row in (observed := [row for row in kept if row.seen is not None]):
            row.managed, row.config = False, {}
            row.drift, row.drift_ignored, row.ignored_until = [], "", None
        if doomed:
            type(doomed[0]).objects.bulk_update(doomed, ["leaving"])
        if observed:
            columns = ["managed", "config", "drift", "drift_ignored", "ignored_until"]
            type(observed[0]).objects.bulk_update(observed, columns)
        for row in (forgotten := [row for row in kept if row.seen is None]):
            row.delete()
        if count := len(doomed) + len(observed) + len(forgotten):
            self.writer.changes.deleted[str(rows[0]._meta.verbose_name)] += count


def _kept(*, by: Stream) -> bool:
    return by.deletion == Asset.Deletion.KEEP


def _fields(spec: StreamSpec | ConsumerSpec) -> dict[str, Any]:
    return {"config": dict(spec.config), "deletion": spec.deletion, "managed": True, "leaving": False}
