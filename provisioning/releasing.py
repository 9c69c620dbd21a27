"""Letting go of a system: one plain conf that a person can keep, proven by the servers, and the way back."""

from __future__ import annotations

import difflib
import json
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts_app.models import System, record
from accounts_app.natsconf.comparable import comparable
from accounts_app.natsconf.digest import digest
from accounts_app.natsconf.errors import NatsConfError
from accounts_app.natsconf.parse import parse
from accounts_app.natsconf.plain import plain_text, plain_text_without, rest_of
from accounts_app.natsconf.tree import Tree
from provisioning import managing, steps
from provisioning.binary import validate_folder
from provisioning.errors import ProvisioningError
from provisioning.files import GENERATED, MAIN, sole_writer, text_hash
from provisioning.numbers import next_fence
from provisioning.running_conf import Unreadable, parse_text, read_running
from provisioning.server import Fleet, Seen, signal_reload

Own = Literal["stay", "go"]
BEFORE = ".before-release"  # at the end of a former file's name
_NOTE = ".nunect.release"


@dataclass(frozen=True, slots=True)
class Released:
    """main: the one file now; kept: the former ones beside it; digest: of the whole conf; proof: how it is known that
    the servers run it, a sentence. own: whether what is nunect's own stayed."""

    main: str
    kept: tuple[str, ...]
    digest: str
    own: Own
    proof: str


@dataclass(frozen=True, slots=True)
class _Plan:
    """text: what to write, "" when it stands there already."""

    text: str
    digest: str
    own: Own
    seen: list[Seen]


def look_ahead(system: System, own: Own) -> str:
    """What a release would write, as text. Raises ValidationError for what is in its way; nothing is written."""
    with Fleet(system) as fleet:
        return _plan(system, own, fleet).text


def diff_ahead(system: System, own: Own) -> str:
    """The same as the lines of the main file that go and come: what else stands there is nobody's to show."""
    after = look_ahead(system, own)
    before = (system.folder / MAIN).read_bytes().decode("utf-8", "surrogateescape")
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), MAIN, MAIN, n=0, lineterm="")
    return "\n".join(lines).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


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
        plan = _begun(system, fleet) or _plan(system, own, fleet)
        if before != System.Stage.RELEASED:
            managing.release(system, confirm)
        _reached("release stage", system)
        try:
            with sole_writer(folder, next_fence(system.pk), settings.PROVISIONING_LOCK_TIMEOUT):
                if plan.text:
                    _keep_former(folder)
                    _reached("release kept", system)
                    note = {"text_sha256": text_hash(plan.text), "own": own}
                    _write(folder / _NOTE, json.dumps(note).encode())
                    _write(folder / MAIN, plan.text.encode("utf-8", "surrogateescape"))
                _reached("release main", system)
                (folder / GENERATED).unlink(missing_ok=True)
                _reached("release one", system)
            proof = _prove_same(plan, fleet) if plan.own == "stay" else _reload(system, plan, fleet)
        except (ProvisioningError, OSError, ValidationError) as error:
            if (folder / (MAIN + BEFORE)).exists():
                undo(system, confirm)
            managing.turn_to(system, before)
            raise ValidationError(_("It was taken back: %s") % _words(error)) from error
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
    note = _note(folder)
    said = ""
    with sole_writer(folder, next_fence(system.pk), settings.PROVISIONING_LOCK_TIMEOUT):
        present = (folder / MAIN).read_bytes()
        if text_hash(present) not in (note.get("text_sha256"), text_hash(former.read_bytes())):
            _write(folder / (MAIN + ".edited"), present)
            said = _(" What was edited since stands in %s.") % (folder / (MAIN + ".edited"))
        if not (folder / GENERATED).exists():
            os.link(generated, folder / GENERATED)
        _reached("undo one", system)
        former.replace(folder / MAIN)
        _reached("undo main", system)
        generated.unlink()
        (folder / _NOTE).unlink(missing_ok=True)
    if note.get("own") == "go" or said:
        try:
            signal_reload(settings.NATS_PID_FILE)
        except ProvisioningError as error:
            said += _(" Reload the servers by hand: %s") % error.detail
    if System.objects.values_list("stage", flat=True).get(pk=system.pk) == System.Stage.RELEASED:
        managing.observe(system)
    record("release taken back", system)
    return _("The former files are back, and nunect observes “%s”.") % system.name + said


def _begun(system: System, fleet: Fleet) -> _Plan | None:
    """The rest of a release that was cut short after it had written the one file; None when none was."""
    note, folder = _note(system.folder), system.folder
    try:
        if not note or text_hash((folder / MAIN).read_bytes()) != note.get("text_sha256"):
            return None
        own: Own = "go" if note.get("own") == "go" else "stay"
        return _Plan("", digest(read_running(folder).parsed.tree), own, fleet.see())
    except (OSError, Unreadable):
        return None


def _plan(system: System, own: Own, fleet: Fleet) -> _Plan:
    """What is to be written, proven to mean what runs. Raises ValidationError."""
    folder, identity = system.folder, system.identity
    try:
        running = read_running(folder)
        main = (folder / MAIN).read_bytes().decode("utf-8", "surrogateescape")
        generated = (folder / GENERATED).read_bytes().decode("utf-8", "surrogateescape")
        seen = _seen(running.parsed.tree, fleet)
        if own == "stay":
            text = plain_text(main, generated, GENERATED, system.revision, identity)
        else:
            part = parse(generated, file=GENERATED).tree
            text = plain_text_without(main, running.parsed.tree, part, GENERATED, system.revision, identity)
        made = validate_folder(folder, text, MAIN)
        tree = parse_text(folder / MAIN, text).tree
    except Unreadable as error:
        raise ValidationError(str(error)) from error
    except (NatsConfError, ProvisioningError, OSError) as error:
        raise ValidationError(_words(error)) from error
    if made != digest(tree):
        raise ValidationError(_("nats-server reads another conf from it than nunect: put the two together by hand."))
    if own == "stay":
        same = made == digest(running.parsed.tree)
    else:
        both = [(comparable(each, identity), rest_of(each)) for each in (tree, running.parsed.tree)]
        same = both[0] == both[1]
    if not same:
        raise ValidationError(_("In one file the conf would mean something else: put the two together by hand."))
    return _Plan(text, made, own, seen)


def _seen(tree: Tree, fleet: Fleet) -> list[Seen]:
    """The servers, each known to run what stands in the files. Raises ValidationError."""
    seen = fleet.see()
    if not seen:
        raise ValidationError(
            _("%s Without an answer nobody can prove that the one file says what runs.") % fleet.problem
        )
    stands = digest(tree)
    other = [one.name for one in seen if one.config_digest != stands]
    if other:
        raise ValidationError(
            _("%s runs something else than what stands in the files here. Let go of it with its files as they are.")
            % ", ".join(other)
        )
    return seen


def _prove_same(plan: _Plan, fleet: Fleet) -> str:
    names = [one.name for one in plan.seen]
    wrong = [one.name for one in fleet.see(names) if one.config_digest != plan.digest]
    if wrong:
        raise ValidationError(_("%s runs something else by now.") % ", ".join(wrong))
    return _("%s reported the digest of the one file before and after; no reload was needed.") % ", ".join(names)


def _reload(system: System, plan: _Plan, fleet: Fleet) -> str:
    """Have the servers re-read it; with that nunect's own users go, so that a refusal of them is the proof."""
    names = ", ".join(one.name for one in plan.seen) or system.name
    if fleet.connected:
        fleet.reload_unheard(one.server_id for one in plan.seen)
    deadline = time.monotonic() + settings.NATS_RELOAD_TIMEOUT
    while True:
        with Fleet(system) as again:
            if again.unauthorized:
                break
            why = again.problem or _("a server still lets nunect in")
        if time.monotonic() > deadline:
            raise ValidationError(_("Nobody can prove that the one file runs: %s.") % why.rstrip("."))
        time.sleep(0.05)
    return _("%s refuses nunect's own users by now: it runs the one file, which nats-server -t has judged.") % names


def _keep_former(folder: Path) -> None:
    """Both files once more under another name."""
    for name in (MAIN, GENERATED):
        _write(folder / (name + BEFORE), (folder / name).read_bytes(), (folder / name).stat().st_mode)


def _write(path: Path, data: bytes, mode: int | None = None) -> None:
    """Replace a file at once. mode: its rights, those of the former file when not given, else of its owner alone."""
    if mode is None:
        mode = path.stat().st_mode if path.exists() else 0o600
    beside = path.with_name(f".{path.name}.release.tmp")
    handle = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    beside.chmod(mode & 0o777)
    beside.replace(path)


def _note(folder: Path) -> dict[str, str]:
    try:
        found: dict[str, str] = json.loads((folder / _NOTE).read_text())
    except (OSError, ValueError):
        return {}
    return found


def _words(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return " ".join(error.messages)
    if isinstance(error, ProvisioningError):
        return f"{error.detail} {error.server_words}".strip()
    return f"{error.filename}: {error.strerror}." if isinstance(error, OSError) else str(error)


def _reached(step: str, system: System) -> None:
    steps.reached.send(sender=Released, step=step, system_id=system.pk)
