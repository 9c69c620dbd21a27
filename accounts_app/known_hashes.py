"""Passwords in clear of a conf that rows know by their hash: laid beside the rows they are no difference."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from accounts_app import credentials
from accounts_app.models import NatsUser, System
from accounts_app.natsconf import forms, names
from accounts_app.natsconf.subjects import InvalidValue
from accounts_app.natsconf.tree import Tree


def with_known_hashes(system: System, tree: Tree) -> Tree:
    """The tree with the rows' own hashes in place of passwords in clear that are known to be the same."""
    plain = {login for users in _user_lists(tree) for user in users if (login := _plain(user))}
    if not plain:
        return tree
    known: dict[str, tuple[str, str]] = {}
    asked = sorted(plain)
    for start in range(0, len(asked), 500):
        rows = NatsUser.objects.filter(system=system, name__in=asked[start : start + 500]).exclude(fingerprint="")
        known |= {name: (mark, made) for name, mark, made in rows.values_list("name", "fingerprint", "password_hash")}

    def account(value: Any) -> Any:
        if not isinstance(value, Mapping) or not isinstance(value.get("users"), list):
            return value
        return {**value, "users": [_with_hash(user, known) for user in value["users"]]}

    named = {name: account(value) for name, value in tree["accounts"].items()}
    rest = {"authorization": account(tree["authorization"])} if "authorization" in tree else {}
    return {"accounts": named, **rest}


def _user_lists(tree: Tree) -> list[list[Any]]:
    every = [*tree["accounts"].values(), tree.get("authorization")]
    return [each["users"] for each in every if isinstance(each, Mapping) and isinstance(each.get("users"), list)]


def _plain(user: Any) -> str:
    """The name of a user whose password stands in clear, "" of any other."""
    try:
        entry = forms.entry(user)
        if entry.kind != "password":
            return ""
    except InvalidValue:
        return ""
    try:
        names.check_bcrypt(entry.secret)
    except InvalidValue:
        return entry.login
    return ""


def _with_hash(user: Any, known: Mapping[str, tuple[str, str]]) -> Any:
    login = _plain(user)
    mark, made = known.get(login, ("", ""))
    if not login or not made or credentials.fingerprint(forms.entry(user).secret) != mark:
        return user
    rest = {key: value for key, value in user.items() if forms.USER.get(key.lower()) != "password"}
    return {**rest, "password": made}
