"""Take-overs that were done, by their journals, and the way back through REST and the admin."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from django.core.exceptions import ValidationError

from accounts_app.models import System, record
from accounts_app.natsconf.errors import NatsConfError
from provisioning.errors import NotManaged, ProvisioningError
from provisioning.takeover import journal as journals
from provisioning.takeover import places, taking
from provisioning.takeover.doors import allowed_file
from provisioning.takeover.noting import Failed, Step, noted_steps
from provisioning.takeover.returning import Returning, foresee

UNDONE = "take-over taken back"  # in the trail


@dataclass(frozen=True, slots=True)
class Known:
    """A take-over by its journal. file: the first main file; others: those that were taken over with it; undoable: it
    is the last one of its file, and its former files can come back; problem: why its journal can't be read."""

    file: str
    journal: Path
    system: str = ""
    at: str = ""
    state: str = "unreadable"
    undoable: bool = False
    files: tuple[journals.Entry, ...] = ()
    digest_before: str = ""
    digest_after: str = ""
    others: tuple[str, ...] = ()
    problem: str = ""


def known() -> list[Known]:
    """The take-overs of the main files in the allowed folders, the last one first."""
    found = {each.journal: each for main in places.mains() for each in of_file(main)}.values()
    return sorted(found, key=lambda each: (each.at, each.file), reverse=True)


def of_file(main: Path) -> Iterator[Known]:
    """The take-overs of one main file, the last one first."""
    last = True
    for path in journals.about(main):
        try:
            found = journals.load(path)
        except ProvisioningError as error:
            yield Known(str(main), path, problem=error.detail)
            continue
        undoable = last and found.state in ("begun", "taken")
        last = last and not undoable
        digests = found.digest_before, found.digest_after
        others = tuple(each.path for each in found.others)
        at = _moment(found.at)
        yield Known(found.main, path, found.system, at, found.state, undoable, found.files, *digests, others)


def show_back(file: str) -> Returning:
    """What undoing the last take-over of a main file would do. Raises PermissionDenied, ValidationError."""
    main = allowed_file(file)
    journal = journals.find(main, "begun", "taken")
    if journal is not None:
        copies = [each.backup for each in journal.files if each.backup]
        mains = [each.path for each in journal.mains]
        places.check_written([*mains, *(each.path for each in journal.files), *copies])
    try:
        return foresee(main)
    except (NotManaged, NatsConfError) as error:
        raise ValidationError({"file": error.detail if isinstance(error, NotManaged) else str(error)}) from error
    except OSError as error:
        raise ValidationError({"file": f"{error.filename or main} can't be read: {error.strerror}."}) from error


def undo(file: str, confirm: str) -> tuple[taking.Outcome, tuple[Step, ...]]:
    """Put the former files back, byte for byte. confirm: the system's name, typed.

    Raises Failed, and what `show_back` raises.
    """
    journal = show_back(file).journal
    main = Path(journal.main)
    if confirm != journal.system:
        raise ValidationError({"confirm": f"Type the name of the system: {journal.system}."})
    with noted_steps() as steps:
        try:
            outcome = taking.undo(main)
        except (ProvisioningError, NatsConfError, OSError) as error:
            detail = error.detail if isinstance(error, ProvisioningError) else str(error)
            system = System.objects.filter(name=journal.system).first()
            record("take-over not taken back", system, file=str(main), why=detail)
            known = error if isinstance(error, ProvisioningError) else ProvisioningError(detail)
            raise Failed(known, tuple(steps), "") from error
    system = System.objects.filter(name=outcome.system).first()
    told = [[step.text, round(step.took_s, 3)] for step in steps]
    record(UNDONE, system, file=str(main), journal=str(journal.path), steps=told, said=list(outcome.said))
    return outcome, tuple(steps)


def _moment(at: str) -> str:
    """A journal's time in ISO 8601."""
    found = re.fullmatch(r"(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z", at)
    return "{}-{}-{}T{}:{}:{}Z".format(*found.groups()) if found else at
