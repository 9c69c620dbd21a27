"""Rows made equal to what is wanted: few statements, nothing where nothing differs, and a count of it all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from django.db import models

from accounts_app.wrong import ReconcileError, Wrong

BATCH = 500


@dataclass(slots=True)
class Changes:
    """How many rows were created, updated and deleted, by the model's name; false when none."""

    created: Counter[str] = field(default_factory=Counter)
    updated: Counter[str] = field(default_factory=Counter)
    deleted: Counter[str] = field(default_factory=Counter)

    def __bool__(self) -> bool:
        return bool(self.created or self.updated or self.deleted)

    def __add__(self, other: Changes) -> Changes:
        return Changes(self.created + other.created, self.updated + other.updated, self.deleted + other.deleted)

    def as_dict(self) -> dict[str, dict[str, int]]:
        return {"created": dict(self.created), "updated": dict(self.updated), "deleted": dict(self.deleted)}


class RowWriter:
    """Writes rows of any model, and counts what it did in `changes`.

    again: {model: {pk: columns}} to write though the row looks as if they were right already.
    """

    def __init__(self) -> None:
        self.changes = Changes()
        self.again: dict[type[models.Model], dict[int, set[str]]] = {}

    def sync(
        self,
        model: type[Any],
        present: Mapping[Any, Any],
        wanted: Mapping[Any, Mapping[str, Any]],
        make: Callable[[Any], Any],
        *,
        quiet: bool = False,
    ) -> tuple[dict[Any, Any], list[Any]]:
        """Create what is missing and update what differs; ({key: row} of what is wanted, rows that are not)."""
        fresh, altered, columns = {}, [], set()
        for key, fields in wanted.items():
            row = present.get(key)
            if row is None:
                row = fresh[key] = make(key)
                for name, value in fields.items():
                    setattr(row, name, value)
                continue
            differing = {name for name, value in fields.items() if _value(row, name) != _plain(value)}
            for name in differing:
                setattr(row, name, fields[name])
            differing |= self.again.get(model, {}).get(row.pk, set())
            if differing:
                altered.append(row)
                columns.update(differing)
        _fit([*fresh.values(), *altered])
        if fresh:
            model.objects.bulk_create(fresh.values(), batch_size=BATCH)
            self.changes.created[str(model._meta.verbose_name)] += len(fresh)
        if altered:
            model.objects.bulk_update(altered, sorted(columns), batch_size=BATCH)
            if not quiet:
                self.changes.updated[str(model._meta.verbose_name)] += len(altered)
        rows = {key: present[key] for key in wanted if key in present} | fresh
        return rows, [row for key, row in present.items() if key not in wanted]

    def delete(self, rows: Iterable[models.Model]) -> None:
        doomed = list(rows)
        if not doomed:
            return
        model = type(doomed[0])
        for part in parts([row.pk for row in doomed]):
            model._default_manager.filter(pk__in=part).delete()
        self.changes.deleted[str(model._meta.verbose_name)] += len(doomed)


def _fit(rows: Iterable[models.Model]) -> None:
    """What a database would cut or refuse is said before it is asked."""
    places = []
    for row in rows:
        for column in row._meta.concrete_fields:
            most = getattr(column, "max_length", None)
            value = getattr(row, column.attname)
            if most and isinstance(value, str) and len(value) > most:
                where = f"{str(row._meta.verbose_name).capitalize()} “{str(row)[:80]}”"
                told = f"Its {column.verbose_name} is longer than {most} characters."
                places.append(Wrong(where, column.name, told))
    if places:
        raise ReconcileError(places)


def _value(row: models.Model, name: str) -> Any:
    column = row._meta.get_field(name)
    return getattr(row, column.attname) if column.is_relation else getattr(row, name)  # type: ignore[union-attr]


def _plain(value: Any) -> Any:
    return value.pk if isinstance(value, models.Model) else value


def parts(items: list[Any]) -> Iterable[list[Any]]:
    """`items` in pieces that one statement takes."""
    return (items[start : start + BATCH] for start in range(0, len(items), BATCH))
