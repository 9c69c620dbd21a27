"""Restoring: the rows of a backup in a database of its own, which then takes the place of the present one at once."""

from __future__ import annotations

import logging
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.db import DatabaseError, connection, transaction
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.loader import MigrationLoader
from django.db.models import F, QuerySet
from django.db.models.functions import Greatest, Now

from accounts_app.door import through
from accounts_app.models import System, Token, record
from nunect import install
from nunect.backup import confs, keys, rows
from nunect.backup.archive import Backup
from nunect.backup.database import name_of_what_is_there, replacing
from nunect.backup.errors import BackupError
from nunect.up import alone
from provisioning import workshop
from provisioning.files import read_intent
from provisioning.models import HandOver, Job

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Restored:
    """made_at: when the backup was made, ISO 8601. tokens, links: how many were shut. people: who may sign in."""

    made_at: str
    rows: int = 0
    tokens: int = 0
    links: int = 0
    jobs: int = 0
    people: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def check_empty(replace: bool, confirm: str | None) -> None:
    """Raise BackupError when the database holds what people made, unless its system's name was typed."""
    name = name_of_what_is_there()
    if name and not replace:
        raise BackupError(
            "The database holds accounts already: --replace puts the backup in their place. Nothing was restored."
        )
    if name and confirm != name:
        raise BackupError(f"Type the name of the system that is there: {name}. Nothing was restored.")


def restore(backup: Backup, *, keep_tokens: bool = False) -> Restored:
    """Put a backup in the place of what is there. Nothing is written before all of it was read and checked.

    Afterwards every system is only observed: its servers are not written to before somebody says “manage”. Killed at
    any moment it leaves the former state or the restored one. Raises BackupError, and CannotStart while `up` runs.
    """
    manifest = backup.check()
    _check_known(manifest)
    install.make_folders(settings.STATE_DIR, settings.CONFIG_DIR)
    with alone(settings.STATE_DIR / "up.lock"):
        small = _small_parts(backup)
        putting = keys.plan(keys.Keys.of_json(small.pop(keys.PART, b"")))
        done = Restored(manifest["made_at"], notes=[putting.note] if putting.note else [])
        with replacing():
            putting.use()
            try:
                done.rows = _load(backup, manifest)
                call_command("migrate", verbosity=0, interactive=False, skip_checks=True)
                _settle(done, manifest, keep_tokens)
                for system in System.objects.order_by("pk"):
                    files = small.get(str(system.pk), {})
                    done.notes += confs.put(system, files)
            except DatabaseError as error:
                reason = str(error).strip().partition("\n")[0]
                raise BackupError(f"The database took no such rows ({reason}). Nothing was restored.") from error
            putting.before()
        putting.after()
    for pk in System.objects.values_list("pk", flat=True):
        workshop.forget(pk)
    return done


def _check_known(manifest: dict[str, Any]) -> None:
    graph = MigrationLoader(None, ignore_no_migrations=True).graph
    if any((app, name) not in graph.nodes for app, name in manifest["migrations"]):
        raise BackupError(
            f"The backup was made by nunect {manifest['version']}, which is newer than this one: restore it with that "
            "version or a later one. Nothing was restored."
        )


def _small_parts(backup: Backup) -> dict[str, Any]:
    """{"keys.json": bytes, primary key of a system: {name of a file: bytes}}: all that stands before the rows."""
    found: dict[str, Any] = defaultdict(dict)
    for name, data in backup.parts():
        if name.startswith(rows.FOLDER):
            break
        if name == keys.PART:
            found[name] = data
        elif name.startswith(confs.FOLDER):
            _, system, file = name.split("/", 2)
            found[system][file] = data
    return dict(found)


def _load(backup: Backup, manifest: dict[str, Any]) -> int:
    """Make the tables as they were when the backup was made, and fill them; how many rows."""
    targets = [(app, name) for app, name in manifest["migrations"]]
    executor = MigrationExecutor(connection)
    executor.migrate(targets)
    state = executor.loader.project_state(targets).apps
    models = {
        model._meta.label_lower: model
        for model in state.get_models(include_auto_created=True)
        if model._meta.app_label in rows.KEPT and not model._meta.proxy
    }
    count = 0
    with connection.constraint_checks_disabled(), transaction.atomic():
        rows.empty(list(models.values()))
        for name, data in backup.parts():
            if name.startswith(rows.FOLDER):
                try:
                    count += rows.load(models[name.split("/")[1]], data)
                except (LookupError, ValueError) as error:
                    raise BackupError(f"{name} of the backup can't be read. Nothing was restored.") from error
        rows.go_on_counting(list(models.values()))
    connection.check_constraints()
    if count != sum(manifest["counts"].values()):
        raise BackupError("The backup holds another number of rows than it says. Nothing was restored.")
    return count


def _settle(done: Restored, manifest: dict[str, Any], keep_tokens: bool) -> None:
    """Let nothing of the past go on by itself: systems are observed, tokens and links shut, jobs without a worker."""
    with transaction.atomic(), through("command", reason="restore"):
        systems: QuerySet[System] = QuerySet(System)
        for system in System.objects.all():
            intent = read_intent(system.folder)  # numbers that were given since must not come twice
            systems.filter(pk=system.pk).update(
                fence=Greatest("fence", intent.fence),
                last_number=Greatest("last_number", intent.number),
                wanted=F("wanted") + 1,
            )
        unsettled = {"problem": "", "problem_step": "", "problem_at": None}
        systems.filter(stage=System.Stage.MANAGED).update(stage=System.Stage.OBSERVED, **unsettled)
        if not keep_tokens:
            done.tokens = Token.objects.filter(revoked_at=None).update(revoked_at=Now())
        links = HandOver.objects.filter(opened_at=None, withdrawn_at=None)
        done.links = links.update(withdrawn_at=Now(), sealed="")
        done.jobs = Job.objects.filter(state__in=Job.ACTIVE).update(lease="", lease_until=None)
        people = get_user_model()._default_manager.filter(is_active=True, is_staff=True).order_by("username")
        done.people = list(people.values_list("username", flat=True))
        record("backup restored", id=manifest["id"], made_at=done.made_at, rows=done.rows, tokens=done.tokens)
    logger.info("a backup was restored", extra={"made_at": done.made_at, "rows": done.rows})
