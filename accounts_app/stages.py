"""What a system's stage leaves open: whether its servers may be written to, and its rows changed."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts_app.models.system import System

HELD = "nunect only observes this system: nothing is written."
ANY = frozenset(System.Stage)
CHANGEABLE = ANY - {System.Stage.RELEASED}  # rows may change: those of an observed system, too, to follow what runs
WRITTEN = frozenset({System.Stage.MANAGED})  # servers are written to: jobs, kicks


class Unwritten(ValidationError):
    """The stage of a system forbids what was asked for. Every door tells it in its one sentence."""


def why_unwritten(system: System) -> str:
    """Why nothing is written to the servers of a system, "" when nunect manages it."""
    if system.stage == System.Stage.OBSERVED:
        return _("nunect only observes system “%s”: nothing is written.") % system.name
    if system.stage == System.Stage.RELEASED:
        return _("nunect has released system “%s”: nothing is written.") % system.name
    return ""


def check_written(system: System) -> None:
    """Raise Unwritten unless nunect manages the system; by its stage of now, not by that of the row in hand."""
    refuse(System.objects.only("name", "stage").get(pk=system.pk))


def refuse(system: System) -> None:
    """Raise Unwritten unless nunect manages the system, as the row in hand has it."""
    if why := why_unwritten(system):
        raise Unwritten(why)


def is_managed(system_id: int) -> bool:
    """Whether nunect manages the system at this moment."""
    return System.objects.filter(pk=system_id, stage=System.Stage.MANAGED).exists()


def meant(systems: Iterable[System], stages: Collection[str] = ANY) -> System | None:
    """The system that is meant where none is named: the only one, or the only one in such a stage."""
    found = list(systems)
    if len(found) > 1:
        found = [system for system in found if system.stage in stages]
    return found[0] if len(found) == 1 else None
