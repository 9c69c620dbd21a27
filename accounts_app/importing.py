"""A conf that people have → rows: what was taken, what was left, and what can't be rows, line by line."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from django.db import transaction
from django.db.models import QuerySet

from accounts_app import credentials
from accounts_app.models import Account, NatsUser, System, record
from accounts_app.natsconf.errors import ConfSyntaxError
from accounts_app.natsconf.notes import Note
from accounts_app.natsconf.parse import Parsed, parse
from accounts_app.natsconf.reading import Reading, read_accounts
from accounts_app.natsconf.refusing import system_account
from accounts_app.natsconf.specs import AccountSpec, SecretSpec, UserSpec
from accounts_app.reconcile import reconcile
from accounts_app.row_writer import Changes
from accounts_app.systems import name_system_account


@dataclass(slots=True)
class ImportReport:
    """What became of a conf. refused: nothing was taken, and the notes say why.

    notes: places of the conf with a verdict ("taken", "left", "weak", "refused") and a sentence.
    variables: what came from the environment that was given.
    """

    notes: tuple[Note, ...] = ()
    changes: Changes = field(default_factory=Changes)
    accounts: int = 0
    users: int = 0
    refused: bool = False
    dry_run: bool = False
    variables: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON values."""
        return {
            "refused": self.refused,
            "dry_run": self.dry_run,
            "accounts": self.accounts,
            "users": self.users,
            "changes": self.changes.as_dict(),
            "variables": list(self.variables),
            "notes": [
                {"where": where(note), "path": list(note.path), "verdict": note.verdict, "sentence": note.sentence}
                for note in self.notes
            ],
        }


def where(note: Note) -> str:
    """file:line:column of a note, "" when it belongs to no place."""
    place = note.position
    return f"{place.file}:{place.line}:{place.column}" if place else ""


def read_conf(path: Path, environ: Mapping[str, str] | None = None) -> Parsed:
    """Parse a conf file with its includes. Raises NatsConfError with the place, or OSError."""

    def read(name: str) -> str:
        return Path(name).read_bytes().decode("utf-8", "surrogateescape")

    parsed = parse(read(str(path)), file=str(path), read=read, environ=environ)
    if not parsed.tree:
        raise ConfSyntaxError(str(path), 1, 1, "Nothing is set in this file; a server refuses it.")
    return parsed


def import_conf(system: System, parsed: Parsed, *, dry_run: bool = False) -> ImportReport:
    """Make rows of what a conf says, all or nothing; the same conf again changes nothing.

    Passwords in clear are hashed at the low cost and remembered by a keyed fingerprint. The file's own
    system account becomes the system's, and keeps its name where nunect has only observed. Raises ReconcileError
    with the places that can't be rows.
    """
    ours, kept = system.system_account, False
    try:
        with transaction.atomic():
            if system.stage == System.Stage.OBSERVED and system.revision is None:
                name_system_account(system, system_account(parsed.tree))
                QuerySet(System).filter(pk=system.pk).update(system_account=system.system_account)
            report = _imported(system, parsed, dry_run)
            kept = not (dry_run or report.refused)
            transaction.set_rollback(not kept)
    finally:
        if not kept:
            system.system_account = ours
    return report


def _imported(system: System, parsed: Parsed, dry_run: bool) -> ImportReport:
    fingerprints: dict[str, str] = {}
    reading, specs = read_specs(system, parsed, fingerprints)
    variables = tuple(sorted(parsed.variables))
    if reading.refused:
        return ImportReport(reading.notes, refused=True, dry_run=dry_run, variables=variables)
    changes = reconcile(system, specs, fingerprints=fingerprints)
    if changes:
        record("imported", system, accounts=len(specs), changes=changes.as_dict())
    return ImportReport(
        reading.notes, changes, len(specs), sum(len(spec.users) for spec in specs), False, dry_run, variables
    )


def read_specs(
    system: System, parsed: Parsed, fingerprints: dict[str, str] | None = None
) -> tuple[Reading, list[AccountSpec]]:
    """What a conf says, and the rows that an import would make of it; none when it is refused as a whole.

    fingerprints: takes those of the passwords in clear, {user: mark}.
    """
    known = dict(NatsUser.objects.filter(system=system).exclude(nkey="").values_list("nkey", "name"))
    reading = _told_at_home(read_accounts(parsed, own=system.own_nkeys, keys=known), system)
    if reading.refused:
        return reading, []
    marks = {} if fingerprints is None else fingerprints
    specs = [hashed(system, spec, marks) for spec in at_home(reading, system)]
    return reading, shown_as_before(system, specs, reading)


def shown_as_before(system: System, specs: list[AccountSpec], reading: Reading) -> list[AccountSpec]:
    """The specs, with what only a conf by nunect says of accounts with JetStream, and the rows of others, as it is."""
    hidden = set(Account.objects.filter(system=system, jetstream_control=False).values_list("name", flat=True))
    return [
        spec if reading.control and spec.jetstream else replace(spec, jetstream_control=spec.name not in hidden)
        for spec in specs
    ]


def _told_at_home(reading: Reading, system: System) -> Reading:
    """The reading, with what becomes of a system account that this system has under another name."""
    theirs, ours = reading.system_account, system.system_account
    if theirs == ours:
        return reading

    def told(note: Note) -> Note:
        if len(note.path) == 1 and str(note.path[0]).lower() in ("system_account", "system"):
            sentence = (
                f"Account `{theirs}` becomes `{ours}`, the system account here. Take this line out of the main file: "
                f"a server that looks for `{theirs}` doesn't start."
            )
            return replace(note, verdict="weak", sentence=sentence)
        return note

    return replace(reading, notes=tuple(map(told, reading.notes)))


def at_home(reading: Reading, system: System) -> list[AccountSpec]:
    """The specs, with the file's system account under the name that this system has for it."""
    theirs, ours = reading.system_account, system.system_account
    if theirs == ours:
        return list(reading.accounts)

    def named(account: str) -> str:
        return ours if account == theirs else account

    return [
        replace(
            spec,
            name=named(spec.name),
            imports=tuple(replace(each, account=named(each.account)) for each in spec.imports),
            exports=tuple(
                replace(each, accounts=tuple(map(named, each.accounts))) if each.accounts else each
                for each in spec.exports
            ),
        )
        for spec in reading.accounts
    ]


def hashed(system: System, spec: AccountSpec, fingerprints: dict[str, str], *, chosen: bool = False) -> AccountSpec:
    """The spec with hashes in place of plain passwords; known ones keep the hash that they have.

    chosen: at the cost of a password that a person chose.
    """
    plain = [user.name for user in spec.users if user.secret.plain]
    if not plain:
        return spec
    known: dict[str, tuple[str, str]] = {}
    for start in range(0, len(plain), 500):
        rows = NatsUser.objects.filter(system=system, name__in=plain[start : start + 500])
        known |= {name: (mark, old) for name, mark, old in rows.values_list("name", "fingerprint", "password_hash")}
    return replace(spec, users=tuple(_hash_one(user, known, fingerprints, chosen) for user in spec.users))


def _hash_one(
    user: UserSpec, known: Mapping[str, tuple[str, str]], fingerprints: dict[str, str], chosen: bool
) -> UserSpec:
    if not user.secret.plain:
        return user
    password = user.secret.identity
    mark = credentials.fingerprint(password)
    fingerprints[user.name] = mark
    old_mark, old_hash = known.get(user.name, ("", ""))
    hashed = old_hash if old_hash and old_mark == mark else credentials.hash_password(password, chosen=chosen)
    return replace(user, secret=SecretSpec("password", hashed))
