"""What others changed: the file on disk and the running servers against the last revision."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.utils import timezone

from accounts_app.models import System, record
from accounts_app.natsconf.diff import diff
from accounts_app.natsconf.errors import NatsConfError
from accounts_app.natsconf.parse import parse
from accounts_app.natsconf.specs import AccountSpec
from accounts_app.natsconf.user_changes import names_by_nkey
from provisioning.binary import validate_folder
from provisioning.errors import Invalid, ProvisioningError
from provisioning.files import GENERATED, Intent, text_hash
from provisioning.models import Drift, Revision
from provisioning.server import Seen

_NKEY = re.compile(r"\bU[A-Z2-7]{55}\b")
SHOWN = 100  # changes kept in a row; the rest is counted


@dataclass(frozen=True, slots=True)
class Difference:
    """A file or a server that holds what nunect did not put there.

    usable: whether a server would take the file; an unusable one is always repaired.
    """

    where: Drift.Where
    summary: str
    changes: list[dict[str, Any]]
    usable: bool
    text_sha256: str = ""


def in_file(
    found: bytes | None, revision: Revision | None, intent: Intent, expected: Callable[[], str], folder: Path
) -> Difference | None:
    """Compare the generated file with the last revision and with what the last writer was about to write."""
    if revision is None and not intent.text_sha256:
        return None
    ours = {intent.text_sha256, revision.text_sha256 if revision else ""} - {""}
    actual = text_hash(found) if found is not None else ""
    if actual in ours:
        return None
    where = Drift.Where.FILE
    if found is None:
        return Difference(where, f"{GENERATED} is gone.", [], False)
    if not found.strip():
        return Difference(where, f"{GENERATED} is empty.", [], False, actual)
    try:
        text = found.decode("utf-8")
        theirs = parse(text, file=GENERATED).tree
        validate_folder(folder, text)
    except (NatsConfError, UnicodeDecodeError) as error:
        return Difference(where, f"{GENERATED} can't be read: {error}"[:500], [], False, actual)
    except Invalid as error:
        return Difference(where, f"A server would refuse {GENERATED}: {error.server_words}"[:500], [], False, actual)
    except ProvisioningError:
        pass  # nobody could judge it; it is a difference all the same
    words = in_words(parse(expected(), file=GENERATED).tree, theirs)
    return Difference(where, f"{GENERATED} was changed by hand.", words, True, actual)


def in_servers(foreign: Iterable[Seen]) -> Difference | None:
    """What servers run that run neither what they should nor what they did."""
    servers = list(foreign)
    if not servers:
        return None
    names = ", ".join(one.name for one in servers)
    runs = {
        f"an altered revision {one.revision}" if one.revision else "a conf without nunect's mark" for one in servers
    }
    return Difference(Drift.Where.SERVER, f"{names} runs {' or '.join(sorted(runs))}."[:500], [], True)


def in_words(
    ours: dict[str, Any],
    theirs: dict[str, Any],
    specs: Iterable[AccountSpec] = (),
    former: Callable[[], Iterable[AccountSpec]] = tuple,
) -> list[dict[str, Any]]:
    """The difference of two trees for a person; at most SHOWN lines and a count of the others.

    specs: rows of the new tree, which name users that the conf knows by their nkey; former: those of the
    old one, read only when a sentence would name a key that the new rows don't have.
    """
    names = names_by_nkey(specs)
    changes = diff(ours, theirs, names)
    if any(key not in names for change in changes for key in _NKEY.findall(str(change))):
        changes = diff(ours, theirs, names_by_nkey(former()) | names)
    words = [change.as_dict() for change in changes[:SHOWN]]
    if len(changes) > SHOWN:
        words.append({"text": f"and {len(changes) - SHOWN} more changes", "removes_access": False})
    return words


def remember(system: System, difference: Difference) -> bool:
    """Write a drift down, once, and say whether it is to be repaired now.

    An unusable file always is; else the system's policy says so, or a person's answer to this very content.
    """
    known = Drift.objects.filter(system=system, where=difference.where, text_sha256=difference.text_sha256)
    row = known.filter(state__in=(Drift.State.OPEN, Drift.State.APPROVED)).first()
    approved = row is not None and row.state == Drift.State.APPROVED
    repair = approved or not difference.usable or system.drift_policy == System.DriftPolicy.REPAIR
    if row is None:
        row = Drift(system=system, where=difference.where, text_sha256=difference.text_sha256)
        row.summary, row.changes = difference.summary, difference.changes
        record("drift found", system, where=str(difference.where), summary=difference.summary, repaired=repair)
    row.state = Drift.State.REPAIRED if repair else Drift.State.OPEN
    row.answered_at = row.answered_at or (timezone.now() if repair else None)
    row.save()
    return repair


def forget_open(system: System) -> None:
    """Everything agrees again: what was open has been settled by somebody."""
    Drift.objects.filter(system=system).exclude(state=Drift.State.REPAIRED).update(
        state=Drift.State.REPAIRED, answered_at=timezone.now()
    )
