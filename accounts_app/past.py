"""What happened to a row and to what belongs to it: who, through which door, before and after."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from django.db import models
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _

from accounts_app.conf_text import MASK
from accounts_app.door import DOORS, who_by
from accounts_app.jetstream.differences import in_words
from accounts_app.jetstream.settings import settings_of
from accounts_app.models import (
    Account,
    Export,
    ExportAccess,
    Mapping,
    MappingDestination,
    NatsUser,
    Role,
    SubjectPermission,
)

SHOWN = 200  # entries on a page; each kind is read so far back
ADDED = _("added")
_ACTS = {"+": ADDED, "~": _("changed"), "-": _("removed")}
_PARTS: dict[type[models.Model], tuple[type[models.Model], str]] = {
    NatsUser: (SubjectPermission, "user"),
    Role: (SubjectPermission, "role"),
    Export: (ExportAccess, "export"),
    Mapping: (MappingDestination, "mapping"),
}
_SILENT = {"id", "history_id", "history_date", "history_change_reason", "history_type", "history_user"}
_SILENT |= {"door", "request_id", "system", "created_at"}
_KEYS = {"nkey", "retiring_nkey"}


@dataclass(frozen=True, slots=True)
class Step:
    """A field before and after."""

    name: str
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that happened. of: the part of the row that it happened to, "" for the row itself."""

    at: Any
    who: str
    door: str
    act: str
    of: str
    reason: str
    steps: tuple[Step, ...]


def entries(row: models.Model, *, keys: bool) -> list[Entry]:
    """The last SHOWN things that happened to a row and its parts, newest first. keys: show public nkeys."""
    own = _records(type(row), {"id": row.pk})
    found = [(record, before, "") for record, before in zip(own, [*own[1:], None], strict=True)]
    part = _PARTS.get(type(row))
    if part is not None:
        model, link = part
        found += _of_parts(model, _records(model, {link: row.pk}))
    found.sort(key=lambda each: (each[0].history_date, each[0].history_id), reverse=True)
    names = _names(record for record, before, _of in found[:SHOWN] for record in (record, before) if record)
    return [_entry(record, before, of, names, keys=keys) for record, before, of in found[:SHOWN]]


def last_of(model: Any, pk: str) -> models.Model | None:
    """A row that is gone, as it last was."""
    record = model.history.filter(id=pk).order_by("-history_id").first()
    gone: models.Model | None = record.instance if record is not None else None
    return gone


def _records(model: Any, which: dict[str, Any]) -> list[Any]:
    """Newest first, one more than is shown, so that the last one has its predecessor."""
    rows = model.history.filter(**which).select_related("history_user").order_by("-history_id")
    return list(rows[: SHOWN + 1])


def _of_parts(model: type[models.Model], records: Sequence[Any]) -> list[tuple[Any, Any, str]]:
    newer: dict[int, Any] = {}
    before: dict[int, Any] = {}
    for record in records:  # newest first
        if record.id in newer:
            before[newer[record.id].history_id] = record
        newer[record.id] = record
    kind = str(model._meta.verbose_name)
    return [(record, before.get(record.history_id), kind) for record in records]


def _names(records: Iterable[Any]) -> dict[tuple[type[models.Model], Any], str]:
    """What related rows are called; one query a kind."""
    wanted: dict[type[models.Model], set[Any]] = {}
    for record in records:
        for field in record._meta.concrete_fields:
            value = getattr(record, field.attname)
            if field.is_relation and field.name not in _SILENT and value is not None:
                wanted.setdefault(field.related_model, set()).add(value)
    names = {}
    for model, pks in wanted.items():
        for related in model._base_manager.filter(pk__in=pks):
            names[(model, related.pk)] = str(related)
    return names


def _entry(record: Any, before: Any, of: str, names: dict[Any, str], *, keys: bool) -> Entry:
    if of:  # a part says what it is; its owner stands above
        of = f"{of} {_told(record, names)}"
    steps = tuple(_steps(record, before, names, keys=keys)) if record.history_type == "~" and before else ()
    if record.history_type == "+" and not of:
        steps = tuple(step for step in _steps(record, None, names, keys=keys) if step.after != say("nothing"))
    return Entry(
        at=record.history_date,
        who=who_by(str(record.history_user or ""), record.door),
        door=str(DOORS.get(record.door, record.door)) if record.history_user else "",
        act=str(_ACTS.get(record.history_type, record.history_type)),
        of=of,
        reason=record.history_change_reason or "",
        steps=steps,
    )


def _told(record: Any, names: dict[Any, str]) -> str:
    if hasattr(record, "weight"):
        return f"{record.subject} {record.weight} %"
    if hasattr(record, "effect"):
        return " ".join(filter(None, (record.effect, record.action, record.subject, record.queue)))
    return names.get((Account, record.account_id), "")


def _steps(record: Any, before: Any, names: dict[Any, str], *, keys: bool) -> Iterable[Step]:
    for field in record._meta.concrete_fields:
        if field.name in _SILENT:
            continue
        new = getattr(record, field.attname)
        old = getattr(before, field.attname) if before is not None else None
        if before is not None and new == old:
            continue
        if field.name == "config":
            yield from _settings(record, old or {}, new or {})
        elif field.name in _KEYS and not keys:
            yield Step(str(field.verbose_name), MASK if old else say("nothing"), MASK if new else say("nothing"))
        else:
            yield Step(str(field.verbose_name), _shown(field, old, names), _shown(field, new, names))


def _settings(record: Any, old: dict[str, Any], new: dict[str, Any]) -> Iterable[Step]:
    """What was said of a stream or consumer, setting by setting."""
    kind = getattr(record, "kind", "consumer")
    for name, setting in settings_of(kind).items():
        if old.get(name) != new.get(name):
            told = [in_words(kind, name, of[name]) if name in of else say("the default") for of in (old, new)]
            yield Step(setting.title, *told)


def _shown(field: Any, value: Any, names: dict[Any, str]) -> str:
    if value is None or value == "" or value == []:
        return say("nothing")
    if field.is_relation:
        return names.get((field.related_model, value)) or say("one that is gone")
    if isinstance(value, bool):
        return say("yes") if value else say("no")
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return str(dict(field.flatchoices).get(value, value)) if field.choices else str(value)
