"""What a document makes, for people: accounts, who may do what in words, streams and buckets."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import fields
from typing import Any

from accounts_app.models import Account, NatsUser, System
from accounts_app.natsconf import subjects
from accounts_app.natsconf.document import Document
from accounts_app.natsconf.specs import AccountSpec, ResponseSpec, RoleSpec, RuleSpec, UserSpec
from accounts_app.snapshot import read_shared_roles

EVERYTHING = "may do everything in its account"
USERS_TOLD = 50  # of an account; the others are counted
_JETSTREAM = (
    (r"\$JS\.API\.CONSUMER\.MSG\.NEXT\.([^.]+)\.([^.]+)", "fetch from consumer {1} of {0}"),
    (r"\$JS\.ACK\.([^.]+)\.([^.]+)\.>", "acknowledge to consumer {1} of {0}"),
    (r"\$JS\.API\.CONSUMER\.INFO\.([^.]+)\.([^.]+)", "look at consumer {1} of {0}"),
    (r"\$JS\.API\.STREAM\.INFO\.(?:KV|OBJ)_([^.]+)", "look at bucket {0}"),
    (r"\$JS\.API\.STREAM\.INFO\.([^.]+)", "look at stream {0}"),
    (r"\$JS\.API\.DIRECT\.GET\.KV_([^.]+)\.\$KV\.[^.]+\.>", "read every key of bucket {0}"),
    (r"\$JS\.API\.DIRECT\.GET\.KV_([^.]+)\.\$KV\.[^.]+\.(.+)", "read key {1} of bucket {0}"),
    (r"\$JS\.API\.DIRECT\.GET\.([^.]+)(?:\.>)?", "read messages of stream {0}"),
    (r"\$JS\.API\.CONSUMER\.CREATE\.KV_([^.]+)\..+", "watch bucket {0}"),
    (r"\$JS\.API\.CONSUMER\.DELETE\.([^.]+)\..+", "end its watches of {0}"),
    (r"\$JS\.FC\.([^.]+)\.>", "answer flow control of {0}"),
    (r"\$JS\.API\.>", "manage all streams and consumers of the account"),
)
_WORDS = tuple((re.compile(pattern), words) for pattern, words in _JETSTREAM)


def tell_accounts(system: System, document: Document) -> Iterator[dict[str, Any]]:
    """Each account of a document as JSON values for people. `new`: it isn't there yet."""
    shared = {f"*/{role.name}": role for role in read_shared_roles(system.pk)}
    names = [account.name for account in document.accounts]
    there = set(Account.objects.filter(system=system, name__in=names).values_list("name", flat=True))
    for account in document.accounts:
        known = set(NatsUser.objects.filter(system=system, account__name=account.name).values_list("name", flat=True))
        yield {
            "name": account.name,
            "description": account.description,
            "owner": document.owners.get(account.name, ""),
            "new": account.name not in there,
            "limits": _said(account.limits),
            "jetstream": None if account.jetstream is None else _said(account.jetstream),
            "roles": [
                {"name": each.name, "description": each.description, "may": _may(each)} for each in account.roles
            ],
            "users": [_user(user, account, shared, document, known) for user in account.users[:USERS_TOLD]],
            "users_total": len(account.users),
            "users_new": sum(user.name not in known for user in account.users),
            "exports": [f"{each.kind} {each.subject}" for each in account.exports],
            "imports": [f"{each.kind} {each.subject} of {each.account}" for each in account.imports],
            "streams": [_stream(each) for each in getattr(document, "assets", {}).get(account.name, ())],
        }


def _user(
    user: UserSpec, account: AccountSpec, shared: dict[str, RoleSpec], document: Document, known: set[str]
) -> dict[str, Any]:
    roles = {role.name: role for role in account.roles} | shared
    return {
        "name": user.name,
        "description": user.description,
        "new": user.name not in known,
        "credential": document.makes.get(user.name) or user.secret.kind,
        "role": user.role,
        "may": _access(user, account, roles),
    }


def _access(user: UserSpec, account: AccountSpec, roles: dict[str, RoleSpec]) -> list[str]:
    name = {"role": user.role, "inherit": account.default_role}.get(user.access, "")
    role = roles.get(name)
    if user.access == "all" or (user.access == "inherit" and not account.default_role):
        return [EVERYTHING]
    return may_words(
        role.rules if role else user.rules, role.responses if role else user.responses, user.name, account.name
    )


def _may(role: RoleSpec) -> list[str]:
    return may_words(role.rules, role.responses)


def may_words(
    rules: Iterable[RuleSpec], responses: ResponseSpec | None = None, user: str = "", account: str = ""
) -> list[str]:
    """Permissions in words, those on JetStream by what they are good for. user, account: fill templates."""
    said: dict[str, None] = {}
    for rule in rules:
        subject = rule.subject
        if user:
            try:
                subject = subjects.expand(subject, user, account)
            except ValueError:  # told as a fault of the user's name
                subject = rule.subject
        said.setdefault(_rule(rule, subject))
    if responses is not None:
        said.setdefault("may reply to requests")
    return list(said) or ["may do nothing"]


def _rule(rule: RuleSpec, subject: str) -> str:
    may = "may" if rule.effect == "allow" else "may not"
    if rule.action == "publish":
        for pattern, words in _WORDS:
            if match := pattern.fullmatch(subject):
                return f"{may} {words.format(*match.groups())}"
    elif subject.startswith("_INBOX"):
        return f"{may} hear answers to its requests"
    queue = f" in queue {rule.queue}" if rule.queue else ""
    return f"{may} {rule.action} {subject}{queue}"


def _stream(spec: Any) -> dict[str, Any]:
    consumers = [each.name for each in spec.consumers or ()]
    return {"kind": spec.kind, "name": spec.name, "config": dict(spec.config), "consumers": consumers}


def _said(limits: Any) -> dict[str, Any]:
    found = {each.name: getattr(limits, each.name) for each in fields(limits)}
    return {name: value for name, value in found.items() if value not in (None, "")}
