"""Specs → rows: make the rows of accounts equal to what a file, a revision or a program says.

One transaction, few queries, and nothing written where nothing differs. History and counters come with
the rows' own querysets.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from django.contrib.auth import get_user_model
from django.db import models, transaction
from django.db.models import QuerySet

from accounts_app import wrong
from accounts_app.models import Account, Import, NatsUser, Role, SubjectPermission, System
from accounts_app.natsconf.names import login_key
from accounts_app.natsconf.render import RenderError, account_tree, check_logins
from accounts_app.natsconf.specs import AccountSpec, RoleSpec, RuleSpec, SecretSpec, UserSpec
from accounts_app.reconcile_sharing import sync_mappings, sync_sharing
from accounts_app.row_writer import BATCH, Changes, RowWriter, parts
from accounts_app.snapshot import read_accounts, read_shared_roles
from accounts_app.spec_rows import account_fields, comparable, response_fields, role_fields
from accounts_app.wrong import ReconcileError, Wrong, place


def reconcile(
    system: System,
    accounts: Iterable[AccountSpec],
    *,
    shared_roles: Iterable[RoleSpec] | None = None,
    prune: bool = False,
    keep: Collection[str] = (),
    restore: bool = False,
    fingerprints: Mapping[str, str] | None = None,
    owners: Mapping[str, str] | None = None,
) -> Changes:
    """Make the rows of `accounts` equal to their specs, all or nothing, and say what changed.

    What an account holds and its spec lacks goes; accounts without a spec go with `prune` only, those to
    keep and the servers' own never. shared_roles None: leave them. Descriptions and expiries stay where
    the spec has none, owners where `owners` {account: user name} has none.
    restore: never bring back a credential, and never a disabled or expired user: who is there keeps what it has,
    who is gone comes back disabled and without one. fingerprints: {user: fingerprint} of imported passwords.

    Raises ReconcileError, with every place that is wrong.
    """
    given = list(accounts)
    wanted = {spec.name: spec for spec in given}
    if len(wanted) < len(given):
        twice = sorted(name for name, count in Counter(spec.name for spec in given).items() if count > 1)
        raise ReconcileError(Wrong(place(name), "name", "This account is there twice.") for name in twice)
    roles = None if shared_roles is None else tuple(shared_roles)
    try:
        with transaction.atomic():
            System.objects.select_for_update().get(pk=system.pk)
            return _Reconciliation(system, wanted, restore, fingerprints or {}, owners or {}).run(
                roles, prune, frozenset(keep)
            )
    except models.RestrictedError as kept:
        raise ReconcileError(wrong.kept_by(kept)) from kept


class _Reconciliation:
    def __init__(
        self,
        system: System,
        wanted: dict[str, AccountSpec],
        restore: bool,
        fingerprints: Mapping[str, str],
        owners: Mapping[str, str],
    ) -> None:
        self.system, self.wanted, self.restore, self.fingerprints = system, wanted, restore, fingerprints
        self.owned = owners
        asked = {owner for owner in owners.values() if owner.isprintable()}  # what can't be looked for is nobody
        self.people = get_user_model()._default_manager.in_bulk(asked, field_name="username")
        self.rows = RowWriter()

    def run(self, shared_roles: tuple[RoleSpec, ...] | None, prune: bool, keep: frozenset[str]) -> Changes:
        rows = {row.name: row for row in Account.objects.filter(system=self.system)}
        present = read_accounts(rows[name].pk for name in self.wanted if name in rows)
        self.present = {spec.name: spec for spec in present.values()}
        shared_now = read_shared_roles(self.system.pk)
        shared = shared_now if shared_roles is None else shared_roles
        staying = self.wanted.keys() | keep
        gone = [row for name, row in rows.items() if prune and name not in staying and not self._reserved(name)]
        self.gone = {row.name for row in gone}
        self.wanted = {name: self._kept(spec) for name, spec in self.wanted.items()}
        self._check(shared, rows)
        differing = {
            name: spec
            for name, spec in self.wanted.items()
            if comparable(spec) != comparable(self.present.get(name)) or self._changes_hands(name, rows)
        }
        if not differing and not gone and shared == shared_now:
            return self.rows.changes
        self._empty(gone)
        self.accounts = self._accounts(differing, rows)
        leftover_roles = self._roles(differing, shared, with_shared=shared_roles is not None)
        self._users(differing)
        self._rules(differing, shared, with_shared=shared_roles is not None)
        self._default_roles(differing)
        self.rows.delete(leftover_roles)
        sync_sharing(self.rows, self.accounts, differing)
        sync_mappings(self.rows, self.accounts, differing)
        self.rows.delete(gone)
        return self.rows.changes

    def _changes_hands(self, name: str, rows: Mapping[str, Account]) -> bool:
        """Whether an account gets another owner."""
        return name in self.owned and (name not in rows or rows[name].owner_id != self.people[self.owned[name]].pk)

    # --- before anything is written -----------------------------------------

    def _reserved(self, name: str) -> bool:
        return name.startswith("$") or name == self.system.system_account

    def _kept(self, spec: AccountSpec) -> AccountSpec:
        """The spec with what the rows know and a conf can't say, and without what a restore must not bring back."""
        now = self.present.get(spec.name)
        known = {user.name: user for user in now.users} if now else {}
        users = tuple(self._kept_user(user, known.get(user.name)) for user in spec.users)
        return replace(spec, users=users, description=spec.description or (now.description if now else ""))

    def _kept_user(self, user: UserSpec, now: UserSpec | None) -> UserSpec:
        if now is None:
            bare = self.restore or user.secret.kind == "none"
            return replace(user, secret=SecretSpec("none"), enabled=False, retiring=None) if bare else user
        expires = now.expires if self.restore else user.expires or now.expires
        kept = replace(user, description=user.description or now.description, expires=expires)
        if self.restore:
            kept = replace(kept, secret=now.secret, retiring=now.retiring, enabled=now.enabled and user.enabled)
        elif user.secret.kind == "none":  # where a file has none, the one that somebody gave it here stays
            kept = replace(kept, secret=now.secret, enabled=now.enabled and user.enabled)
        return kept

    def _check(self, shared: tuple[RoleSpec, ...], rows: Mapping[str, Account]) -> None:
        places: list[Wrong] = []
        everyone = {*rows, *self.wanted} - self.gone
        places += wrong.roles("", shared)
        for spec in self.wanted.values():
            found = [
                *wrong.own(spec),
                *wrong.texts(spec),
                *wrong.roles(spec.name, spec.roles),
                *wrong.strangers(spec, everyone),
            ]
            usable = {role.name for role in spec.roles} | {f"*/{role.name}" for role in shared}
            found += wrong.users(spec, usable)
            if not found:
                try:
                    account_tree(spec, shared, self.system.identity, everyone)
                except RenderError as error:
                    found.append(Wrong(place(error.account, error.where), "", error.reason))
            places += found
        for twice in check_logins(self.wanted.values(), self.system.identity):
            places.append(Wrong(place(twice.account, twice.where), "credential", twice.reason))
        for name, owner in self.owned.items():
            if owner not in self.people:
                called = owner if owner.isprintable() else ascii(owner)[1:-1]
                places.append(Wrong(place(name), "owner", f"There is no person “{called[:80]}”."))
        places += [*wrong.twice(self.wanted.values()), *self._taken_elsewhere()]
        if places:
            raise ReconcileError(dict.fromkeys(places))

    def _taken_elsewhere(self) -> list[Wrong]:
        """Names and logins that users of accounts without a spec have already."""
        users = {user.name: spec.name for spec in self.wanted.values() for user in spec.users}
        logins = {
            login_key(user.name, user.secret): (spec.name, user.name)
            for spec in self.wanted.values()
            for user in spec.users
        }
        found = []
        others = NatsUser.objects.filter(system=self.system).order_by()
        columns = ("name", "credential", "nkey", "retiring_nkey", "certificate", "account__name")
        for name, kind, nkey, retiring, certificate, account in others.values_list(*columns).iterator():
            if account in self.wanted or account in self.gone:
                continue
            if name in users:
                told = f"Account “{account}” has a user of this name already; names are unique in a system."
                found.append(Wrong(place(users[name], f"user “{name}”"), "name", told))
                continue
            theirs = {nkey, retiring, certificate if kind == "certificate" else "", name if kind == "password" else ""}
            for login in theirs & logins.keys() - {""}:
                home, user = logins[login]
                told = f"User “{name}” of account “{account}” logs in like this already."
                found.append(Wrong(place(home, f"user “{user}”"), "credential", told))
        return found[:100]

    # --- rows ---------------------------------------------------------------

    def _accounts(self, differing: Mapping[str, AccountSpec], rows: Mapping[str, Account]) -> dict[str, Account]:
        present = {name: rows[name] for name in differing if name in rows}
        wanted = {name: account_fields(spec) for name, spec in differing.items()}
        for name in differing.keys() & self.owned.keys():
            wanted[name]["owner"] = self.people[self.owned[name]]
        made, _ = self.rows.sync(Account, present, wanted, lambda name: Account(system=self.system, name=name))
        return {**rows, **made}

    def _roles(
        self, differing: Mapping[str, AccountSpec], shared: tuple[RoleSpec, ...], *, with_shared: bool
    ) -> list[Role]:
        ids = {self.accounts[name].pk: name for name in differing}
        present: dict[tuple[str, str], Role] = {}
        for part in parts(list(ids)):
            present |= {(ids[row.account_id or 0], row.name): row for row in Role.objects.filter(account__in=part)}
        self.shared = {row.name: row for row in Role.objects.filter(system=self.system, account=None)}
        wanted = {(name, role.name): role_fields(role) for name, account in differing.items() for role in account.roles}
        if with_shared:
            present |= {("*", name): row for name, row in self.shared.items()}
            wanted |= {("*", role.name): role_fields(role) for role in shared}

        def make(key: tuple[str, str]) -> Role:
            return Role(system=self.system, account=None if key[0] == "*" else self.accounts[key[0]], name=key[1])

        self.roles, leftover = self.rows.sync(Role, present, wanted, make)
        self.roles = {**{("*", name): row for name, row in self.shared.items()}, **self.roles}
        return leftover

    def _role_of(self, account: str, name: str) -> Role | None:
        if not name:
            return None
        found: Role = self.roles[("*", name[2:])] if name.startswith("*/") else self.roles[(account, name)]
        return found

    def _users(self, differing: Mapping[str, AccountSpec]) -> None:
        ids = {self.accounts[name].pk: name for name in differing}
        present: dict[str, NatsUser] = {}
        for part in parts(list(ids)):
            present |= {row.name: row for row in NatsUser.objects.filter(account__in=part)}
        wanted: dict[str, dict[str, Any]] = {}
        homes: dict[str, str] = {}
        for account, spec in differing.items():
            for user in spec.users:
                homes[user.name] = account
                wanted[user.name] = self._user_fields(account, user, present.get(user.name))
        # Users don't move between accounts: the one of the other account goes, a new one comes. What goes does
        # so first, because a new one may have its nkey.
        going = [
            row for name, row in present.items() if name not in homes or row.account_id != self.accounts[homes[name]].pk
        ]
        for part in parts([row.pk for row in going]):
            SubjectPermission.objects.filter(user__in=part).delete()
        self.rows.delete(going)
        for row in going:
            del present[row.name]
        self._free_nkeys(present, wanted)

        def make(name: str) -> NatsUser:
            return NatsUser(system=self.system, account=self.accounts[homes[name]], name=name)

        self.users, _ = self.rows.sync(NatsUser, present, wanted, make)

    def _free_nkeys(self, present: Mapping[str, NatsUser], wanted: Mapping[str, Mapping[str, Any]]) -> None:
        """An nkey that goes from one user to another is let go first: the table holds it once at any moment."""
        holders = {row.nkey: row for row in present.values() if row.nkey}
        givers = [
            holders[fields["nkey"]]
            for name, fields in wanted.items()
            if fields["nkey"] in holders and holders[fields["nkey"]].name != name
        ]
        for part in parts([row.pk for row in givers]):
            QuerySet(NatsUser).filter(pk__in=part).update(nkey="", credential="none", enabled=False)
        for row in givers:
            self.rows.again.setdefault(NatsUser, {}).setdefault(row.pk, set()).update(("nkey", "credential", "enabled"))

    def _user_fields(self, account: str, user: UserSpec, row: NatsUser | None) -> dict[str, Any]:
        kind, identity = user.secret.kind, user.secret.identity
        fields = {
            "description": user.description,
            "credential": kind,
            "password_hash": identity if kind == "password" else "",
            "nkey": identity if kind == "nkey" else "",
            "certificate": identity if kind == "certificate" else "",
            "access": user.access,
            "role": self._role_of(account, user.role) if user.access == "role" else None,
            "connection_types": list(user.connection_types),
            **response_fields(user.responses),
        }
        another = row is None or any(
            getattr(row, name) != fields[name] for name in ("credential", "password_hash", "nkey", "certificate")
        )
        if user.name in self.fingerprints or another:
            fields["fingerprint"] = self.fingerprints.get(user.name, "")
        if another:  # an overlap ends where its successor goes
            fields |= {"retiring_password_hash": "", "retiring_nkey": "", "retiring_until": None}
        if row is None:
            fields["enabled"] = user.enabled
            fields["expires_at"] = datetime.fromisoformat(user.expires) if user.expires else None
            return fields
        if user.expires and not self.restore:
            fields["expires_at"] = datetime.fromisoformat(user.expires)
        if user.enabled != (row.is_live() or (row.enabled and row.credential == "none")):
            fields["enabled"] = user.enabled
        return fields

    def _rules(self, differing: Mapping[str, AccountSpec], shared: tuple[RoleSpec, ...], *, with_shared: bool) -> None:
        wanted: set[tuple[str, int, RuleSpec]] = set()
        for account, spec in differing.items():
            for role in spec.roles:
                wanted.update(("role", self.roles[(account, role.name)].pk, rule) for rule in role.rules)
            for user in spec.users:
                wanted.update(("user", self.users[user.name].pk, rule) for rule in user.rules)
        if with_shared:
            for role in shared:
                wanted.update(("role", self.roles[("*", role.name)].pk, rule) for rule in role.rules)
        touched_roles = [row.pk for (home, _), row in self.roles.items() if home != "*" or with_shared]
        present: dict[tuple[str, int, RuleSpec], int] = {}
        present |= self._present_rules("role", touched_roles)
        present |= self._present_rules("user", [row.pk for row in self.users.values()])
        stale = [pk for key, pk in present.items() if key not in wanted]
        for part in parts(stale):
            SubjectPermission.objects.filter(pk__in=part).delete()
        self.rows.changes.deleted.update({"permission": len(stale)} if stale else {})
        users = {row.pk: row for row in self.users.values()}
        roles = {row.pk: row for row in self.roles.values()}
        fresh = [
            SubjectPermission(
                role=roles[owner] if kind == "role" else None,
                user=users[owner] if kind == "user" else None,
                action=rule.action,
                effect=rule.effect,
                subject=rule.subject,
                queue=rule.queue,
            )
            for kind, owner, rule in sorted(wanted - present.keys())
        ]
        if fresh:
            SubjectPermission.objects.bulk_create(fresh, batch_size=BATCH)
            self.rows.changes.created["permission"] += len(fresh)

    def _present_rules(self, kind: str, owners: list[int]) -> dict[tuple[str, int, RuleSpec], int]:
        found: dict[tuple[str, int, RuleSpec], int] = {}
        for part in parts(owners):
            rows = SubjectPermission.objects.filter(**{f"{kind}__in": part}).order_by()
            for pk, owner, *rule in rows.values_list("pk", f"{kind}_id", "action", "effect", "subject", "queue"):
                found[(kind, owner, RuleSpec(*rule))] = pk
        return found

    def _default_roles(self, differing: Mapping[str, AccountSpec]) -> None:
        present = {name: self.accounts[name] for name in differing}
        wanted = {name: {"default_role": self._role_of(name, spec.default_role)} for name, spec in differing.items()}
        quiet = bool(self.rows.changes.created["account"] or self.rows.changes.updated["account"])  # told already
        self.rows.sync(Account, present, wanted, lambda name: present[name], quiet=quiet)

    def _empty(self, gone: Iterable[Account]) -> None:
        """What would protect accounts that go, or what new rows may want, goes first."""
        for part in parts([row.pk for row in gone]):
            Import.objects.filter(account__in=part).delete()
            Account.objects.filter(pk__in=part, default_role__isnull=False).update(default_role=None)
            doomed = NatsUser.objects.filter(account__in=part)
            SubjectPermission.objects.filter(user__in=doomed).delete()
            count = doomed.count()
            doomed.delete()
            self.rows.changes.deleted.update({"user": count} if count else {})
