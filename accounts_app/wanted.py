"""The counters that make the tables an outbox: each change adds one to what is wanted.

A change through any door adds one to the `wanted` counter of its accounts and its system, in
its own transaction, and says so after the commit (`wanted_committed`). Within one transaction
an account is counted once: Django's list of commit callbacks tells whether an earlier count
still stands, since it forgets the callbacks of a savepoint that was rolled back.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.apps import apps
from django.db import connection, transaction
from django.db.models import F, QuerySet
from django.dispatch import Signal

wanted_committed = Signal()  # sent with system_id, after the commit of a change


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

    shared: what changed belongs to no single account.
    """
    standing = _standing(system_id)
    fresh = frozenset(account_ids).difference(*(call.account_ids for call in standing))
    if standing and not fresh and (not shared or any(call.shared for call in standing)):
        return
    if not standing:
        QuerySet(apps.get_model("accounts_app", "System")).filter(pk=system_id).update(wanted=F("wanted") + 1)
    account_model = apps.get_model("accounts_app", "Account")
    ordered = sorted(fresh)  # one order of locks for every writer
    for start in range(0, len(ordered), 500):
        QuerySet(account_model).filter(pk__in=ordered[start : start + 500]).update(wanted=F("wanted") + 1)
    transaction.on_commit(_Counted(system_id, fresh, shared), robust=True)


def counted(system_id: int) -> frozenset[int]:
    """Primary keys of the accounts of a system that the transaction under way has changed."""
    return frozenset().union(*(call.account_ids for call in _standing(system_id)))


def shared_counted(system_id: int) -> bool:
    """Whether the transaction under way has changed what belongs to the whole system."""
    return any(call.shared for call in _standing(system_id))


def _standing(system_id: int) -> list[_Counted]:
    calls = [call for _, call, *_ in connection.run_on_commit if isinstance(call, _Counted)]
    return [call for call in calls if call.system_id == system_id]
