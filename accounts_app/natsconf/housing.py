"""A conf whose users belong to no account → the same with all of them in one named account that has JetStream."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from . import forms
from .tree import Tree

_MOVED = ("users", "user", "password", "default_permissions")


def housed(tree: Tree, account: str) -> Tree:
    """Return what the conf would say if `$G` were this account; the tree that was given stays as it is.

    What `authorization` says besides stays there.
    """
    found: Tree = {}
    home: Tree = {"jetstream": "enabled"}
    accounts: Tree = {}
    for key, value in tree.items():
        usual = key.lower()
        if usual == "accounts":
            accounts |= {name: {} for name in value} if isinstance(value, list) else dict(value)
        elif usual == "authorization" and isinstance(value, Mapping):
            home |= _logins(value)
            rest = {
                inner: each for inner, each in value.items() if forms.AUTHORIZATION.get(inner.lower()) not in _MOVED
            }
            found |= {key: rest} if rest else {}
        else:
            found[key] = value
    return found | {"accounts": {**accounts, account: home}}


def _logins(authorization: Mapping[str, Any]) -> Tree:
    known, _ = forms.keyed(authorization, forms.AUTHORIZATION, "Authorization")
    users = list(known.get("users") or ())
    if "user" in known:
        users.append({"user": known["user"], "password": known.get("password", "")})
    found: Tree = {"users": users} if users else {}
    if known.get("default_permissions") is not None:
        found["default_permissions"] = known["default_permissions"]
    return found
