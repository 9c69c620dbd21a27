"""What the servers hold of an account that can't follow its rows, less what the rows have taken away."""

from __future__ import annotations

from collections.abc import Collection

from .names import login_key
from .specs import AccountSpec, SecretSpec
from .tree import Tree


def without_revoked(tree: Tree, spec: AccountSpec | None, own: Collection[str]) -> Tree:
    """Return the enforced `tree` of an account without the logins that `spec` no longer has; of one that is disabled
    or gone (None), without any.

    A fault elsewhere in an account must not keep a disabled, expired or deleted user in. A changed
    password takes effect, too; new users and changed rights wait. own: nunect's public nkeys. The very
    same tree comes back when nothing was taken away.
    """
    live = {
        login_key(user.name, secret): secret
        for user in (spec.users if spec is not None and spec.enabled else ())
        if user.enabled
        for secret in (user.secret, user.retiring)
        if secret is not None and secret.kind != "none"
    }
    before = tree.get("users") or []
    after = [kept for entry in before if (kept := _kept(entry, live, own)) is not None]
    if after == before:
        return tree
    rest = {key: value for key, value in tree.items() if key != "users"}
    return {key: after if key == "users" else value for key, value in tree.items()} if after else rest


def _kept(entry: Tree, live: dict[str, SecretSpec], own: Collection[str]) -> Tree | None:
    login = entry.get("nkey") or entry["user"]
    if login in own:
        return entry
    secret = live.get(login)
    kind = "nkey" if "nkey" in entry else "password" if "password" in entry else "certificate"
    if secret is None or secret.kind != kind:
        return None
    if kind == "password" and entry["password"] != secret.identity:
        return {**entry, "password": secret.identity}
    return entry
