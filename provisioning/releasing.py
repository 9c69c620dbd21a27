"""Letting go of a system: a plain conf for each server that a person can keep, proven by them, and the way back."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts_app.models import System, record
from provisioning import managing, steps
from provisioning.errors import ProvisioningError
from provisioning.files import GENERATED, MAIN, sole_writer, text_hash
from provisioning.machine import find_process
from provisioning.numbers import next_fence
from provisioning.release_files import NOTE, former_of, keep_former, noted, read_note, replace_file, write_note
from provisioning.release_plan import Own, begun, in_one_sentence, make_plan
from provisioning.release_proof import prove_reloaded, prove_same
from provisioning.server import Fleet, signal_reload


@dataclass(frozen=True, slots=True)
class Released:
    """main: the one file now, of several servers the first's; kept: the former ones beside them; digest: of its whole
    conf; proof: how it is known that the servers run it, a sentence. own: whether what is nunect's own stayed."""

    main: str
    kept: tuple[str, ...]
    digest: str
    own: Own
    proof: str


def release(system: System, confirm: str, own: Own = "stay") -> Released:
    """Put the generated file into the main file, let go of the system, and see that its servers run just that.

    confirm: the system's name, typed. own "go": without nunect's users and account, which costs one reload. A kill
    at any moment leaves a conf that a server starts with and that means the same; a second call goes on.
    Raises ValidationError, with everything as it was.
    """
    managing.check_name(system, confirm)
    before = System.Stage(System.objects.values_list("stage", flat=True).get(pk=system.pk))
    folder = system.folder
    with Fleet(system) as fleet:
        plan = begun(system, fleet) or make_plan(system, own, fleet)
        if before != System.Stage.RELEASED:
            managing.release(system, confirm)
        _reached("release stage", system)
        try:
            with sole_writer(folder, next_fence(system.pk), settings.PROVISIONING_LOCK_TIMEOUT):
                if plan.left:
                    keep_former([*(each.path for each in plan.left), folder / GENERATED])
                    _reached("release kept", system)
                    if len(plan.left) == len(plan.files):
                        write_note(folder, own, {each.path: each.text for each in plan.left})
                for each in plan.left:
                    replace_file(each.path, each.text.encode("utf-8", "surrogateescape"))
                    if each is not plan.left[-1]:
                        _reached(f"release {each.path.name}", system)
                _reached("release main", system)
                (folder / GENERATED).unlink(missing_ok=True)
                _reached("release one", system)
            proof = prove_same(plan, fleet) if plan.own == "stay" else prove_reloaded(system, plan, fleet)
        except (ProvisioningError, OSError, ValidationError) as error:
            if former_of(folder / MAIN).exists():
                undo(system, confirm)
            managing.turn_to(system, before)
            raise ValidationError(_("It was taken back: %s") % in_one_sentence(error)) from error
    kept = tuple(str(former_of(path)) for path in (*(each.path for each in plan.files), folder / GENERATED))
    done = Released(str(folder / MAIN), kept, plan.digest, plan.own, proof)
    record("system released with a plain conf", system, digest=plan.digest, own=plan.own, proof=proof)
    return done


def undo(system: System, confirm: str) -> str:
    """Put the former files back, byte for byte, and observe; a sentence. What was edited since is kept beside them.

    The servers are asked by a signal to re-read them where nunect's own users had gone. Raises ValidationError.
    """
    managing.check_name(system, confirm)
    folder = system.folder
    generated = former_of(folder / GENERATED)
    if not former_of(folder / MAIN).exists() or not generated.exists():
        raise ValidationError(
            _("There is nothing to take back in %s: no release left its former files there.") % folder
        )
    own, mains = read_note(folder).get("own"), noted(folder) or {folder / MAIN: ""}
    said = ""
    with sole_writer(folder, next_fence(system.pk), settings.PROVISIONING_LOCK_TIMEOUT):
        for path, written in mains.items():
            said += _kept_edit(path, written)
        if not (folder / GENERATED).exists():
            os.link(generated, folder / GENERATED)
        _reached("undo one", system)
        for path in reversed(mains):  # the folder's own last: by its former file one knows that there is something left
            with suppress(FileNotFoundError):
                former_of(path).replace(path)
        _reached("undo main", system)
        generated.unlink()
        (folder / NOTE).unlink(missing_ok=True)
    if own == "go" or said:
        said += _reread(mains)
    if System.objects.values_list("stage", flat=True).get(pk=system.pk) == System.Stage.RELEASED:
        managing.observe(system)
    record("release taken back", system)
    return _("The former files are back, and nunect observes “%s”.") % system.name + said


def _kept_edit(path: Path, written: str) -> str:
    """Keep a main file that was edited since beside it; a sentence, "" where nobody has edited it."""
    former = former_of(path)
    if not former.exists():
        return ""
    present = path.read_bytes()
    if text_hash(present) in (written, text_hash(former.read_bytes())):
        return ""
    edited = path.with_name(path.name + ".edited")
    replace_file(edited, present)
    return _(" What was edited since stands in %s.") % edited


def _reread(mains: Iterable[Path]) -> str:
    """Signal the servers of these main files; a sentence where one can't be."""
    said = ""
    for path in mains:
        process = find_process(path)
        try:
            if process is not None:
                os.kill(process.pid, signal.SIGHUP)
            elif path.name == MAIN:
                signal_reload(settings.NATS_PID_FILE)
        except (ProvisioningError, OSError) as error:
            detail = error.detail if isinstance(error, ProvisioningError) else str(error.strerror)
            said += _(" Reload the servers by hand: %s") % detail
    return said


def _reached(step: str, system: System) -> None:
    steps.reached.send(sender=Released, step=step, system_id=system.pk)
