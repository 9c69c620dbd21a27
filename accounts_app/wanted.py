"""The counters that make the tables an outbox: each change adds one to what is wanted.

A change through any door adds one to the `wanted` counter of its accounts and its system, in
its own transaction, and says so after the commit (`wanted_committed`). Within one transaction
an account is counted once: Django's list of commit callbacks tells whether an earlier count
still stands, since it forgets the callbacks of a savepoint that was rolled back. Streams and consumers
have counters of their own: they are brought to the servers by JetStream's API, not by a conf.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, TypeVar

from django.apps import apps
from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.dispatch import Signal

T = TypeVar("T")

wanted_committed = Signal()  # sent with system_id, after the commit of a change
assets_committed = Signal()  # sent with system_id, after the commit of a change of streams or consumers


@dataclass(frozen=True, slots=True)
class _Counted:
    """A commit callback that remembers what was counted in this transaction."""

    system_id: int
    account_ids: frozenset[int]
    shared: bool = False

    def __call__(self) -> None:
        wanted_committed.send(sender=_Counted, system_id=self.system_id)


def want(system_id: int, account_ids: Iterable[int] = (), *, shared: bool = False) -> None:
    """Count a change of these accounts of the system. Call it in the transaction of the change.

    shared: what changed belongs to no single account. Raises Unwritten when the system is released: its rows are
    there to be read.
    """
    standing = _standing(system_id)
    fresh = frozenset(account_ids).difference(*(call.account_ids for call in standing))
    if standing and not fresh and (not shared or any(call.shared for call in standing)):
        return
    if not standing:
        _count_system(system_id)
    account_model = apps.get_model("accounts_app", "Account")
    ordered = sorted(fresh)  # one order of locks for every writer
    for start in range(0, len(ordered), 500):
        QuerySet(account_model).filter(pk__in=ordered[start : start + 500]).update(wanted=F("wanted") + 1)
    transaction.on_commit(_Counted(system_id, fresh, shared), robust=True)


def _count_system(system_id: int) -> None:
    model = apps.get_model("accounts_app", "System")
    rows: QuerySet[Any] = QuerySet(model).filter(pk=system_id)
    if not rows.exclude(stage=model.Stage.RELEASED).update(wanted=F("wanted") + 1):
        _check_changeable(rows)


def _check_changeable(systems: QuerySet[Any]) -> None:
    from accounts_app.stages import refuse  # knows models, which are not ready yet when this is imported

    for system in systems:
        refuse(system)


@dataclass(frozen=True, slots=True)
class _Assets:
    """The same for streams and consumers, whose counters are their own. rows: {(model, primary key)}."""

    system_id: int
    account_ids: frozenset[int]
    rows: frozenset[tuple[str, int]]

    def __call__(self) -> None:
        assets_committed.send(sender=_Assets, system_id=self.system_id)


def want_assets(model: type[Any], changed: Iterable[tuple[int, int, int]]) -> None:
    """Count a change of rows of Stream or Consumer, in its transaction. changed: (system, account, row)."""
    by_system: dict[int, set[tuple[int, int]]] = defaultdict(set)
    for system_id, account_id, pk in changed:
        by_system[system_id].add((account_id, pk))
    model_of_systems = apps.get_model("accounts_app", "System")
    _check_changeable(model_of_systems.objects.filter(pk__in=by_system, stage=model_of_systems.Stage.RELEASED))
    for system_id, pairs in sorted(by_system.items()):
        pks = sorted(pk for _, pk in pairs)
        for start in range(0, len(pks), 500):
            QuerySet(model).filter(pk__in=pks[start : start + 500]).update(wanted=F("wanted") + 1)
        name = model._meta.model_name
        rows = frozenset((name, pk) for pk in pks)
        transaction.on_commit(_Assets(system_id, frozenset(account for account, _ in pairs), rows), robust=True)


def assets_counted(system_id: int) -> frozenset[tuple[str, int]]:
    """{("stream" or "consumer", primary key)} that the transaction under way has changed."""
    return frozenset().union(*(call.rows for call in _callbacks(_Assets) if call.system_id == system_id))


def asset_accounts(system_id: int) -> frozenset[int]:
    """Primary keys of the accounts whose streams or consumers the transaction under way has changed."""
    return frozenset().union(*(call.account_ids for call in _callbacks(_Assets) if call.system_id == system_id))


def counted(system_id: int) -> frozenset[int]:
    """Primary keys of the accounts of a system that the transaction under way has changed."""
    return frozenset().union(*(call.account_ids for call in _standing(system_id)))


def shared_counted(system_id: int) -> bool:
    """Whether the transaction under way has changed what belongs to the whole system."""
    return any(call.shared for call in _standing(system_id))


def _standing(system_id: int) -> list[_Counted]:
    return [call for call in _callbacks(_Counted) if call.system_id == system_id]


def _callbacks(kind: type[T]) -> list[T]:
    return [call for _, call, *_ in connection.run_on_commit if isinstance(call, kind)]
