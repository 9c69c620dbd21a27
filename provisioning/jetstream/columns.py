"""Writing columns of many rows at once: no signal, no history, no count, since nobody asked for a change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from django.db import connection
from django.db.models import Field, Model

Row = tuple[Mapping[str, Any], Mapping[str, Any]]  # ({column: what it has to be now}, {column: what it becomes})


def write_columns(model: type[Model], rows: Iterable[Row]) -> None:
    """One statement for each set of columns, executed for each row. Call it in a transaction."""
    alike: dict[tuple[tuple[str, ...], tuple[str, ...]], list[Row]] = defaultdict(list)
    for where, values in rows:
        alike[tuple(sorted(where)), tuple(sorted(values))].append((where, values))
    for (keys, names), many in alike.items():
        told, sought = [_field(model, name) for name in names], [_field(model, name) for name in keys]
        sets, conditions = ", ".join(map(_equals, told)), " AND ".join(map(_equals, sought))
        sql = f"UPDATE {_quoted(model._meta.db_table)} SET {sets} WHERE {conditions}"  # noqa: S608
        ready = [
            [
                *(each.get_db_prep_save(values[name], connection) for each, name in zip(told, names, strict=True)),
                *(each.get_db_prep_save(where[name], connection) for each, name in zip(sought, keys, strict=True)),
            ]
            for where, values in many
        ]
        with connection.cursor() as cursor:
            cursor.executemany(sql, ready)


def _field(model: type[Model], name: str) -> Field[Any, Any]:
    field = model._meta.pk if name == "pk" else model._meta.get_field(name)
    assert isinstance(field, Field)  # noqa: S101  # no relation
    return field


def _equals(field: Field[Any, Any]) -> str:
    return f"{_quoted(str(field.column))} = %s"


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)
