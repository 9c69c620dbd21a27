"""Two confs laid side by side: only what nunect writes of a conf, without what is its own in it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from . import control, forms
from .account import account_tree
from .compact import expand
from .names import GLOBAL_ACCOUNT
from .specs import CONTROL_ACCOUNT, AccountSpec, IdentitySpec, RoleSpec
from .subjects import InvalidValue
from .tree import Tree, spelled, whole

_GLOBAL = ("users", "default_permissions")


def comparable(tree: Tree, identity: IdentitySpec, system_account: str | None = None) -> Tree:
    """Return the accounts and the users of a conf, without nunect's own users, account, exports and guard.

    system_account: how the conf calls it, if not as nunect does. An empty one is no account: servers have it anyway.
    """
    theirs = system_account or identity.system_account
    accounts: dict[str, Any] = {}
    for name, account in _accounts(tree).items():
        if name == CONTROL_ACCOUNT:
            continue
        called = identity.system_account if name == theirs else name
        stripped = _account(account, identity.nkeys)
        if theirs != identity.system_account:
            stripped = _renamed(stripped, theirs, identity.system_account)
        if called != identity.system_account or (stripped and any(stripped.values())):
            accounts[called] = stripped
    users = _authorization(spelled(tree, "authorization"), identity.nkeys)
    return whole({**accounts, GLOBAL_ACCOUNT: users} if users else accounts)


def logins_of(tree: Tree) -> set[str]:
    """Return the names and nkeys of everybody whom a conf knows, nunect's own among them."""
    every = [*_accounts(tree).values(), spelled(tree, "authorization")]
    return {login for account in every if isinstance(account, Mapping) for login in _logins(account)}


def same_spelling(specs: Iterable[AccountSpec], shared: Iterable[RoleSpec], identity: IdentitySpec) -> Tree:
    """Return the comparable tree of enabled accounts as one renderer writes them, with all rights at the users: equal
    rows of equal meaning give equal trees. Raises RenderError."""
    roles = tuple(shared)
    enabled = {spec.name: spec for spec in specs if spec.enabled and spec.name != CONTROL_ACCOUNT}
    present = enabled.keys() | {identity.system_account}
    trees = {name: account_tree(spec, roles, identity, present) for name, spec in enabled.items()}
    found = comparable(whole(trees), identity)
    every = {**found["accounts"], GLOBAL_ACCOUNT: found.get("authorization", {})}
    return whole({name: _spelled_out(tree) for name, tree in every.items()})


def _spelled_out(tree: Tree) -> Tree:
    found = expand(tree)
    users = sorted(found.get("users", ()), key=lambda user: str(user.get("nkey") or user.get("user")))
    return {**found, "users": users}


def _accounts(tree: Tree) -> dict[str, Any]:
    found = spelled(tree, "accounts")
    if isinstance(found, list):
        return {name: {} for name in found if isinstance(name, str)}
    return dict(found) if isinstance(found, Mapping) else {}


def _account(account: Any, own: Collection[str]) -> Any:
    if not isinstance(account, Mapping):
        return account
    found = {}
    for key, value in account.items():
        usual = forms.ACCOUNT.get(key.lower())
        left = value
        if usual == "users":
            left = _strangers(value, own)
        elif usual == "exports":
            left = control.without_own_exports(value)
        if left or left == value:
            found[key] = left
    return found


def _authorization(value: Any, own: Collection[str]) -> Tree:
    """Return the users of `$G`, one that stands alone as one of them; nothing where there are none."""
    try:
        known, _ = forms.keyed(value, forms.AUTHORIZATION, "`authorization`")
    except InvalidValue:
        return {}
    users = _strangers(known.get("users"), own) or []
    if "user" in known:
        users = [*users, {"user": known["user"], "password": known.get("password", "")}]
    found: Tree = {key: known[key] for key in _GLOBAL if key in known}
    if "token" in known:
        found["token"] = known["token"]
    return {**found, "users": users} if users or "token" in found else {}


def _strangers(users: Any, own: Collection[str]) -> Any:
    if not isinstance(users, list):
        return users
    return [user for user in users if not (isinstance(user, Mapping) and forms.login(user) in own)]


def _logins(account: Mapping[str, Any]) -> list[str]:
    users = spelled(account, "users")
    return [forms.login(user) for user in users if isinstance(user, Mapping)] if isinstance(users, list) else []


def _renamed(value: Any, old: str, new: str) -> Any:
    """Return an account with another account's name replaced wherever sharing names it."""
    if isinstance(value, Mapping):
        return {
            key: new
            if key.lower() == "account" and each == old
            else [new if name == old else name for name in each]
            if key.lower() == "accounts" and isinstance(each, list)
            else _renamed(each, old, new)
            for key, each in value.items()
        }
    return [_renamed(each, old, new) for each in value] if isinstance(value, list) else value
