"""Querysets of configuration rows: bulk changes count, and are remembered, like single ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from django.db import models, transaction
from simple_history.utils import get_history_manager_for_model

from accounts_app.door import current_door
from accounts_app.wanted import want

M = TypeVar("M", bound=models.Model)


# Columns that say whose a row is. A row that moves changes the conf of where it was, too.
OWNERS = frozenset({"account", "export", "mapping", "role", "user"})


def want_for(rows: Iterable[Any]) -> None:
    """Count a change of each row's accounts."""
    by_system: dict[int, set[int]] = defaultdict(set)
    for row in rows:
        system_id, account_ids = row.affects()
        by_system[system_id].update(account_ids)
    for system_id, account_ids in sorted(by_system.items()):
        want(system_id, account_ids)


def _told_by() -> dict[str, Any]:
    """What the bulk writer of history needs to know of the door; it sends no signal that could tell it."""
    door = current_door()
    return {
        "default_user": door.person,
        "default_change_reason": door.reason,
        "custom_historical_attrs": {"door": door.name, "request_id": door.request_id},
    }


class ConfigQuerySet(models.QuerySet[M]):
    """`update`, `bulk_create` and `bulk_update` write history and ask for a run."""

    def visible_to(self, person: Any) -> ConfigQuerySet[M]:
        """The rows that `person` may see: every door lists through this one method."""
        return self if getattr(person, "is_active", False) and person.is_staff else self.none()

    def update(self, **values: Any) -> int:
        with transaction.atomic():
            pks = list(self.values_list("pk", flat=True))
            if OWNERS & {name.removesuffix("_id") for name in values}:
                related = self.model.AFFECTS  # type: ignore[attr-defined]
                want_for(self.order_by().select_related(*related) if related else self)
            count = super().update(**values)
            self._remember(pks)
        return count

    def delete(self) -> tuple[int, dict[str, int]]:
        with transaction.atomic():
            related = self.model.AFFECTS  # type: ignore[attr-defined]
            want_for(self.select_related(*related) if related else self)
            return super().delete()

    def bulk_create(self, objs: Iterable[M], *args: Any, **options: Any) -> list[M]:
        with transaction.atomic():
            rows = super().bulk_create(objs, *args, **options)
            history = get_history_manager_for_model(self.model)
            history.bulk_history_create(rows, batch_size=1000, **_told_by())
            want_for(rows)
        return rows

    bulk_create.alters_data = True  # type: ignore[attr-defined]

    def _remember(self, pks: Sequence[Any]) -> None:
        history = get_history_manager_for_model(self.model)
        related = self.model.AFFECTS  # type: ignore[attr-defined]
        for start in range(0, len(pks), 500):
            plain = self.model._base_manager.filter(pk__in=pks[start : start + 500])
            rows = list(plain.select_related(*related) if related else plain)
            history.bulk_history_create(rows, batch_size=1000, update=True, **_told_by())
            want_for(rows)
