"""Taking over through REST and the admin: what is shown, what is done is what was shown, and who has asked for it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError

from accounts_app import validators
from accounts_app.access import may, require, require_whole
from accounts_app.conf_text import masked
from accounts_app.models import NatsUser, System, record
from accounts_app.natsconf.digest import digest
from accounts_app.natsconf.errors import ConfSyntaxError, NatsConfError
from provisioning.errors import Invalid, NotManaged, ProvisioningError
from provisioning.files import MAIN
from provisioning.takeover import journal as journals
from provisioning.takeover import places, taking
from provisioning.takeover.forecast import Forecast
from provisioning.takeover.journal import Journal
from provisioning.takeover.looking import look
from provisioning.takeover.machine import ask_http, client_url, monitoring_url
from provisioning.takeover.noting import Failed, Step, noted_steps
from provisioning.takeover.showing import ShownFile, secrets_of, shown_files, told_words

RIGHT = "provisioning.take_over_server"
DONE = "take-over done"  # in the trail
_PLACE = re.compile(r"(/[^\n]*?):(\d+):(\d+): (.*)", re.S)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asks for. system: the name of the one that the accounts become; url: how nunect reaches the
    server, "" as its file says; environ: variables where the server's process can't be asked."""

    file: str
    system: str = ""
    url: str = ""
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Place:
    """A sentence, and where in the files; file "" and 0 for one that belongs to no place."""

    text: str
    file: str = ""
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Shown:
    """What a take-over would do. digest_now: of the files as they stand; runs_it: whether the server reports just that,
    None when it can't be asked; stamp: tells what was shown from anything else."""

    wanted: Wanted
    main: Path
    in_the_way: tuple[Place, ...]
    notes: tuple[Place, ...] = ()
    files: tuple[ShownFile, ...] = ()
    forecast: Forecast | None = field(default=None, repr=False)
    digest_now: str = ""
    runs_it: bool | None = None
    stamp: str = ""

    @property
    def possible(self) -> bool:
        """Whether nothing stands against it."""
        return not self.in_the_way

    def sentences(self) -> list[str]:
        """All of it for a person."""
        found = self.forecast.sentences() if self.forecast and self.possible else ()
        return [masked(text.replace(" (--json prints all)", "")) for text in found]

    @property
    def restarts(self) -> tuple[str, ...]:
        """What only a restart of the server would do, in sentences."""
        return tuple(getattr(self.forecast, "restarts", ()))

    @property
    def url(self) -> str:
        """How nunect will reach the server."""
        return self.wanted.url or (client_url(self.forecast.seen.parsed.tree) if self.forecast else "")


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


def allowed_to(person: Any) -> bool:
    """Whether a person may take servers over: that reads and writes files of the machine."""
    return may(person, "change", System) and person.has_perm(RIGHT)


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
    managed = {str(system.folder / MAIN) for system in System.objects.filter(stage=System.Stage.MANAGED)}
    return [each for each in places.offers() if each.file not in managed]


# --- what it would do --------------------------------------------------------------------------------


def show(wanted: Wanted, person: Any, *, note: bool = True) -> Shown:
    """Look, and write it into the trail. note: not, when it is looked at again by the same person.

    Raises PermissionDenied, ValidationError, ProvisioningError.
    """
    main = allowed_file(wanted.file)
    wanted = _checked(wanted)
    shown = _look(wanted, main, person)
    system = System.objects.filter(name=wanted.system).first()
    if note:
        record("take-over looked at", system, file=str(main), possible=shown.possible)
    return shown


def take(wanted: Wanted, stamp: str, confirm: str, person: Any) -> Done:
    """Do what was shown under this stamp. confirm: the system's name, typed.

    Raises Moved when it would be something else by now, Failed with everything as it was, and what `show` raises.
    """
    main = allowed_file(wanted.file)
    wanted = _checked(wanted)
    if confirm != wanted.system:
        raise ValidationError({"confirm": f"Type the name of the system: {wanted.system}."})
    places.check_includes(main, wanted.environ)
    if journals.find(main, "begun") is not None:
        raise Moved(_look(wanted, main, person))
    moved: list[Shown] = []
    agreed: list[tuple[Forecast, dict[int, str] | None]] = []

    def agrees(forecast: Forecast) -> bool:
        now = _shown(wanted, main, forecast, person)
        if now.stamp != stamp or not now.possible:
            moved.append(now)
            return False
        agreed.append((forecast, _connected(forecast)))
        return True

    with noted_steps() as steps:
        try:
            outcome = taking.take(main, wanted.system, wanted.environ, url=wanted.url, agrees=agrees)
        except (ProvisioningError, NatsConfError, OSError) as error:
            if isinstance(error, NotManaged) and not agreed:  # it can't be done any more, and says why
                raise Moved(_look(wanted, main, person)) from error
            raise _failed(error, main, wanted, steps, agreed[0][0] if agreed else None, person) from error
    if outcome is None:
        raise Moved(moved[0])
    forecast, before = agreed[0]
    after = _connected(forecast)
    stayed = None if before is None or after is None else len(before.keys() & after.keys())
    journal = journals.find(main, "taken")
    assert journal is not None  # noqa: S101 - it was written a moment ago
    done = Done(outcome, journal, tuple(steps), None if before is None else len(before), stayed, forecast.waits_s)
    record(DONE, System.objects.filter(name=outcome.system).first(), file=str(main), **_told(done))
    return done


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


def _checked(wanted: Wanted) -> Wanted:
    """With the name of the system, where nobody says it. Raises ValidationError at its field."""
    name = wanted.system
    if not name:
        names = list(System.objects.order_by("pk").values_list("name", flat=True))
        if len(names) > 1:
            raise ValidationError({"system": f"Say which one: {', '.join(names[:20])}, or a new name."})
        name = names[0] if names else "default"
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


def _look(wanted: Wanted, main: Path, person: Any) -> Shown:
    places.check_includes(main, wanted.environ)
    if journals.find(main, "begun") is not None:
        text = "A take-over of this file is under way, or was cut short: wait for it, or put its former files back."
        return Shown(wanted, main, (Place(text),))
    try:
        forecast = look(main, System.objects.filter(name=wanted.system).first(), wanted.environ)
    except ConfSyntaxError as error:
        return Shown(wanted, main, (Place(error.reason, error.file, error.line, error.column),))
    except NatsConfError as error:
        return Shown(wanted, main, (Place(str(error)),))
    except OSError as error:
        why = f"{error.filename or main} can't be read: {error.strerror}."
        raise ValidationError({"file": why}) from error
    except Invalid as error:
        return Shown(wanted, main, tuple(Place(text) for text in (error.detail, *error.server_words.splitlines())))
    return _shown(wanted, main, forecast, person)


def _shown(wanted: Wanted, main: Path, forecast: Forecast, person: Any) -> Shown:
    keys = may(person, "change", NatsUser)
    seen = forecast.seen
    files = shown_files(forecast, keys=keys) if forecast.possible else ()
    now = digest(seen.parsed.tree)
    varz = ask_http(monitoring_url(seen.parsed.tree), "varz") if seen.process else None
    reported = (varz or {}).get("config_digest")
    told = {
        "asked": [str(main), wanted.system, wanted.url, sorted(wanted.environ.items())],
        "hashes": dict(seen.hashes),
        "says": [forecast.refusals, forecast.weak, forecast.left, forecast.differences],
        "what": [forecast.accounts, forecast.users, forecast.system_account, forecast.opened],
        "files": [[each.path, each.becomes] for each in files],
        "running": seen.process is not None,
    }
    text = json.dumps(told, sort_keys=True).encode("utf-8", "surrogatepass")
    return Shown(
        wanted,
        main,
        _places(forecast.refusals, keys),
        _places((*forecast.weak, *forecast.left), keys),
        files,
        forecast,
        now,
        None if reported is None else reported == now,
        hashlib.sha256(text).hexdigest()[:32],
    )


def _places(sentences: tuple[str, ...], keys: bool) -> tuple[Place, ...]:
    found = []
    for sentence in sentences:
        shown = masked(sentence, keys=keys)
        match = _PLACE.fullmatch(shown)
        found.append(Place(match[4], match[1], int(match[2]), int(match[3])) if match else Place(shown))
    return tuple(found)


def _failed(
    error: Exception, main: Path, wanted: Wanted, steps: list[Step], forecast: Forecast | None, person: Any
) -> Failed:
    if isinstance(error, OSError):
        known: ProvisioningError = ProvisioningError(f"{error.filename or main} can't be used: {error.strerror}.")
    else:
        known = error if isinstance(error, ProvisioningError) else ProvisioningError(str(error))
    words = ""
    if forecast is not None:
        words = told_words(known.server_words, secrets_of(forecast), keys=may(person, "change", NatsUser))
    system = System.objects.filter(name=wanted.system).first()
    record("take-over failed", system, file=str(main), why=known.detail, steps=[step.text for step in steps])
    return Failed(known, tuple(steps), words)


def _connected(forecast: Forecast) -> dict[int, str] | None:
    """{cid: login} of the clients that are connected now, without nunect's own; None when nobody can tell."""
    url = monitoring_url(forecast.seen.parsed.tree) if forecast.seen.process else ""
    found = ask_http(url, "connz?auth=1&limit=10000")
    if found is None:
        return None
    system = System.objects.filter(system_account=forecast.system_account)
    own = {key for keys in system.values_list("control_nkey", "relay_nkey", "jetstream_nkey") for key in keys}
    logins = {each["cid"]: each.get("authorized_user") or each.get("nkey") or "" for each in found["connections"] or ()}
    return {cid: login for cid, login in logins.items() if login not in own}
