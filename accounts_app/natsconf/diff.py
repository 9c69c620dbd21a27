"""Two conf trees → what changes for people, in NATS's words.

Equal accounts are skipped, spellings don't matter, and no secret is ever shown.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from . import control, forms
from .changes import ORDER, Change, Kind, value_of
from .names import GLOBAL_ACCOUNT
from .part_changes import PARTS
from .render import REVISION_KEY, SHA256_KEY
from .specs import CONTROL_ACCOUNT
from .subjects import InvalidValue
from .tree import Tree, spelled
from .user_changes import by_name, user_changes, users_of

_SECRET = ("pass", "secret", "seed", "token", "xkey", "jwt", "nkey", "issuer", "operator", "resolver", "sentinel")


def diff(old: Tree, new: Tree, names: Mapping[str, str] | None = None) -> list[Change]:
    """Return what changes from `old` to `new`, two trees of whole confs, in a fixed order.

    names: {public nkey: name of its user}, to call people by their names. nunect's own entries in
    `server_metadata` are no change; of its control account and of what others export to it only that it sees
    more or less of an account than before.
    """
    changes: list[Change] = []
    old_accounts, new_accounts = _accounts(old), _accounts(new)
    for name in sorted({*old_accounts, *new_accounts}):
        before, after = old_accounts.get(name), new_accounts.get(name)
        if before is after or before == after:
            continue
        if name == CONTROL_ACCOUNT:
            changes += _control(before, after, names or {})
        elif before is None:
            changes.append(_account_change("account_added", name, after, "is added"))
        elif after is None:
            changes.append(_account_change("account_removed", name, before, "is removed"))
        else:
            changes += _account(name, before, after, names or {})
    changes = _moved(changes, old_accounts, new_accounts, names or {}) + _settings(old, new)
    if not changes and old_accounts.get(CONTROL_ACCOUNT) != new_accounts.get(CONTROL_ACCOUNT):
        changes.append(
            Change("setting", CONTROL_ACCOUNT, f"what nunect's own account `{CONTROL_ACCOUNT}` sees changes")
        )
    return changes


def _accounts(tree: Tree) -> dict[str, Any]:
    """Return {account: its tree}; "$G" is `authorization`."""
    found = spelled(tree, "accounts")
    if isinstance(found, list):
        found = {name: {} for name in found if isinstance(name, str)}
    accounts = dict(found) if isinstance(found, Mapping) else {}
    authorization = spelled(tree, "authorization")
    if isinstance(authorization, Mapping):
        accounts[GLOBAL_ACCOUNT] = authorization
    return accounts


def _account_change(kind: Kind, name: str, tree: Any, says: str) -> Change:
    count = len(users_of(tree)) if isinstance(tree, Mapping) else 0
    users = f" with {count} user{'s' if count > 1 else ''}" if count else ""
    subject = f"account `{name}`" if name != GLOBAL_ACCOUNT else "`authorization`"
    return Change(kind, name, f"{subject} {says}{users}", removes_access=kind == "account_removed")


def _account(name: str, before: Any, after: Any, names: Mapping[str, str]) -> list[Change]:
    spellings = forms.AUTHORIZATION if name == GLOBAL_ACCOUNT else forms.ACCOUNT
    try:
        old, old_rest = forms.keyed(before, spellings, "Account")
        new, new_rest = forms.keyed(after, spellings, "Account")
    except InvalidValue:
        return [Change("setting", name, f"account `{name}` changes in a way that can't be read")]
    changes = user_changes(name, old, new, names)
    if name != GLOBAL_ACCOUNT:
        changes += _shown(name, old, new)
        old, new = _without_own(name, old), _without_own(name, new)
    for key, compare in PARTS.items():
        if old.get(key) != new.get(key):
            try:
                changes += compare(name, old.get(key), new.get(key))
            except InvalidValue as exc:
                changes.append(Change("setting", name, f"{key} of account `{name}` can't be read: {exc}"))
    known = {*PARTS, "users", "default_permissions"}
    rest_old = {**{k: v for k, v in old.items() if k not in known}, **old_rest}
    rest_new = {**{k: v for k, v in new.items() if k not in known}, **new_rest}
    changes += _values(
        name, f" of account `{name}`" if name != GLOBAL_ACCOUNT else " of authorization", rest_old, rest_new
    )
    return sorted(changes, key=lambda change: (ORDER.index(change.kind), change.users, change.says))


def _control(before: Any, after: Any, names: Mapping[str, str]) -> list[Change]:
    """What happens to nunect's own account: whoever else is in it, and what else it imports, is told like anywhere."""
    if before is None or after is None:
        says = f"nunect's own account `{CONTROL_ACCOUNT}`, by which it sees the streams of others, is "
        return [Change("setting", CONTROL_ACCOUNT, says + ("removed" if after is None else "added"))]
    return _account(CONTROL_ACCOUNT, before, after, names)


def _without_own(name: str, tree: Tree) -> Tree:
    """An account's tree without what nunect has put there to see streams."""
    key, strip = ("imports", control.without_own_imports) if name == CONTROL_ACCOUNT else _EXPORTS
    return {**tree, key: strip(tree[key])} if key in tree else tree


_EXPORTS = ("exports", control.without_own_exports)


def _shown(name: str, old: Tree, new: Tree) -> list[Change]:
    """A switch turned at an account that has JetStream before and after; else JetStream itself is told."""
    was, is_ = control.shown_by(old), control.shown_by(new)
    if was == is_ or ("jetstream" in old) != ("jetstream" in new):
        return []
    if set(is_) < set(was):
        what = "streams" if "service" in was and "service" not in is_ else "stream events"
        return [Change("jetstream", name, f"nunect no longer sees the {what} of account `{name}`")]
    return [Change("jetstream", name, f"nunect now sees the streams of account `{name}`")]


def _moved(
    changes: Sequence[Change], old: Mapping[str, Any], new: Mapping[str, Any], names: Mapping[str, str]
) -> list[Change]:
    """Tell a user that goes from one account to another as one change."""
    removed = {user: c.account for c in changes if c.kind == "user_removed" for user in c.users}
    added = {user: c.account for c in changes if c.kind == "user_added" for user in c.users}
    for change in changes:
        if change.kind == "account_removed":
            removed.update(dict.fromkeys(by_name(users_of(old[change.account]), names), change.account))
        if change.kind == "account_added":
            added.update(dict.fromkeys(by_name(users_of(new[change.account]), names), change.account))
    both = removed.keys() & added.keys()
    if not both:
        return list(changes)
    kept = []
    for change in changes:
        if change.kind in ("user_removed", "user_added"):
            left = tuple(user for user in change.users if user not in both)
            if left:
                kept.append(replace(change, users=left))
        else:
            kept.append(change)
    moves: dict[tuple[str, str], list[str]] = defaultdict(list)
    for user in sorted(both):
        moves[removed[user], added[user]].append(user)
    kept += [
        Change("user_moved", source, f"is moved to account `{target}`", tuple(users), True)
        for (source, target), users in sorted(moves.items())
    ]
    return sorted(kept, key=lambda change: (change.account, ORDER.index(change.kind), change.users, change.says))


def _settings(old: Tree, new: Tree) -> list[Change]:
    def rest(tree: Tree) -> Tree:
        found = {}
        for key, value in tree.items():
            name = key.lower()
            if name == "server_metadata" and isinstance(value, Mapping):
                value = {k: v for k, v in value.items() if k not in (REVISION_KEY, SHA256_KEY)}
                if not value:
                    continue
            if name not in ("accounts", "authorization"):
                found[key] = value
        return found

    return _values("", "", rest(old), rest(new))


def _values(account: str, of: str, old: Tree, new: Tree) -> list[Change]:
    """Compare keys that have no sentence of their own; a value that may be secret is not shown."""
    changes = []
    for key in sorted({*old, *new}):
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        says = f"setting `{key}`{of} "
        if any(word in key.lower() for word in _SECRET) or not (_plain(before) and _plain(after)):
            says += "is added" if before is None else "is removed" if after is None else "changes"
        else:
            says += f"changes: {value_of(before)} → {value_of(after)}"
        changes.append(Change("setting", account, says))
    return changes


def _plain(value: Any) -> bool:
    return value is None or isinstance(value, str | int | float | bool)
