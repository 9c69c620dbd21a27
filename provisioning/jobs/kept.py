"""The rows of accounts, kept as JSON: what was there before a job, to be put back exactly, and what it left."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from django.core.serializers.python import Deserializer, Serializer
from django.db import models

from accounts_app.models import (
    Account,
    Consumer,
    Export,
    ExportAccess,
    Import,
    MappingDestination,
    NatsUser,
    Role,
    Stream,
    SubjectPermission,
    System,
)
from accounts_app.models import Mapping as MappingRow
from accounts_app.models.jetstream import COUNTED, SEEN
from accounts_app.natsconf.changes import a_or_an

# Parents before their parts. The last two have counters of their own, and are put back by another step.
CONFIG: tuple[type[Any], ...] = (
    Account, Role, NatsUser, SubjectPermission, Export, ExportAccess, Import, MappingRow, MappingDestination,
)  # fmt: skip
ASSETS: tuple[type[Any], ...] = (Stream, Consumer)
_COUNTERS = {"wanted", "done", "problem_kind", "problem", "problem_wanted", "refused"}
_SILENT = {"created_at", "drift_ignored", "ignored_until"}
_CREDENTIAL = {"credential", "password_hash", "nkey", "certificate", "fingerprint"}
_RETIRING = {"retiring_password_hash", "retiring_nkey", "retiring_until"}
PART = 500

Rows = Mapping[str, list[dict[str, Any]]]  # {label of a model: rows as Django's serializers write them}


def read(system: System, names: Collection[str], of: Iterable[type[Any]] = (*CONFIG, *ASSETS)) -> dict[str, Any]:
    """The rows of these accounts, with everything that people and documents can change of them."""
    pks = list(Account.objects.filter(system=system, name__in=names).values_list("pk", flat=True))
    return {model._meta.label: Serializer().serialize(_of(model, pks), fields=_columns(model)) for model in of}


def known(undo: str) -> dict[str, set[Any]]:
    """{label of a model: primary keys} of the rows that were there before a job; undo: of its step `rows`."""
    before = json.loads(undo or "{}").get("before") or {}
    return {model._meta.label: {row["pk"] for row in before.get(model._meta.label, [])} for model in (*CONFIG, *ASSETS)}


def dumps(rows: Any) -> str:
    """JSON in which moments keep their microseconds."""
    return json.dumps(rows, default=lambda value: value.isoformat())


def fingerprint(system: System, names: Collection[str], made: Collection[str]) -> dict[str, Any]:
    """What a job leaves: hashes of the rows of the accounts that it has made, and of the others.

    Of those that it has made, credentials are not looked at: they may be new ones since.
    """
    return {
        "made": sorted(made),
        "own": _hashes(system, made, own=True),
        "others": _hashes(system, [name for name in names if name not in made], own=False),
    }


def difference(system: System, names: Collection[str], left: Mapping[str, Any], *, own: bool = True) -> str:
    """What differs from a fingerprint, in one sentence; "" when nothing does. own: look at accounts that the job
    has made, too."""
    now = fingerprint(system, names, left["made"])
    for part in ("own", "others") if own else ("others",):
        for model in (each for each in (*CONFIG, *ASSETS) if each._meta.label in left[part]):
            before, after = left[part][model._meta.label], now[part][model._meta.label]
            if differing := sorted(pk for pk in before.keys() | after.keys() if before.get(pk) != after.get(pk)):
                return _told(model, differing[0], before, after)
    return ""


def agreed(
    system: System, names: Collection[str], left: Mapping[str, Any], objects: Iterable[Mapping[str, Any]]
) -> dict[str, Any]:
    """A fingerprint that takes some streams and consumers as they are now. objects: as a failed step names them."""
    now = fingerprint(system, names, left["made"])
    for each in objects:
        model = ASSETS[1] if each["resource"] == "consumers" else ASSETS[0]
        label, pk = model._meta.label, str(each["id"])
        for part in ("own", "others"):
            if label in left[part] and pk in now[part].get(label, {}):
                left[part][label][pk] = now[part][label][pk]
    return dict(left)


def without_assets(left: Mapping[str, Any]) -> dict[str, Any]:
    """A fingerprint that says nothing of streams and consumers."""
    labels = {model._meta.label for model in CONFIG}

    def less(hashes: Mapping[str, Any]) -> dict[str, Any]:
        return {label: rows for label, rows in hashes.items() if label in labels}

    return {"made": left["made"], "own": less(left["own"]), "others": less(left["others"])}


def _told(model: type[Any], pk: str, before: Mapping[str, str], after: Mapping[str, str]) -> str:
    act = "added" if pk not in before else "deleted" if pk not in after else "changed"
    row = model._base_manager.filter(pk=pk).first() if pk in after else None
    word = str(model._meta.verbose_name)
    called = f"{word} “{row}”" if row is not None else a_or_an(word)
    return f"{called[0].upper()}{called[1:]} was {act} since: this can't be taken back without losing that."


def _hashes(system: System, names: Collection[str], *, own: bool) -> dict[str, dict[str, str]]:
    """{label: {primary key: hash}}"""
    return {
        label: {str(row["pk"]): _hash(row, own=own) for row in rows if _is_peoples(row["fields"])}
        for label, rows in read(system, names).items()
    }


def put_back(system: System, names: Collection[str], rows: Rows) -> None:
    """Make the rows of CONFIG of these accounts what they were, primary keys included, in the transaction under
    way. Accounts that are not among the rows stay untouched."""
    pks = [row["pk"] for row in rows[Account._meta.label]]
    now = read(system, names, CONFIG)
    changed = {model: _Change(model, rows[model._meta.label], now[model._meta.label]) for model in CONFIG}
    Account.objects.filter(pk__in=pks, default_role__isnull=False).update(default_role=None)
    for model in reversed(CONFIG[3:]):
        changed[model].delete()
    changed[NatsUser].delete()
    for model in (Role, NatsUser):  # who has a role that goes is gone, or has another, before it goes
        changed[model].update()
        changed[model].create()
    changed[Role].delete()
    for model in CONFIG[3:]:
        changed[model].create()
        changed[model].update()
    changed[Account].update(all_of_them=True)


class _Change:
    """What has to happen to the rows of one model."""

    def __init__(self, model: type[Any], before: Iterable[dict[str, Any]], now: Iterable[dict[str, Any]]) -> None:
        self.model = model
        self.before = {row["pk"]: row for row in json.loads(dumps(list(before)))}
        self.now = {row["pk"]: row for row in json.loads(dumps(list(now)))}

    def delete(self) -> None:
        for part in _parts(sorted(self.now.keys() - self.before.keys())):
            self.model.objects.filter(pk__in=part).delete()

    def create(self) -> None:
        fresh = [self.before[pk] for pk in sorted(self.before.keys() - self.now.keys())]
        if fresh:
            self.model.objects.bulk_create(_instances(fresh), batch_size=PART)

    def update(self, *, all_of_them: bool = False) -> None:
        both = sorted(self.before.keys() & self.now.keys())
        altered = [self.before[pk] for pk in both if all_of_them or self.before[pk] != self.now[pk]]
        if altered:
            columns = [name for name in _columns(self.model) if name not in _SILENT]
            self.model.objects.bulk_update(_instances(altered), columns, batch_size=PART)


def remove_accounts(system: System, names: Collection[str]) -> None:
    """Delete the rows of accounts with all that belongs to them, in the transaction under way."""
    pks = list(Account.objects.filter(system=system, name__in=names).values_list("pk", flat=True))
    for part in _parts(pks):
        Import.objects.filter(account__in=part).delete()
        Account.objects.filter(pk__in=part, default_role__isnull=False).update(default_role=None)
        users = NatsUser.objects.filter(account__in=part)
        SubjectPermission.objects.filter(user__in=users).delete()
        users.delete()
        for row in Account.objects.filter(pk__in=part):
            row.delete()


def _of(model: type[Any], accounts: list[int]) -> Iterator[models.Model]:
    seen: set[Any] = set()
    for part in _parts(accounts):
        for way in model.ACCOUNT:
            for row in model._base_manager.filter(**{f"{way}__in": part}).order_by("pk"):
                if row.pk not in seen:
                    seen.add(row.pk)
                    yield row


def _columns(model: type[Any]) -> list[str]:
    left_out = _COUNTERS if model is Account else {*COUNTED, *SEEN} if model in ASSETS else set()
    return [each.name for each in model._meta.concrete_fields if not each.primary_key and each.name not in left_out]


def _instances(rows: list[dict[str, Any]]) -> list[Any]:
    return [each.object for each in Deserializer(rows)]


def _is_peoples(fields: Mapping[str, Any]) -> bool:
    """Not a stream that was only seen, or that is on its way out: these come and go by themselves."""
    return bool(fields.get("managed", True)) and not fields.get("leaving", False)


def _hash(row: Mapping[str, Any], *, own: bool) -> str:
    skip = {*_SILENT, *_RETIRING, *(_CREDENTIAL if own else ())}
    told = {name: value for name, value in row["fields"].items() if name not in skip}
    return hashlib.sha256(dumps(sorted(told.items())).encode()).hexdigest()[:20]


def _parts(items: list[Any]) -> Iterator[list[Any]]:
    return (items[start : start + PART] for start in range(0, len(items), PART))
