"""Rows as JSON lines, in a form that any of the databases takes: read a page at a time, written likewise."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.apps import apps
from django.core.management.color import no_style
from django.db import connection, models
from django.db.models import QuerySet
from django.db.models.functions import Cast

from accounts_app.fields import EncryptedTextField

KEPT = ("contenttypes", "auth", "accounts_app", "provisioning", "monitoring")  # sessions, locks and caches are not
PAGE = 2000  # rows of one part
FOLDER = "rows/"
_PLAIN = (models.AutoField, models.IntegerField, models.BooleanField, models.CharField, models.TextField)


def kept_models() -> list[type[models.Model]]:
    """Every model whose rows belong into a backup, with those of many-to-many relations."""
    return [
        model
        for model in apps.get_models(include_auto_created=True)
        if model._meta.app_label in KEPT and not model._meta.proxy and model._meta.managed
    ]


def pages(model: type[models.Model]) -> Iterator[tuple[str, bytes, int]]:
    """(name of the part, its lines, number of rows). The first line names the columns; sealed columns stay sealed."""
    fields = model._meta.concrete_fields
    rows: QuerySet[Any, Any] = QuerySet(model).order_by("pk")
    names = []
    for field in fields:
        if isinstance(field, EncryptedTextField):
            rows = rows.annotate(**{f"sealed_{field.attname}": Cast(field.attname, models.TextField())})
            names.append(f"sealed_{field.attname}")
        else:
            names.append(field.attname)
    place = [field.primary_key for field in fields].index(True)
    head = json.dumps([field.attname for field in fields])
    number, last = 0, None
    while True:
        page = list((rows if last is None else rows.filter(pk__gt=last)).values_list(*names)[:PAGE])
        if page:
            number, last = number + 1, page[-1][place]
            lines = [head, *(json.dumps(row, default=_as_json, separators=(",", ":")) for row in page)]
            yield f"{FOLDER}{model._meta.label_lower}/{number:06}.jsonl", "\n".join(lines).encode(), len(page)
        if len(page) < PAGE:
            return


def load(model: type[models.Model], data: bytes) -> int:
    """Write one page into the table of a model, as it had its columns then; how many rows. No signal is sent.

    Raises ValueError or LookupError when the lines are not such rows.
    """
    head, *lines = data.decode().split("\n")
    known = {field.attname: field for field in model._meta.concrete_fields}
    fields = [known[name] for name in json.loads(head)]
    changes = [(place, change) for place, field in enumerate(fields) if (change := _from_json(field)) is not None]
    rows = []
    for line in lines:
        row = json.loads(line)
        if len(row) != len(fields):
            raise ValueError("a row has another number of columns")
        for place, change in changes:
            if row[place] is not None:
                row[place] = change(row[place])
        rows.append(row)
    quote = connection.ops.quote_name
    columns = ", ".join(quote(str(field.column)) for field in fields)
    marks = ", ".join(["%s"] * len(fields))
    with connection.cursor() as cursor:
        cursor.executemany(f"INSERT INTO {quote(model._meta.db_table)} ({columns}) VALUES ({marks})", rows)  # noqa: S608
    return len(rows)


def empty(found: list[type[models.Model]]) -> None:
    """Remove what migrating has put into these tables."""
    with connection.cursor() as cursor:
        for model in found:
            cursor.execute(f"DELETE FROM {connection.ops.quote_name(model._meta.db_table)}")  # noqa: S608


def go_on_counting(found: list[type[models.Model]]) -> None:
    """Let new rows get primary keys after those that were loaded."""
    with connection.cursor() as cursor:
        for statement in connection.ops.sequence_reset_sql(no_style(), found):
            cursor.execute(statement)


def _as_json(value: Any) -> Any:
    if isinstance(value, datetime | date):
        return value.isoformat()
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(value).decode()
    if isinstance(value, Decimal | UUID):
        return str(value)
    raise TypeError(f"a backup can't hold a {type(value).__name__}")


def _from_json(field: models.Field[Any, Any]) -> Callable[[Any], Any] | None:
    """How a value of the field goes into the database, None for one that goes as it is."""
    if isinstance(field, models.ForeignKey):
        return _from_json(field.target_field)
    if isinstance(field, models.BinaryField):
        return base64.b64decode
    if isinstance(field, _PLAIN):
        return None
    return lambda value: field.get_db_prep_save(field.to_python(value), connection)
