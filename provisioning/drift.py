"""What others changed: the file on disk and the running servers against the last revision."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.db.models import Case, F, QuerySet, Value, When
from django.utils import timezone
from django.utils.formats import date_format

from accounts_app.models import Account, System, record
from accounts_app.natsconf.diff import diff
from accounts_app.natsconf.errors import NatsConfError
from accounts_app.natsconf.parse import parse
from accounts_app.natsconf.specs import AccountSpec
from accounts_app.natsconf.user_changes import names_by_nkey
from provisioning.binary import validate_folder
from provisioning.errors import Invalid, ProvisioningError
from provisioning.files import GENERATED, MAIN, Intent, text_hash
from provisioning.models import Drift, Revision
from provisioning.server import Seen

_NKEY = re.compile(r"\bU[A-Z2-7]{55}\b")
SHOWN = 100  # changes kept in a row; the rest is counted
UNSETTLED = (Drift.State.OPEN, Drift.State.APPROVED, Drift.State.IGNORED, Drift.State.ADOPTING)


@dataclass(frozen=True, slots=True)
class Difference:
    """A file or a server that holds what nunect did not put there.

    usable: whether a server would take the file; an unusable one is always repaired. text_sha256: of its
    content, or the digests that the servers report: an answer counts for that alone. digests: those of the servers.
    """

    where: Drift.Where
    summary: str
    changes: list[dict[str, Any]]
    usable: bool
    text_sha256: str = ""
    digests: tuple[str, ...] = ()


def in_file(
    found: bytes | None,
    revision: Revision | None,
    intent: Intent,
    expected: Callable[[], str],
    folder: Path,
    others: Iterable[str] = (),
) -> Difference | None:
    """Compare the generated file with the last revision and with what the last writer was about to write.

    others: further main files of the folder, whose servers must take it, too.
    """
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
    except (NatsConfError, UnicodeDecodeError) as error:
        return Difference(where, f"{GENERATED} can't be read: {error}"[:500], [], False, actual)
    for main in (MAIN, *others):
        try:
            validate_folder(folder, text, main=main)
        except Invalid as error:
            if _is_taken(folder, expected(), main):  # else it is another file that a server refuses
                which = GENERATED if main == MAIN else f"{GENERATED} in {main}"
                return Difference(
                    where, f"A server would refuse {which}: {error.server_words}"[:500], [], False, actual
                )
        except ProvisioningError:
            pass  # nobody could judge it; it is a difference all the same
    words = in_words(parse(expected(), file=GENERATED).tree, theirs)
    return Difference(where, f"{GENERATED} was changed by hand.", words, True, actual)


def _is_taken(folder: Path, text: str, main: str) -> bool:
    try:
        validate_folder(folder, text, main=main)
    except ProvisioningError:
        return False
    return True


def in_servers(foreign: Iterable[Seen], files: Mapping[str, str]) -> Difference | None:
    """What servers run that run neither what they should nor what they did. files: {server: its main file}, where there
    are several."""
    servers = list(foreign)
    if not servers:
        return None
    names = ", ".join(f"{one.name} ({files[one.name]})" if one.name in files else one.name for one in servers)
    runs = {
        f"an altered revision {one.revision}" if one.revision else "a conf without nunect's mark" for one in servers
    }
    digests = tuple(sorted({one.config_digest for one in servers}))
    summary = f"{names} {'runs' if len(servers) == 1 else 'run'} {' or '.join(sorted(runs))}."[:500]
    return Difference(Drift.Where.SERVER, summary, [], True, content_of(digests), digests)


def content_of(digests: Iterable[str]) -> str:
    """What stands for the digests that servers report, each once."""
    found = sorted(set(digests))
    return found[0] if len(found) == 1 else text_hash("\n".join(found))


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


def remember(system: System, difference: Difference) -> Drift:
    """Write a drift down, once; its state says whether something may be written over it now.

    An unusable file is always repaired; else the system's policy says so, or a person's answer to this very content.
    """
    here = Drift.objects.filter(system=system, state__in=UNSETTLED)
    alike = here.filter(where=difference.where)
    row = alike.filter(text_sha256=difference.text_sha256).first()
    if row is None and difference.where == Drift.Where.SERVER:
        # a run died between its write and its reload, or somebody has answered whatever runs there
        adopting = here.filter(state=Drift.State.ADOPTING)
        row = next((each for each in adopting if set(difference.digests) <= _adopted_digests(each)), None)
        row = row or alike.filter(state=Drift.State.APPROVED, text_sha256="").first()
    _settle(here if row is None else here.exclude(pk=row.pk), Drift.State.GONE)
    if row is not None and row.state == Drift.State.IGNORED and _over(row):
        row.state, row.ignored_until, row.answered_at, row.answered_by = Drift.State.OPEN, None, None, None
    by_policy = not difference.usable or system.drift_policy == System.DriftPolicy.REPAIR
    if row is None:
        row = Drift(system=system, where=difference.where, text_sha256=difference.text_sha256)
        row.summary, row.changes = difference.summary, difference.changes
        told = {"where": str(difference.where), "summary": difference.summary}
        record("drift found", system, **told, repaired=by_policy)
    elif row.state in (Drift.State.ADOPTING, Drift.State.IGNORED):
        return row
    if row.state == Drift.State.APPROVED or by_policy:
        row.state, row.answered_at = Drift.State.REPAIRED, row.answered_at or timezone.now()
    row.save()
    return row


def _adopted_digests(row: Drift) -> set[str]:
    """What servers report that run what was adopted."""
    return {*row.adopted.get("digests", ()), row.adopted.get("digest", "")}


def _over(row: Drift) -> bool:
    return row.ignored_until is not None and row.ignored_until <= timezone.now()


def _settle(rows: QuerySet[Drift], state: Drift.State) -> None:
    """End what is settled by something else; what a person has adopted is in the rows."""
    settled = Case(When(state=Drift.State.ADOPTING, then=Value(Drift.State.ADOPTED)), default=Value(state))
    rows.update(state=settled, answered_at=timezone.now())


def forget_open(system: System) -> None:
    """Everything agrees again: what was open has been settled by somebody."""
    _settle(Drift.objects.filter(system=system, state__in=UNSETTLED), Drift.State.REPAIRED)


def wait_ignored(system: System, row: Drift) -> None:
    """A difference that is ignored is no problem of the system; accounts whose rows have changed wait, and say so."""
    until = ""
    if row.ignored_until is not None:
        until = f" until {date_format(timezone.localtime(row.ignored_until), 'Y-m-d H:i')}"
    why = f"{row.summary.rstrip('.')} and is ignored{until}: changes wait."
    if row.where == Drift.Where.SERVER:
        why = f"{row.summary.rstrip('.')}, which is ignored{until}: changes wait."
    behind = QuerySet[Account](Account).filter(system=system).exclude(done=F("wanted"))
    waiting = behind.exclude(problem_kind=Account.Problem.FAILED)
    told = waiting.exclude(problem_kind=Account.Problem.HELD, problem=why, problem_wanted=F("wanted"))
    for account in told:
        record("account held", account, why=why)
    told.update(problem_kind=Account.Problem.HELD, problem=why, problem_wanted=F("wanted"))
    quiet = {"problem": "", "problem_step": "", "problem_at": None, "checked_at": timezone.now()}
    QuerySet(System).filter(pk=system.pk).update(**quiet)
    if not behind.exists():
        QuerySet(System).filter(pk=system.pk, wanted=system.wanted).update(done=F("wanted"))
