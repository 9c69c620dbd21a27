"""Taking over through REST and the admin: what is shown, what is done is what was shown, and who has asked for it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.db import DatabaseError

from accounts_app import validators
from accounts_app.access import may, require, require_whole
from accounts_app.models import NatsUser, System, record
from accounts_app.natsconf.errors import NatsConfError
from provisioning.errors import NotManaged, ProvisioningError
from provisioning.files import MAIN
from provisioning.machine import ask_http, monitoring_url
from provisioning.takeover import journal as journals
from provisioning.takeover import places, taking
from provisioning.takeover.forecast import Forecast
from provisioning.takeover.foreseeing import Shown, Wanted, look_at, shown_of
from provisioning.takeover.hindering import lives_elsewhere
from provisioning.takeover.journal import Journal
from provisioning.takeover.noting import Failed, Step, noted_steps
from provisioning.takeover.seeing import arranged
from provisioning.takeover.showing import secrets_in, told_words

RIGHT = "provisioning.take_over_server"
DONE = "take-over done"  # in the trail
Connected = dict[tuple[str, int], str]  # {(main file, cid): login}


@dataclass(frozen=True, slots=True)
class Done:
    """A take-over that was done. before, stayed: clients that were connected, and which of them still are; None when
    nobody could tell."""

    outcome: taking.Outcome
    journal: Journal
    steps: tuple[Step, ...]
    before: int | None
    stayed: int | None
    waits_s: float


class Moved(Exception):
    """What would be done is not what was shown. `now` is what it would be."""

    def __init__(self, now: Shown) -> None:
        super().__init__("What would be done is no longer what was shown: look again.")
        self.now = now


# --- who may -----------------------------------------------------------------------------------------


def require_right(person: Any) -> None:
    """Raise PermissionDenied unless they may."""
    require(person, "change", System)
    require_whole(person)
    if not person.has_perm(RIGHT):
        raise PermissionDenied(
            "To take over servers reads and writes files of the machine. It takes a right of its own, “Can take over "
            "servers of this machine”, which an administrator can give you."
        )


def offers() -> list[places.Offer]:
    """Main files that could be taken over: not those that nunect manages already."""
    managed = set[str]()
    for system in System.objects.filter(stage=System.Stage.MANAGED):
        main = system.folder / MAIN
        managed |= {str(main), *taken_with(main)}
    return [each for each in places.offers() if each.file not in managed]


def taken_with(main: Path) -> list[str]:
    """Main files of further servers that were taken over with this one."""
    try:
        journal = journals.find(main, "taken")
    except ProvisioningError:
        return []
    return [each.path for each in journal.others] if journal else []


# --- what it would do --------------------------------------------------------------------------------


def show(wanted: Wanted, person: Any, *, note: bool = True) -> Shown:
    """Look, and write it into the trail. note: not, when it is looked at again by the same person.

    Raises PermissionDenied, ValidationError, ProvisioningError.
    """
    mains = allowed_files(wanted)
    wanted = _checked(wanted)
    shown = look_at(wanted, mains, person)
    system = System.objects.filter(name=wanted.system).first()
    if note:
        record("take-over looked at", system, **_files(mains), possible=shown.possible)
    return shown


def take(wanted: Wanted, stamp: str, confirm: str, person: Any) -> Done:
    """Do what was shown under this stamp. confirm: the system's name, typed.

    Raises Moved when it would be something else by now, Failed with everything as it was, and what `show` raises.
    """
    mains = allowed_files(wanted)
    main, *others = mains
    wanted = _checked(wanted)
    if confirm != wanted.system:
        raise ValidationError({"confirm": f"Type the name of the system: {wanted.system}."})
    for each in mains:
        places.check_includes(each, wanted.environ)
    if any(journals.find(each, "begun") is not None for each in mains):
        raise Moved(look_at(wanted, mains, person))
    moved: list[Shown] = []
    agreed: list[tuple[Forecast, Connected | None]] = []

    def agrees(forecast: Forecast) -> bool:
        now = shown_of(wanted, main, forecast, person)
        if now.stamp != stamp or not now.possible:
            moved.append(now)
            return False
        agreed.append((forecast, _connected(forecast)))
        return True

    with noted_steps() as steps:
        try:
            name, environ = wanted.system, wanted.environ
            outcome = taking.take(main, name, environ, others=others, url=wanted.url, agrees=agrees)
        except ValidationError as refused:
            system = System.objects.filter(name=wanted.system).first()
            record("take-over failed", system, **_files(mains), why=" ".join(refused.messages)[:800])
            raise
        except (ProvisioningError, NatsConfError, OSError, DatabaseError) as error:
            if isinstance(error, NotManaged) and not agreed:  # it can't be done any more, and says why
                raise Moved(look_at(wanted, mains, person)) from error
            raise _failed(error, mains, wanted, steps, agreed[0][0] if agreed else None, person) from error
    if outcome is None:
        raise Moved(moved[0])
    forecast, before = agreed[0]
    after = _connected(forecast)
    stayed = None if before is None or after is None else len(before.keys() & after.keys())
    journal = journals.find(main, "taken")
    assert journal is not None  # noqa: S101 - it was written a moment ago
    done = Done(outcome, journal, tuple(steps), None if before is None else len(before), stayed, forecast.waits_s)
    record(DONE, System.objects.filter(name=outcome.system).first(), **_files(mains), **_told(done))
    return done


def _files(mains: Sequence[Path]) -> dict[str, Any]:
    """What the trail says of the main files."""
    main, *others = map(str, mains)
    return {"file": main, **({"others": others} if others else {})}


def _told(done: Done) -> dict[str, Any]:
    """What the trail keeps of it, and a page shows later."""
    return {
        "journal": str(done.journal.path),
        "steps": [[step.text, round(step.took_s, 3)] for step in done.steps],
        "said": list(done.outcome.said),
        "before": done.before,
        "stayed": done.stayed,
        "waits_s": round(done.waits_s, 3),
    }


def allowed_file(file: str) -> Path:
    """A main file that may be taken over from here. Raises PermissionDenied, ValidationError, and the trail says so."""
    try:
        return places.allowed(file)
    except (PermissionDenied, ValidationError) as refused:
        why = refused.messages[0] if isinstance(refused, ValidationError) else str(refused)
        shown = file[:300].replace("\x00", "").encode("utf-8", "replace").decode()
        record("take-over refused", None, file=shown, why=why[:800])
        raise


def allowed_files(wanted: Wanted) -> tuple[Path, ...]:
    """All the main files, the first one first. Raises PermissionDenied, ValidationError; the trail says so."""
    file = allowed_file(wanted.file)
    try:
        return arranged(file, [allowed_file(each) for each in wanted.others])
    except ValidationError as refused:
        raise ValidationError({"others": refused.messages}) from refused


def usual_system(main: Path) -> str:
    """Whose main file it is by its folder; else the only system, "default" where there is none. "" where somebody must
    say it: for several, and for one that has a main file of its own elsewhere."""
    folder, systems = main.absolute().parent, list(System.objects.order_by("pk"))
    here = [system.name for system in systems if system.folder.resolve() == folder.resolve()]
    if len(here) == 1:
        return here[0]
    if len(systems) > 1 or any(lives_elsewhere(system, folder) for system in systems):
        return ""
    return systems[0].name if systems else "default"


def _checked(wanted: Wanted) -> Wanted:
    """With the name of the system, where nobody says it. Raises ValidationError at its field."""
    name = wanted.system
    if not name:
        name = usual_system(Path(wanted.file))
        if not name:
            names = System.objects.order_by("pk").values_list("name", flat=True)[:20]
            raise ValidationError({"system": f"Say which one: {', '.join(names)}, or a new name."})
    for key, check, value in (("system", validators.role_name, name), ("url", validators.servers_url, wanted.url)):
        try:
            validators.text(value)
            if value:
                check(value)
        except ValidationError as refused:
            raise ValidationError({key: refused.messages}) from refused
    if len(name) > 64:
        raise ValidationError({"system": "A name has 64 characters at most."})
    return replace(wanted, system=name)


def _failed(
    error: Exception, mains: Sequence[Path], wanted: Wanted, steps: list[Step], forecast: Forecast | None, person: Any
) -> Failed:
    if isinstance(error, OSError):
        known: ProvisioningError = ProvisioningError(f"{error.filename or mains[0]} can't be used: {error.strerror}.")
    elif isinstance(error, DatabaseError):
        known = ProvisioningError(f"The database refused ({str(error).strip().partition(chr(10))[0]}).")
    else:
        known = error if isinstance(error, ProvisioningError) else ProvisioningError(str(error))
    words = ""
    if forecast is not None:
        secrets = secrets_in({name for seen in forecast.looks for name in seen.hashes})
        words = told_words(known.server_words, secrets, keys=may(person, "change", NatsUser))
    system = System.objects.filter(name=wanted.system).first()
    record("take-over failed", system, **_files(mains), why=known.detail, steps=[step.text for step in steps])
    return Failed(known, tuple(steps), words)


def _connected(forecast: Forecast) -> Connected | None:
    """The clients that are connected now, without nunect's own; None when of one server nobody can tell."""
    system = System.objects.filter(system_account=forecast.system_account)
    own = {key for keys in system.values_list("control_nkey", "relay_nkey", "jetstream_nkey") for key in keys}
    known: Connected = {}
    running = [seen for seen in forecast.looks if seen.process is not None]
    for seen in running:
        found = ask_http(monitoring_url(seen.parsed.tree), "connz?auth=1&limit=10000")
        if found is None:
            return None
        for each in found.get("connections") or ():
            login = each.get("authorized_user") or each.get("nkey") or ""
            if login not in own:
                known[str(seen.main), each["cid"]] = login
    return known if running else None
