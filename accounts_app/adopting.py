"""A conf that was edited by hand → rows: what differs from the conf as nunect wrote it, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from accounts_app.importing import at_home, hashed, shown_as_before, where
from accounts_app.known_hashes import with_known_hashes
from accounts_app.models import Account, NatsUser, System
from accounts_app.natsconf.adopting import merged
from accounts_app.natsconf.changes import Change
from accounts_app.natsconf.diff import diff
from accounts_app.natsconf.parse import Parsed
from accounts_app.natsconf.reading import Reading, read_accounts
from accounts_app.natsconf.render import Block, RenderError, render_snapshot
from accounts_app.natsconf.specs import CONTROL_ACCOUNT, AccountSpec, Snapshot
from accounts_app.natsconf.tree import whole
from accounts_app.natsconf.user_changes import names_by_nkey
from accounts_app.reconcile import reconcile
from accounts_app.row_writer import Changes
from accounts_app.snapshot import read_accounts as read_rows
from accounts_app.snapshot import read_shared_roles
from accounts_app.spec_rows import comparable

TOLD = 50  # sentences of a kind; the rest is counted


@dataclass(frozen=True, slots=True)
class Adopted:
    """What became of a conf. changes: of rows; lost: what goes with it or can't be rows; kept: what stays though
    no conf says it; then: what clients see change when nunect writes its own text, () when it means the same.
    blocks: {account: sha256 of what its rows render} of what the hand changed, "" for those that go. stamp: the conf
    that was looked at, "" where something else tells it.
    """

    changes: Changes
    lost: tuple[str, ...]
    kept: tuple[str, ...]
    then: tuple[Change, ...]
    blocks: Mapping[str, str]
    stamp: str = ""


@transaction.atomic
def adopt_conf(
    system: System,
    edited: Parsed,
    before: Parsed,
    then: Callable[[Mapping[str, Block]], tuple[Change, ...]] | None = None,
) -> Adopted:
    """Make the rows say what `edited` does where it differs from `before`; all else of the rows stays.

    then: what clients see change when nunect writes what the rows render now; without it by the text of `edited`.
    Raises ValidationError, ReconcileError with the places, when that can't be.
    """
    theirs, ours = read(system, edited), read(system, before)
    if theirs.refused:
        raise ValidationError([note.sentence for note in theirs.notes])
    fingerprints = dict[str, str]()
    after = {spec.name: hashed(system, spec, fingerprints) for spec in theirs.accounts}
    was = _by_name(ours)
    touched = {name for name in after.keys() | was.keys() if _differs(after.get(name), was.get(name))}
    touched.discard(CONTROL_ACCOUNT)
    own = Account.objects.filter(system=system)
    rows = {spec.name: spec for spec in read_rows(own.values_list("pk", flat=True)).values()}
    shared = read_shared_roles(system.pk)
    specs: list[AccountSpec] = []
    gone: set[str] = set()
    lost, kept = _not_rows(theirs, ours, touched), list[str]()
    for name in sorted(touched):
        spec, now = after.get(name), rows.get(name)
        if spec is None and not (name.startswith("$") or name == system.system_account):
            gone.add(name)
            lost += _gone(now)
            continue
        spec = spec or AccountSpec(name)
        if now is None:
            specs.append(spec)
            continue
        one = merged(spec, was.get(name, AccountSpec(name)), now, shared)
        specs.append(one.spec)
        lost += one.lost
        kept += one.kept
    keep = frozenset(rows.keys() - gone)
    changes = reconcile(system, specs, prune=bool(gone), keep=keep, fingerprints=fingerprints)
    blocks = rendered(system)
    seen = _then(system, edited.tree, blocks) if then is None else then(blocks)
    shas = {name: blocks[name].sha256 if name in blocks else "" for name in touched}
    return Adopted(changes, _few(lost), _few(kept), seen, shas)


def read(system: System, parsed: Parsed) -> Reading:
    """What a conf says, the system account by the name that this system has for it."""
    known = dict(NatsUser.objects.filter(system=system).exclude(nkey="").values_list("nkey", "name"))
    reading = read_accounts(parsed, own=system.own_nkeys, keys=known)
    specs = at_home(reading, system)
    if not reading.control:  # a conf that isn't by nunect
        specs = shown_as_before(system, specs, reading)
    return replace(reading, accounts=tuple(specs))


def _by_name(reading: Reading) -> dict[str, AccountSpec]:
    return {spec.name: spec for spec in reading.accounts}


def _differs(after: AccountSpec | None, was: AccountSpec | None) -> bool:
    """Whether the hand has changed an account; whether it shows its streams is nunect's own matter."""
    if after is None or was is None:
        return True
    return comparable(replace(after, jetstream_control=True)) != comparable(replace(was, jetstream_control=True))


def _not_rows(theirs: Reading, ours: Reading, touched: set[str]) -> list[str]:
    """What of the conf a person should know: what can't be rows, with its place, and what is weak."""
    known = {(note.path, note.sentence) for note in ours.notes}
    found = []
    for note in theirs.notes:
        inside = str(note.path[0]).lower() in ("accounts", "authorization") if note.path else False
        if note.verdict == "weak" and len(note.path) > 1 and note.path[0] == "accounts" and note.path[1] not in touched:
            continue
        if inside and note.verdict in ("refused", "weak") and (note.path, note.sentence) not in known:
            found.append(f"{where(note)}: {note.sentence}" if note.position else note.sentence)
    return list(dict.fromkeys(found))


def _gone(now: AccountSpec | None) -> list[str]:
    """What the rows of an account hold that goes, and that its conf did not say."""
    if now is None:
        return []
    asleep = [user for user in now.users if not user.enabled]
    parts = [(_("%d users that are not in force"), len(asleep)), (_("%d roles"), len(now.roles))]
    said = " and ".join(text % count for text, count in parts if count)
    return [_("With account “%(account)s” go %(what)s.") % {"account": now.name, "what": said}] if said else []


def rendered(system: System) -> dict[str, Block]:
    """What all rows of the system render now; nothing of it is kept."""
    accounts = read_rows(Account.objects.filter(system=system).values_list("pk", flat=True))
    specs = tuple(spec for spec in accounts.values() if spec.name != CONTROL_ACCOUNT)
    try:
        return render_snapshot(Snapshot(system.identity, specs, read_shared_roles(system.pk)))
    except RenderError as refused:
        raise ValidationError(str(refused)) from refused


def _then(system: System, edited: dict[str, Any], blocks: Mapping[str, Block]) -> tuple[Change, ...]:
    accounts = read_rows(Account.objects.filter(system=system).values_list("pk", flat=True))
    mine = whole({name: block.tree for name, block in blocks.items()})
    theirs = {key.lower(): value for key, value in edited.items() if key.lower() in ("accounts", "authorization")}
    if isinstance(theirs.get("accounts"), Mapping):
        theirs = with_known_hashes(system, theirs)
    return tuple(diff(theirs, mine, names_by_nkey(accounts.values())))


def _few(sentences: list[str]) -> tuple[str, ...]:
    if len(sentences) <= TOLD:
        return tuple(sentences)
    return (*sentences[:TOLD], _("and %d more") % (len(sentences) - TOLD))
