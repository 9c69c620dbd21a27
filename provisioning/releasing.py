"""Letting go of a system: one plain conf that a person can keep, proven by the servers, and the way back."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts_app.models import System, record
from provisioning import managing, steps
from provisioning.errors import ProvisioningError
from provisioning.files import GENERATED, MAIN, sole_writer, text_hash
from provisioning.numbers import next_fence
from provisioning.release_files import BEFORE, NOTE, keep_former, read_note, replace_file
from provisioning.release_plan import Own, begun, in_one_sentence, make_plan
from provisioning.release_proof import prove_reloaded, prove_same
from provisioning.server import Fleet, signal_reload


@dataclass(frozen=True, slots=True)
class Released:
    """main: the one file now; kept: the former ones beside it; digest: of the whole conf; proof: how it is known that
    the servers run it, a sentence. own: whether what is nunect's own stayed."""

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
                if plan.text:
                    keep_former(folder)
                    _reached("release kept", system)
                    note = {"text_sha256": text_hash(plan.text), "own": own}
                    replace_file(folder / NOTE, json.dumps(note).encode())
                    replace_file(folder / MAIN, plan.text.encode("utf-8", "surrogateescape"))
                _reached("release main", system)
                (folder / GENERATED).unlink(missing_ok=True)
                _reached("release one", system)
            proof = prove_same(plan, fleet) if plan.own == "stay" else prove_reloaded(system, plan, fleet)
        except (ProvisioningError, OSError, ValidationError) as error:
            if (folder / (MAIN + BEFORE)).exists():
                undo(system, confirm)
            managing.turn_to(system, before)
            raise ValidationError(_("It was taken back: %s") % in_one_sentence(error)) from error
    kept = tuple(str(folder / (name + BEFORE)) for name in (MAIN, GENERATED))
    done = Released(str(folder / MAIN), kept, plan.digest, plan.own, proof)
    record("system released with a plain conf", system, digest=plan.digest, own=plan.own, proof=proof)
    return done


def undo(system: System, confirm: str) -> str:
    """Put the former files back, byte for byte, and observe; a sentence. What was edited since is kept beside them.

    The servers are asked by a signal to re-read them where nunect's own users had gone. Raises ValidationError.
    """
    managing.check_name(system, confirm)
    folder = system.folder
    former, generated = folder / (MAIN + BEFORE), folder / (GENERATED + BEFORE)
    if not former.exists() or not generated.exists():
        raise ValidationError(
            _("There is nothing to take back in %s: no release left its former files there.") % folder
        )
    note = read_note(folder)
    said = ""
    with sole_writer(folder, next_fence(system.pk), settings.PROVISIONING_LOCK_TIMEOUT):
        present = (folder / MAIN).read_bytes()
        if text_hash(present) not in (note.get("text_sha256"), text_hash(former.read_bytes())):
            replace_file(folder / (MAIN + ".edited"), present)
            said = _(" What was edited since stands in %s.") % (folder / (MAIN + ".edited"))
        if not (folder / GENERATED).exists():
            os.link(generated, folder / GENERATED)
        _reached("undo one", system)
        former.replace(folder / MAIN)
        _reached("undo main", system)
        generated.unlink()
        (folder / NOTE).unlink(missing_ok=True)
    if note.get("own") == "go" or said:
        try:
            signal_reload(settings.NATS_PID_FILE)
        except ProvisioningError as error:
            said += _(" Reload the servers by hand: %s") % error.detail
    if System.objects.values_list("stage", flat=True).get(pk=system.pk) == System.Stage.RELEASED:
        managing.observe(system)
    record("release taken back", system)
    return _("The former files are back, and nunect observes “%s”.") % system.name + said


def _reached(step: str, system: System) -> None:
    steps.reached.send(sender=Released, step=step, system_id=system.pk)
