"""What a release would write: one plain conf for each server, proven to mean what runs."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts_app.models import System
from accounts_app.natsconf.comparable import comparable
from accounts_app.natsconf.digest import digest
from accounts_app.natsconf.errors import NatsConfError
from accounts_app.natsconf.parse import parse
from accounts_app.natsconf.plain import plain_text, plain_text_without, rest_of
from accounts_app.natsconf.tree import Tree
from provisioning.errors import ProvisioningError
from provisioning.files import GENERATED, MAIN, text_hash
from provisioning.mains import mains_of
from provisioning.release_files import noted, read_note
from provisioning.running_conf import Unreadable, read_running
from provisioning.server import Fleet, Seen
from provisioning.takeover.judging import judge, tree_of
from provisioning.takeover.seeing import see

Own = Literal["stay", "go"]


@dataclass(frozen=True, slots=True)
class Plain:
    """One server's conf. text: what to write into its main file, "" when it stands there already."""

    path: Path
    text: str
    digest: str


@dataclass(frozen=True, slots=True)
class Plan:
    """files: of each main file of the folder, its own nats-server.conf first."""

    files: tuple[Plain, ...]
    own: Own
    seen: list[Seen]

    @property
    def digest(self) -> str:
        """Of the folder's own main file."""
        return self.files[0].digest

    @property
    def left(self) -> list[Plain]:
        """What is still to be written."""
        return [each for each in self.files if each.text]


def look_ahead(system: System, own: Own) -> str:
    """What a release would write into the main file, as text. Raises ValidationError for what is in its way; nothing is
    written."""
    with Fleet(system) as fleet:
        return make_plan(system, own, fleet).files[0].text


def diff_ahead(system: System, own: Own) -> str:
    """The same as the lines of the main files that go and come: what else stands there is nobody's to show."""
    with Fleet(system) as fleet:
        files = make_plan(system, own, fleet).files
    told: list[str] = []
    for each in files:
        before, name = _text(each.path), os.path.relpath(each.path, system.folder)
        told += difflib.unified_diff(before.splitlines(), each.text.splitlines(), name, name, n=0, lineterm="")
    return "\n".join(told).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def begun(system: System, fleet: Fleet) -> Plan | None:
    """The rest of a release that was cut short after it had written one of its files; None when none was."""
    mains = noted(system.folder)
    own: Own = "go" if read_note(system.folder).get("own") == "go" else "stay"
    try:
        turned = {path for path, hash_ in mains.items() if text_hash(path.read_bytes()) == hash_}
        if not turned:
            return None
        left = {each.path: each for each in _plains(system, own, [path for path in mains if path not in turned])}
        files = [left.get(path) or Plain(path, "", digest(see(path).parsed.tree)) for path in mains]
        return Plan(tuple(files), own, fleet.see())
    except (OSError, NatsConfError):
        return None


def make_plan(system: System, own: Own, fleet: Fleet) -> Plan:
    """What is to be written, proven to mean what runs. Raises ValidationError."""
    try:
        read_running(system.folder)
        mains = mains_of(system.folder, system.guard_nkey)
        seen = _seen([see(main).parsed.tree for main in mains], fleet)
        return Plan(tuple(_plains(system, own, mains)), own, seen)
    except Unreadable as error:
        raise ValidationError(str(error)) from error
    except (NatsConfError, ProvisioningError, OSError) as error:
        raise ValidationError(in_one_sentence(error)) from error


def _plains(system: System, own: Own, mains: Iterable[Path]) -> Iterator[Plain]:
    """The plain confs of main files that still include the generated one. Raises ValidationError."""
    folder, identity = system.folder, system.identity
    generated = folder / GENERATED
    for main in mains:
        running = see(main, folder=folder)
        tree, name = running.parsed.tree, os.path.relpath(generated, main.parent)
        if own == "stay":
            text = plain_text(_text(main), _text(generated), name, system.revision, identity)
        else:
            part = parse(_text(generated), file=GENERATED).tree
            text = plain_text_without(_text(main), tree, part, name, system.revision, identity)
        made = judge(running, {str(main): text}, _text(generated))
        after = tree_of(running, {str(main): text}, "").tree
        if own == "stay":
            same = made == digest(tree)
        else:
            same = (comparable(after, identity), rest_of(after)) == (comparable(tree, identity), rest_of(tree))
        if not same:
            raise ValidationError(
                _("In one file the conf would mean something else: put the two together by hand.")
                if main.name == MAIN
                else _("%s would mean something else in one file: put the two together by hand.") % main
            )
        yield Plain(main, text, made)


def _text(path: Path) -> str:
    return path.read_bytes().decode("utf-8", "surrogateescape")


def _seen(trees: Iterable[Tree], fleet: Fleet) -> list[Seen]:
    """The servers, each known to run what stands in the files of one main file. Raises ValidationError."""
    seen = fleet.see()
    if not seen:
        raise ValidationError(
            _("%s Without an answer nobody can prove that the one file says what runs.") % fleet.problem
        )
    stand = {digest(tree) for tree in trees}
    other = [one.name for one in seen if one.config_digest not in stand]
    if other:
        raise ValidationError(
            _("%s runs something else than what stands in the files here. Let go of it with its files as they are.")
            % ", ".join(other)
        )
    return seen


def in_one_sentence(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return " ".join(error.messages)
    if isinstance(error, ProvisioningError):
        return f"{error.detail} {error.server_words}".strip()
    return f"{error.filename}: {error.strerror}." if isinstance(error, OSError) else str(error)
