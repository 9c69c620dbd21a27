"""What a take-over would do, as a person may see it, and the stamp that tells it from anything else."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.core.exceptions import ValidationError

from accounts_app.access import may
from accounts_app.conf_text import MASK, masked
from accounts_app.models import NatsUser, System
from accounts_app.natsconf.digest import digest
from accounts_app.natsconf.errors import ConfSyntaxError, NatsConfError
from accounts_app.natsconf.hiding import hidden_reason
from accounts_app.stages import why_unwritten
from provisioning.errors import Invalid
from provisioning.machine import ask_http, client_urls, monitoring_url
from provisioning.takeover import journal as journals
from provisioning.takeover import places
from provisioning.takeover.forecast import Forecast, Part
from provisioning.takeover.looking import look
from provisioning.takeover.seeing import see
from provisioning.takeover.showing import ShownFile, secrets_in, shown_files, told_words

_PLACE = re.compile(r"(/[^\n]*?):(\d+):(\d+): (.*)", re.S)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What somebody asks for. system: the name of the one that the accounts become; url: how nunect reaches the
    servers, "" as their files say; environ: variables where a server's process can't be asked; others: main files of
    further servers."""

    file: str
    system: str = ""
    url: str = ""
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    others: tuple[str, ...] = ()

    @property
    def files(self) -> tuple[str, ...]:
        """All main files as they were named."""
        return (self.file, *self.others)


@dataclass(frozen=True, slots=True)
class Place:
    """A sentence, and where in the files; file "" and 0 for one that belongs to no place."""

    text: str
    file: str = ""
    line: int = 0
    column: int = 0


@dataclass(frozen=True, slots=True)
class Server:
    """One server of it. digest_now: of its files as they stand; runs_it: whether it reports just that, None when it
    can't be asked."""

    part: Part = field(repr=False)
    digest_now: str = ""
    runs_it: bool | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """What a take-over would do. main: the first file; stamp: tells what was shown from anything else; keys: the person
    may see public nkeys.
    """

    wanted: Wanted
    main: Path
    in_the_way: tuple[Place, ...]
    notes: tuple[Place, ...] = ()
    files: tuple[ShownFile, ...] = ()
    forecast: Forecast | None = field(default=None, repr=False)
    servers: tuple[Server, ...] = ()
    stamp: str = ""
    keys: bool = False

    @property
    def possible(self) -> bool:
        """Whether nothing stands against it."""
        return not self.in_the_way

    def sentences(self) -> list[str]:
        """All of it for a person."""
        found = self.forecast.sentences() if self.forecast and self.possible else ()
        return [masked(text.replace(" (--json prints all)", ""), keys=self.keys) for text in found]

    @property
    def differences(self) -> list[str]:
        """What accounts, users and permissions would not be as now."""
        return [masked(text, keys=self.keys) for text in (self.forecast.differences if self.forecast else ())]

    @property
    def overwritten(self) -> list[str]:
        """What becomes of rows that the system has already."""
        return [masked(text, keys=self.keys) for text in (self.forecast.overwritten if self.forecast else ())]

    @property
    def restarts(self) -> tuple[str, ...]:
        """What only a restart of the server would do, in sentences."""
        return tuple(getattr(self.forecast, "restarts", ()))

    @property
    def digest_now(self) -> str:
        """Of the files of the first server as they stand."""
        return self.servers[0].digest_now if self.servers else ""

    @property
    def runs_it(self) -> bool | None:
        """Whether all report what stands in their files; None when one can't be asked, and none reports otherwise."""
        told = [server.runs_it for server in self.servers if server.part.runs]
        return False if False in told else None if None in told or not told else True

    @property
    def url(self) -> str:
        """How nunect will reach the servers."""
        if self.wanted.url or self.forecast is None:
            return self.wanted.url
        kept = System.objects.filter(name=self.wanted.system).values_list("nats_url", flat=True).first()
        return client_urls((seen.parsed.tree for seen in self.forecast.looks), kept or "")


def look_at(wanted: Wanted, mains: Sequence[Path], person: Any) -> Shown:
    """Look at main files of the allowed folders, the first one first. Raises ValidationError, ProvisioningError."""
    main, *others = mains
    for each in mains:
        places.check_includes(each, wanted.environ)
    if any(journals.find(each, "begun") is not None for each in mains):
        text = (
            "A take-over of this file is under way, or was cut short: wait for it, end it with `nunect takeover`, or "
            "put its former files back."
        )
        return Shown(wanted, main, (Place(text),))
    try:
        forecast = look(main, System.objects.filter(name=wanted.system).first(), wanted.environ, others=others)
    except ConfSyntaxError as error:
        return Shown(wanted, main, (_unreadable(error),))
    except NatsConfError as error:
        return Shown(wanted, main, (Place(str(error)),))
    except OSError as error:
        why = f"{error.filename or main} can't be read: {error.strerror}."
        raise ValidationError({"file": why}) from error
    except Invalid as error:
        secrets = secrets_in({name for each in mains for name in see(each, wanted.environ).hashes})
        words = told_words(error.server_words, secrets, keys=may(person, "change", NatsUser))
        return Shown(wanted, main, tuple(Place(text) for text in (error.detail, *words.splitlines())))
    return shown_of(wanted, main, forecast, person)


def _unreadable(error: ConfSyntaxError) -> Place:
    try:
        lines = Path(error.file).read_bytes().decode("utf-8", "replace").split("\n")
    except OSError:
        lines = []
    line = lines[error.line - 1] if 0 < error.line <= len(lines) else ""
    return Place(hidden_reason(error.reason, line, MASK), error.file, error.line, error.column)


def shown_of(wanted: Wanted, main: Path, forecast: Forecast, person: Any) -> Shown:
    """What this person may see of a forecast, and its stamp."""
    keys = may(person, "change", NatsUser)
    files = shown_files(forecast, keys=keys) if forecast.possible else ()
    told = {
        "asked": [str(main), wanted.system, wanted.url, sorted(wanted.environ.items())],
        "hashes": {name: hash_ for seen in forecast.looks for name, hash_ in seen.hashes.items()},
        "says": [forecast.refusals, forecast.weak, forecast.left, forecast.differences, forecast.overwritten],
        "what": [forecast.accounts, forecast.users, forecast.system_account, forecast.opened],
        "files": [[each.path, each.becomes] for each in files],
        "running": [[str(part.seen.main), part.runs] for part in forecast.parts],
    }
    text = json.dumps(told, sort_keys=True).encode("utf-8", "surrogatepass")
    released = System.objects.filter(name=wanted.system, stage=System.Stage.RELEASED).first()
    let_go = [Place(f"{why_unwritten(released)} Observe it again, or name another system.")] if released else []
    return Shown(
        wanted,
        main,
        (*_places(forecast.refusals, keys), *let_go),
        _places((*forecast.weak, *forecast.left), keys),
        files,
        forecast,
        tuple(_server(part) for part in forecast.parts),
        hashlib.sha256(text).hexdigest()[:32],
        keys,
    )


def _server(part: Part) -> Server:
    now = digest(part.seen.parsed.tree)
    varz = ask_http(monitoring_url(part.seen.parsed.tree), "varz") if part.runs else None
    reported = (varz or {}).get("config_digest")
    return Server(part, now, None if reported is None else reported == now)


def _places(sentences: tuple[str, ...], keys: bool) -> tuple[Place, ...]:
    found = []
    for sentence in sentences:
        shown = masked(sentence, keys=keys)
        match = _PLACE.fullmatch(shown)
        found.append(Place(match[4], match[1], int(match[2]), int(match[3])) if match else Place(shown))
    return tuple(found)
