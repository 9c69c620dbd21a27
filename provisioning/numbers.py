"""Numbers that only grow: fencing numbers of runs and numbers of revisions."""

from __future__ import annotations

from django.db import transaction
from django.db.models import F, QuerySet

from accounts_app.models import System


def next_fence(system_id: int) -> int:
    """A number higher than that of every run begun before."""
    return _count(system_id, "fence")


def next_number(system_id: int) -> int:
    """The number of the revision about to be written; a refused one leaves a gap."""
    return _count(system_id, "last_number")


def _count(system_id: int, column: str) -> int:
    with transaction.atomic():
        row = QuerySet[System](System).filter(pk=system_id)
        row.update(**{column: F(column) + 1})
        return int(row.values_list(column, flat=True).get())
