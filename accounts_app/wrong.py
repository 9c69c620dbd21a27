"""What of a spec can't become rows: each place with its field and one sentence."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, fields
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models

from accounts_app import validators
from accounts_app.models import Account
from accounts_app.models.account import ONLY_TOLD
from accounts_app.natsconf import names, subjects
from accounts_app.natsconf.specs import CONTROL_ACCOUNT, AccountSpec, ResponseSpec, RoleSpec, RuleSpec


@dataclass(frozen=True, slots=True)
class Wrong:
    """One place that can't become rows. where: the account and the row; field: the model's, "" for none."""

    where: str
    field: str
    sentence: str

    def __str__(self) -> str:
        return f"{self.where}: {self.sentence}"


class ReconcileError(ValidationError):
    """What can't become rows, in `places`; each is a sentence, too. Nothing was written."""

    def __init__(self, places: Iterable[Wrong]) -> None:
        self.places = tuple(places)
        super().__init__([str(place) for place in self.places])


def place(account: str, where: str = "") -> str:
    return f"Account “{account}”, {where}" if where else f"Account “{account}”"


def kept_by(kept: models.RestrictedError) -> list[Wrong]:
    """What would have to go first, as the rows say it."""
    rows = sorted(kept.restricted_objects, key=str)[:20]
    homes = [(row, row if isinstance(row, Account) else getattr(row, "account", None)) for row in rows]
    return [
        Wrong(place(str(home), f"{row._meta.verbose_name} “{row}”"), "", "It uses what was to be deleted.")
        for row, home in homes
    ]


def twice(specs: Iterable[AccountSpec]) -> Iterable[Wrong]:
    """Names and nkeys that the tables would refuse, those of disabled users too."""
    names_seen: dict[str, str] = {}
    keys_seen: dict[str, str] = {}
    for spec in specs:
        for user in spec.users:
            where = place(spec.name, f"user “{user.name}”")
            home = names_seen.setdefault(user.name, spec.name)
            if home != spec.name:
                yield Wrong(where, "name", f"Account “{home}” has a user of this name, too.")
            nkey = user.secret.identity if user.secret.kind == "nkey" else ""
            if nkey and keys_seen.setdefault(nkey, user.name) != user.name:
                yield Wrong(where, "nkey", f"User “{keys_seen[nkey]}” has this nkey, too.")


def own(spec: AccountSpec) -> Iterable[Wrong]:
    """What a spec would change of nunect's own account: only its description is people's."""
    if spec.name != CONTROL_ACCOUNT:
        return
    bare = AccountSpec(spec.name, description=spec.description)
    for each in fields(spec):
        if getattr(spec, each.name) != getattr(bare, each.name):
            yield Wrong(place(spec.name), each.name, str(ONLY_TOLD))


def texts(spec: AccountSpec) -> Iterable[Wrong]:
    """Descriptions that can't be stored."""
    told = [(place(spec.name), spec.description)]
    told += [(place(spec.name, f"role “{role.name}”"), role.description) for role in spec.roles]
    told += [(place(spec.name, f"user “{user.name}”"), user.description) for user in spec.users]
    for where, text in told:
        if text:
            try:
                validators.text(text)
            except ValidationError as refused:
                yield Wrong(where, "description", refused.messages[0])


def roles(account: str, roles: Iterable[RoleSpec]) -> Iterable[Wrong]:
    """Roles that can't be rows, also such as nobody uses: those the renderer doesn't look at."""
    seen: set[str] = set()
    for role in roles:
        where = place(account, f"role “{role.name}”") if account else f"Shared role “{role.name}”"
        if role.name in seen:
            yield Wrong(where, "name", "Two roles have this name.")
        seen.add(role.name)
        yield from _refusals(where, "name", names.check_role_name, role.name)
        yield from _refusals(where, "connection_types", names.check_connection_types, role.connection_types)
        yield from _wrong_rules(where, role.rules, role.responses, subjects.check_template)


def users(spec: AccountSpec, roles: Collection[str]) -> Iterable[Wrong]:
    """Users that can't be rows, disabled ones too: those the renderer doesn't look at."""
    seen: set[str] = set()
    if spec.default_role and spec.default_role not in roles:
        yield Wrong(place(spec.name), "default_role", f"Role “{spec.default_role}” does not exist.")
    for user in spec.users:
        if user.name in seen:
            yield Wrong(place(spec.name, f"user “{user.name}”"), "name", "Two users have this name.")
        seen.add(user.name)
        if user.access == "role" and user.role not in roles:
            yield Wrong(place(spec.name, f"user “{user.name}”"), "role", f"Role “{user.role}” does not exist.")
        if user.access not in ("inherit", "all", "role", "own"):
            yield Wrong(place(spec.name, f"user “{user.name}”"), "access", "There is no access of this kind.")
        if user.enabled and user.secret.kind != "none" and user.access == "own":
            continue  # the renderer does
        where = place(spec.name, f"user “{user.name}”")
        yield from _refusals(where, "name", names.check_user_name, user.name)
        yield from _refusals(where, "credential", names.check_secret, user.secret)
        yield from _refusals(where, "connection_types", names.check_connection_types, user.connection_types)
        yield from _wrong_rules(where, user.rules, user.responses, subjects.check_subject)


def _wrong_rules(
    where: str, rules: Iterable[RuleSpec], responses: ResponseSpec | None, check: Callable[[str], Any]
) -> Iterable[Wrong]:
    for rule in rules:
        yield from _refusals(where, "subject", check, rule.subject)
        if rule.action not in ("publish", "subscribe") or rule.effect not in ("allow", "deny"):
            yield Wrong(where, "action", f"There is no rule to {rule.effect} {rule.action}.")
        if rule.queue:
            yield from _refusals(where, "queue", names.check_queue, rule.queue)
            if rule.action == "publish":
                yield Wrong(where, "queue", "A queue goes with subscribe only.")
    if responses is not None and responses.expires:
        yield from _refusals(where, "responses_expires", names.duration_seconds, responses.expires)


def _refusals(where: str, field: str, check: Callable[[Any], Any], value: Any) -> Iterable[Wrong]:
    try:
        check(value)
    except ValueError as refused:
        yield Wrong(where, field, str(refused))


def strangers(spec: AccountSpec, everyone: Collection[str]) -> Iterable[Wrong]:
    """Accounts that sharing names and that don't exist."""
    for export in spec.exports:
        for name in export.accounts or ():
            if name not in everyone:
                where = place(spec.name, f"export “{export.subject}”")
                yield Wrong(where, "account", f"Account “{name}” does not exist.")
    for each in spec.imports:
        if each.account not in everyone:
            where = place(spec.name, f"import of {each.kind} “{each.subject}”")
            yield Wrong(where, "from_account", f"Account “{each.account}” does not exist.")
