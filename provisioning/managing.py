"""What a person decides about a whole system: only observe it, manage it, let go of it."""

from __future__ import annotations

import logging
from functools import partial

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts_app.door import current_door
from accounts_app.models import System, record
from accounts_app.wanted import want
from provisioning.errors import ProvisioningError
from provisioning.files import read_generated, text_hash, wait_for_writer
from provisioning.models import Drift
from provisioning.release_files import is_plain

logger = logging.getLogger(__name__)


@transaction.atomic
def observe(system: System) -> None:
    """Only look from now on. Once this is committed, and the run under way has ended, nothing is written.

    Rows may still change: that is how one brings them to what runs.
    """
    _turn(system, System.Stage.OBSERVED)
    want(system.pk, shared=True)


@transaction.atomic
def manage(system: System, confirm: str) -> None:
    """Write again: the next run makes the servers hold what the rows say, with all its guards.

    confirm: the system's name, typed. What was changed by hand meanwhile counts as seen. Raises ValidationError.
    """
    check_name(system, confirm)
    if is_plain(system.folder):
        raise ValidationError(
            _("Its release left one plain conf, which says it all: put the former files back first (release --undo).")
        )
    _turn(system, System.Stage.MANAGED)
    _see_drift(system)
    want(system.pk, shared=True)


@transaction.atomic
def release(system: System, confirm: str) -> None:
    """Let go: nothing is written or looked at from now on, and the rows are only there to be read.

    confirm: the system's name, typed. Raises ValidationError.
    """
    check_name(system, confirm)
    _turn(system, System.Stage.RELEASED)


@transaction.atomic
def turn_to(system: System, stage: System.Stage) -> None:
    """Have the stage that what is being done needs, or that it has failed to leave."""
    if System.objects.get(pk=system.pk).stage != stage:
        _turn(system, stage)
        want(system.pk, shared=True)


def check_name(system: System, confirm: str) -> None:
    """Raise ValidationError unless the system's name was typed."""
    if confirm != system.name:
        raise ValidationError({"confirm": _("Type the name of the system: %s.") % system.name})


def _turn(system: System, stage: System.Stage) -> None:
    """Write the new stage. Whoever writes files looks at it again while holding their lock, so that nobody does once
    the lock has been free."""
    row = System.objects.select_for_update().get(pk=system.pk)
    if row.stage == stage:
        raise ValidationError(_("System “%(name)s” is %(stage)s already.") % {"name": row.name, "stage": stage.label})
    if stage == System.Stage.MANAGED:
        row.check_folder()
    QuerySet(System).filter(pk=row.pk).update(stage=stage, problem="", problem_step="", problem_at=None)
    record(f"system {stage}", row, before=row.stage)
    system.stage = stage
    if stage != System.Stage.MANAGED:
        transaction.on_commit(partial(_wait, row), robust=True)


def _wait(system: System) -> None:
    try:
        wait_for_writer(system.folder, settings.PROVISIONING_LOCK_TIMEOUT)
    except ProvisioningError as error:
        logger.warning("a run is still under way", extra={"system": system.pk, "detail": error.detail})


def _see_drift(system: System) -> None:
    """Who says “manage” has seen the difference: the file as it stands needs no second answer."""
    if System.objects.get(pk=system.pk).drift_policy != System.DriftPolicy.ASK:
        return
    try:
        found = read_generated(system.folder)
    except ProvisioningError:
        return
    places = {Drift.Where.FILE: text_hash(found) if found is not None else "", Drift.Where.SERVER: ""}
    for where, text_sha256 in places.items():
        answer = {"state": Drift.State.APPROVED, "answered_at": timezone.now(), "answered_by": current_door().person}
        rows = Drift.objects.filter(system=system, where=where, text_sha256=text_sha256)
        if not rows.filter(state=Drift.State.OPEN).update(**answer):
            told = _("What stood there when “manage” was said.")
            Drift.objects.create(system=system, where=where, text_sha256=text_sha256, summary=told, **answer)
