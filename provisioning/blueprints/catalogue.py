"""The blueprints that there are: those that nunect brings, and those that people have saved."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from importlib import resources
from typing import Any

from django.core.exceptions import ValidationError
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts_app.models import record
from provisioning.blueprints.reading import read_blueprint
from provisioning.blueprints.specs import BlueprintSpec
from provisioning.models import Blueprint, Job

SHIPPED = "shipped"


@dataclass(frozen=True, slots=True)
class Entry:
    """One version of a blueprint in the catalogue. pk: of its row, None for one that nunect brings."""

    name: str
    version: int
    title: str
    description: str
    text: str = field(repr=False)
    shipped: bool = False
    enabled: bool = True
    pk: int | None = None
    created_by: str = ""
    created_at: datetime | None = None

    @property
    def spec(self) -> BlueprintSpec:
        """What it says. Raises BlueprintError for a text that an older nunect took and this one doesn't."""
        return _read(self.text)


def all_blueprints(*, every_version: bool = False) -> list[Entry]:
    """What there is, by name: of each the version that would be taken, or else the newest; or all, newest first."""
    rows = [_entry(row) for row in Blueprint.objects.select_related("created_by").order_by("name", "-version")]
    entries = sorted([*shipped(), *rows], key=lambda each: (each.name, -each.version))
    if every_version:
        return entries
    chosen: dict[str, Entry] = {}
    for entry in entries:
        standing = chosen.setdefault(entry.name, entry)
        if entry.enabled and not standing.enabled:
            chosen[entry.name] = entry
    return list(chosen.values())


def find(name: str, version: int | None = None) -> Entry:
    """The newest enabled version of a blueprint, or just this one. Raises ValidationError when there is none."""
    found = [each for each in shipped() if each.name == name]
    if not found and "\x00" not in name:  # which no row holds, and PostgreSQL doesn't even compare with
        rows = Blueprint.objects.select_related("created_by").filter(name=name).order_by("-version")
        found = [_entry(row) for row in rows]
    if not found:
        raise ValidationError({"blueprint": _("There is no blueprint “%s”.") % name[:64]})
    if version is not None:
        found = [each for each in found if each.version == version]
        if not found:
            raise ValidationError(
                {"version": _("There is no version %(version)s of %(name)s.") % {"version": version, "name": name}}
            )
    enabled = [each for each in found if each.enabled]
    if not enabled:
        raise ValidationError({"blueprint": _("The blueprint “%s” is switched off.") % name})
    return enabled[0]


@lru_cache(maxsize=1)
def shipped() -> tuple[Entry, ...]:
    """Those that nunect brings, by name."""
    folder = resources.files("provisioning.blueprints") / SHIPPED
    texts = [file.read_text(encoding="utf-8") for file in folder.iterdir() if file.name.endswith(".yaml")]
    found = [(_read(text), text) for text in texts]
    entries = [Entry(spec.name, spec.version, spec.title, spec.description, text, True) for spec, text in found]
    return tuple(sorted(entries, key=lambda each: each.name))


def save_blueprint(text: str, person: Any = None) -> Entry:
    """A new version of a blueprint, or the same once more. Raises DocumentError, or ValidationError by field.

    A version that a job was made of never changes; until then it may be written anew.
    """
    spec = read_blueprint(text)
    if any(each.name == spec.name for each in shipped()):
        raise ValidationError({"blueprint": _("nunect brings a blueprint “%s”: give yours another name.") % spec.name})
    try:
        with transaction.atomic():
            return _entry(_saved(spec, text, person))
    except IntegrityError:
        raise ValidationError({"version": _("Somebody has saved this version a moment ago.")}) from None


def switch(entry: Entry, enabled: bool) -> Entry:
    """Let a version be provisioned, or not. Raises ValidationError for one that nunect brings."""
    if entry.pk is None:
        raise ValidationError({"enabled": _("nunect brings this blueprint: it can't be switched off.")})
    with transaction.atomic():
        row = Blueprint.objects.select_for_update(of=("self",)).select_related("created_by").get(pk=entry.pk)
        if row.enabled != enabled:
            row.enabled = enabled
            row.save(update_fields=["enabled"])
            record("blueprint enabled" if enabled else "blueprint disabled", row)
        return _entry(row)


def _saved(spec: BlueprintSpec, text: str, person: Any) -> Blueprint:
    row = Blueprint.objects.select_for_update().filter(name=spec.name, version=spec.version).first()
    if row is not None and row.text == text:
        return row
    used = Job.objects.filter(blueprint=spec.name, blueprint_version=spec.version).exists()
    if row is not None and used:
        raise ValidationError(
            {"version": _("Version %s was used already and can't change: give it the next number.") % spec.version}
        )
    row = row or Blueprint(name=spec.name, version=spec.version)
    row.text, row.title, row.description, row.created_by = text, spec.title, spec.description, person
    row.save()
    record("blueprint saved", row, version=spec.version)
    return row


def _entry(row: Blueprint) -> Entry:
    return Entry(
        row.name,
        row.version,
        row.title,
        row.description,
        row.text,
        enabled=row.enabled,
        pk=row.pk,
        created_by=row.created_by.get_username() if row.created_by else "",
        created_at=row.created_at,
    )


@lru_cache(maxsize=64)
def _read(text: str) -> BlueprintSpec:
    return read_blueprint(text)
