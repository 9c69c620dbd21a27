"""Querysets of configuration rows: bulk changes count, and are remembered, like single ones."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from django.db import connections, models, transaction
from django.utils import timezone
from simple_history.utils import get_history_manager_for_model

from accounts_app.door import current_door
from accounts_app.wanted import want

M = TypeVar("M", bound=models.Model)


# Columns that say whose a row is. A row that moves changes the conf of where it was, too.
OWNERS = frozenset({"account", "export", "mapping", "role", "user"})


def want_for(rows: Iterable[Any]) -> None:
    """Count a change of each row, as its model counts."""
    by_model: dict[Any, list[Any]] = defaultdict(list)
    for row in rows:
        by_model[type(row)].append(row)
    for model, those in by_model.items():
        model.count(those)


def want_accounts(rows: Iterable[Any]) -> None:
    """Count a change of each row's accounts."""
    by_system: dict[int, set[int]] = defaultdict(set)
    shared: set[int] = set()
    for row in rows:
        system_id, account_ids = row.affects()
        by_system[system_id].update(account_ids)
        if row.is_shared:
            shared.add(system_id)
    for system_id, account_ids in sorted(by_system.items()):
        want(system_id, account_ids, shared=system_id in shared)


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
        if not (getattr(person, "is_active", False) and person.is_staff):
            return self.none()
        token = getattr(person, "nunect_token", None)
        if token is None or token.accounts is None:
            return self
        return self.filter(self.model.of_accounts(token.accounts))  # type: ignore[attr-defined]

    def update(self, **values: Any) -> int:
        with transaction.atomic():
            pks = list(self.values_list("pk", flat=True))
            if OWNERS & {name.removesuffix("_id") for name in values}:
                related = self.model.AFFECTS  # type: ignore[attr-defined]
                want_for(self.order_by().select_related(*related) if related else self)
            count = super().update(**values)
            self._remember(pks)
        return count

    update.alters_data = True  # type: ignore[attr-defined]

    def delete(self) -> tuple[int, dict[str, int]]:
        """Delete the rows; those that nothing hangs on go at once, without a signal for each."""
        related = self.model.AFFECTS  # type: ignore[attr-defined]
        with transaction.atomic():
            rows = list(self.select_related(*related) if related else self)
            want_for(rows)
            if self.model._meta.related_objects:
                return super().delete()
            self._bury(rows)
            for start in range(0, len(rows), 500):
                part = [row.pk for row in rows[start : start + 500]]
                self.model._base_manager.filter(pk__in=part)._raw_delete(self.db)  # type: ignore[attr-defined]
        self._result_cache = None
        return len(rows), {self.model._meta.label: len(rows)} if rows else {}

    delete.alters_data = True  # type: ignore[attr-defined]
    delete.queryset_only = True  # type: ignore[attr-defined]

    def bulk_update(self, objs: Iterable[M], fields: Iterable[str], batch_size: int | None = None) -> int:
        """Like Django's, as one statement that runs for each row: its CASE for each column takes minutes
        for 10,000 rows."""
        rows, names = list(objs), list(fields)
        columns: list[Any] = [self.model._meta.get_field(name) for name in names]
        values = [[getattr(row, column.attname) for column in columns] for row in rows]
        plain = not any(hasattr(value, "resolve_expression") for each in values for value in each)
        if not rows or not names or not plain or any(row.pk is None for row in rows):
            return super().bulk_update(rows, names, batch_size)
        connection = connections[self.db]
        quote, key = connection.ops.quote_name, str(self.model._meta.pk.column)
        settings = ", ".join(f"{quote(column.column)} = %s" for column in columns)
        sql = f"UPDATE {quote(self.model._meta.db_table)} SET {settings} WHERE {quote(key)} = %s"  # noqa: S608
        ready = [
            [column.get_db_prep_save(value, connection) for column, value in zip(columns, each, strict=True)]
            for each in values
        ]
        pks = [row.pk for row in rows]
        with transaction.atomic(using=self.db):
            if OWNERS & {name.removesuffix("_id") for name in names}:
                for start in range(0, len(pks), 500):
                    want_for(self.model._base_manager.filter(pk__in=pks[start : start + 500]))
            with connection.cursor() as cursor:
                cursor.executemany(sql, [[*each, pk] for each, pk in zip(ready, pks, strict=True)])
            self._remember(pks)
        return len(rows)

    bulk_update.alters_data = True  # type: ignore[attr-defined]

    def _bury(self, rows: Sequence[Any]) -> None:
        """Write history of rows that are about to go."""
        door, buried = current_door(), get_history_manager_for_model(self.model).model
        now = timezone.now()
        buried.objects.bulk_create(
            [
                buried(
                    history_date=now,
                    history_type="-",
                    history_user=door.person,
                    history_change_reason=door.reason,
                    door=door.name,
                    request_id=door.request_id,
                    **{column.attname: getattr(row, column.attname) for column in buried.tracked_fields},
                )
                for row in rows
            ],
            batch_size=1000,
        )

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
