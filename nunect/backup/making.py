"""Making a backup: all rows of one moment, nunect's own keys, and the conf files that belong to the rows."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from accounts_app.migrated import mismatch
from accounts_app.models import System, record
from accounts_app.snapshot import one_moment
from nunect.backup import confs, keys, rows
from nunect.backup.archive import Parts, written
from nunect.backup.errors import BackupError
from nunect.version import VERSION
from provisioning.errors import Locked
from provisioning.files import GENERATED, nobody_writes, text_hash
from provisioning.models import Revision


@dataclass(frozen=True, slots=True)
class Made:
    """counts: {model: rows}; notes: sentences for the person, of systems whose files and rows disagree."""

    counts: dict[str, int]
    notes: list[str]


def make(path: Path, passphrase: str = "", *, events: bool = True) -> Made:
    """Write a backup while everything runs. events: with the archive of what the servers did. Raises BackupError."""
    _check_migrated()
    manifest: dict[str, Any] = {"id": uuid.uuid4().hex, "version": VERSION, "database": connection.vendor}
    counts: dict[str, int] = {}
    with written(path, passphrase) as parts, _moment_with_files(parts) as (taken_at, files):
        manifest |= {"made_at": taken_at, "migrations": _migrations(), "systems": files}
        for model in rows.kept_models():
            if not events and model._meta.app_label == "monitoring":
                continue
            for name, data, count in rows.pages(model):
                parts.add(name, data)
                counts[model._meta.label] = counts.get(model._meta.label, 0) + count
        parts.end(manifest | {"counts": counts})
    told = {"id": manifest["id"], "file": path.name, "sealed": bool(passphrase), "rows": sum(counts.values())}
    record("backup made", **told)
    return Made(counts, [told["note"] for told in files.values() if told["note"]])


@contextmanager
def _moment_with_files(parts: Parts) -> Iterator[tuple[str, dict[str, dict[str, Any]]]]:
    """The moment of the rows. It begins while no run writes, so that conf files and rows are of one revision."""
    folders = {system.folder for system in System.objects.all()}
    with ExitStack() as moment:
        with ExitStack() as quiet:
            try:
                for folder in sorted(folders):
                    quiet.enter_context(nobody_writes(folder, settings.PROVISIONING_LOCK_TIMEOUT))
            except Locked as error:
                raise BackupError(f"{error.detail} Try again when the run has ended.") from error
            moment.enter_context(one_moment())
            systems = list(System.objects.order_by("pk"))  # the first read: from here on no row moves
            taken_at = timezone.now().isoformat()
            parts.add(keys.PART, keys.Keys.of_settings().as_json())
            told = {str(system.pk): _with_files(parts, system) for system in systems}
        yield taken_at, told


def _with_files(parts: Parts, system: System) -> dict[str, Any]:
    found = confs.read(system)
    for name, data in found.items():
        parts.add(confs.part_of(system.pk, name), data)
    revision = Revision.objects.filter(system=system).first()
    note = ""
    if revision is not None and system.stage == System.Stage.MANAGED:
        if GENERATED not in found:
            note = f"{system.folder / GENERATED} could not be read: the backup holds the rows of {system} alone."
        elif text_hash(found[GENERATED]) != revision.text_sha256:
            note = f"{GENERATED} of {system} isn't what revision {revision.number} wrote: it is kept as it stands."
    return {
        "name": system.name,
        "folder": str(system.folder),
        "revision": revision.number if revision else None,
        "note": note,
    }


def _check_migrated() -> None:
    if wrong := mismatch():
        raise BackupError(wrong)


def _migrations() -> list[list[str]]:
    """The last migration of each app whose rows are kept."""
    loader = MigrationExecutor(connection).loader
    return [[app, name] for app, name in sorted(loader.graph.leaf_nodes()) if app in rows.KEPT]
