"""Whether two confs give the same people the same rights, nunect's own entries aside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from . import control, forms
from .changes import Change
from .diff import diff
from .names import GLOBAL_ACCOUNT
from .specs import IdentitySpec
from .tree import Tree, spelled, whole

Hashed = Callable[[str, str], bool]  # (a password in clear, a hash): whether this is its hash


def differences(
    before: Tree,
    after: Tree,
    identity: IdentitySpec,
    names: Mapping[str, str] | None = None,
    hashed: Hashed = lambda plain, hash_: False,
) -> list[Change]:
    """Return what accounts, users and permissions of `before` are not in `after`, or otherwise.

    identity: what nunect itself needs in `after`, its guard among it, is no difference. names: as for `diff`. hashed:
    says that a password in clear is the one of a hash, which is then none either. Settings outside of accounts are
    not compared, nor the time that a login may take.
    """
    return diff(*_compared(before, after, identity, hashed), names)


def undone(
    before: Tree,
    after: Tree,
    identity: IdentitySpec,
    names: Mapping[str, str] | None = None,
    hashed: Hashed = lambda plain, hash_: False,
) -> list[Change]:
    """Return what becomes of accounts, users and permissions of `after` when `before` comes back; see `differences`."""
    old, new = _compared(before, after, identity, hashed)
    return diff(new, old, names)


def _compared(before: Tree, after: Tree, identity: IdentitySpec, hashed: Hashed) -> tuple[Tree, Tree]:
    old, new = _accounts(before), _accounts(after)
    own = set(identity.nkeys)
    new = {name: _without_own(tree, own) for name, tree in new.items() if name != identity.control_account}
    if new.get(identity.system_account) == {} and identity.system_account not in old:
        del new[identity.system_account]
    old[GLOBAL_ACCOUNT], new[GLOBAL_ACCOUNT] = _authorization(before), _without_users(_authorization(after), own)
    return _whole(_as_hashed(old, new, hashed)), _whole(new)


def _whole(accounts: Mapping[str, Tree]) -> Tree:
    return whole({name: tree for name, tree in accounts.items() if name != GLOBAL_ACCOUNT or tree})


def _accounts(tree: Tree) -> dict[str, Tree]:
    """{account: its settings by usual keys}, without variables that stand among them."""
    found = spelled(tree, "accounts")
    if isinstance(found, list):
        return {name: {} for name in found if isinstance(name, str)}
    if not isinstance(found, Mapping):
        return {}
    return {
        name: forms.keyed(value, forms.ACCOUNT, "Account")[0]
        for name, value in found.items()
        if isinstance(value, Mapping)
    }


def _authorization(tree: Tree) -> Tree:
    """`authorization` by usual keys, its users in one list, and no default for users where there are none."""
    found = spelled(tree, "authorization")
    known = forms.keyed(found, forms.AUTHORIZATION, "Authorization")[0] if isinstance(found, Mapping) else {}
    known.pop("timeout", None)
    if "user" in known:
        single = {"user": known.pop("user"), "password": known.pop("password", ""), "permissions": {}}
        known["users"] = [*known.get("users", []), single]
    return known if known.get("users") else {}


def _without_own(tree: Tree, own: set[str]) -> Tree:
    """An account without nunect's users, and without what it shows to nunect."""
    tree = _without_users(tree, own)
    exports = control.without_own_exports(tree.get("exports"))
    rest = {key: value for key, value in tree.items() if key != "exports"}
    return {**rest, "exports": exports} if exports else rest


def _without_users(tree: Tree, own: set[str]) -> Tree:
    users = tree.get("users")
    if not isinstance(users, list):
        return tree
    others = [user for user in users if forms.login(user) not in own]
    rest = {key: value for key, value in tree.items() if key != "users"}
    if others:
        return {**rest, "users": others}
    return {key: value for key, value in rest.items() if key != "default_permissions"}


def _as_hashed(old: dict[str, Tree], new: dict[str, Tree], hashed: Hashed) -> dict[str, Tree]:
    """`old` with the hashes of `new` in place of the passwords in clear that they are of."""

    def user(value: Any, hashes: Mapping[str, str]) -> Any:
        key = _password_key(value)
        hash_ = hashes.get(forms.login(value), "")
        if not key or not hash_ or value[key] == hash_ or not hashed(value[key], hash_):
            return value
        return {**value, key: hash_}

    found = {}
    for name, tree in old.items():
        users, others = tree.get("users"), new.get(name, {}).get("users")
        if isinstance(users, list) and isinstance(others, list):
            hashes = {forms.login(each): each[key] for each in others if (key := _password_key(each))}
            tree = {**tree, "users": [user(each, hashes) for each in users]}
        found[name] = tree
    return found


def _password_key(user: Any) -> str:
    if not isinstance(user, Mapping):
        return ""
    keys = (key for key in user if forms.USER.get(key.lower()) == "password" and isinstance(user[key], str))
    return next(keys, "")
