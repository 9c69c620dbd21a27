"""What a release would write: one plain conf, proven to mean what runs."""

from __future__ import annotations

import difflib
from dataclasses import dataclass
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
from provisioning.binary import validate_folder
from provisioning.errors import ProvisioningError
from provisioning.files import GENERATED, MAIN, text_hash
from provisioning.release_files import read_note
from provisioning.running_conf import Unreadable, parse_text, read_running
from provisioning.server import Fleet, Seen

Own = Literal["stay", "go"]


@dataclass(frozen=True, slots=True)
class Plan:
    """text: what to write, "" when it stands there already."""

    text: str
    digest: str
    own: Own
    seen: list[Seen]


def look_ahead(system: System, own: Own) -> str:
    """What a release would write, as text. Raises ValidationError for what is in its way; nothing is written."""
    with Fleet(system) as fleet:
        return make_plan(system, own, fleet).text


def diff_ahead(system: System, own: Own) -> str:
    """The same as the lines of the main file that go and come: what else stands there is nobody's to show."""
    after = look_ahead(system, own)
    before = (system.folder / MAIN).read_bytes().decode("utf-8", "surrogateescape")
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), MAIN, MAIN, n=0, lineterm="")
    return "\n".join(lines).encode("utf-8", "surrogateescape").decode("utf-8", "replace")


def begun(system: System, fleet: Fleet) -> Plan | None:
    """The rest of a release that was cut short after it had written the one file; None when none was."""
    note, folder = read_note(system.folder), system.folder
    try:
        if not note or text_hash((folder / MAIN).read_bytes()) != note.get("text_sha256"):
            return None
        own: Own = "go" if note.get("own") == "go" else "stay"
        return Plan("", digest(read_running(folder).parsed.tree), own, fleet.see())
    except (OSError, Unreadable):
        return None


def make_plan(system: System, own: Own, fleet: Fleet) -> Plan:
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
        raise ValidationError(in_one_sentence(error)) from error
    if made != digest(tree):
        raise ValidationError(_("nats-server reads another conf from it than nunect: put the two together by hand."))
    if own == "stay":
        same = made == digest(running.parsed.tree)
    else:
        both = [(comparable(each, identity), rest_of(each)) for each in (tree, running.parsed.tree)]
        same = both[0] == both[1]
    if not same:
        raise ValidationError(_("In one file the conf would mean something else: put the two together by hand."))
    return Plan(text, made, own, seen)


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


def in_one_sentence(error: Exception) -> str:
    if isinstance(error, ValidationError):
        return " ".join(error.messages)
    if isinstance(error, ProvisioningError):
        return f"{error.detail} {error.server_words}".strip()
    return f"{error.filename}: {error.strerror}." if isinstance(error, OSError) else str(error)
