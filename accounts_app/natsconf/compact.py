"""Permissions shared by most users, written once as `default_permissions`, and the way back.

Only an encoding: a reload is nearly all parsing, so a smaller text is a faster reload. Trees are
expanded again before they are compared, shown or imported. Nothing in the text tells the two
forms apart, so `expand` is right for files written by hand too.
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from .kept import Kept
from .rights import OPEN
from .tree import Tree

_PERMISSIONS = ("permissions", "permission", "authorization")  # spellings of a user's own block
_DEFAULTS = ("default_permissions", "default_permission", "permissions")  # of an account or authorization


def compact(tree: Tree) -> Tree:
    """Return a smaller tree of the same meaning.

    Where most users have one and the same block and the account has no default of its own, it
    becomes the default; a user without any block is then written with explicit rules for both
    directions, since the default would narrow it and an empty block is easily misread.
    """
    users: list[Tree] = tree.get("users", [])
    if "default_permissions" in tree:
        default = tree["default_permissions"]
        return {**tree, "users": [_inherit(user, default) for user in users]} if users else tree
    keys: dict[int, str] = {}
    counts: Counter[str] = Counter()
    blocks: dict[str, Any] = {}
    open_users = 0
    for user in users:
        if _permissions_key(user) is None:
            open_users += 1
        elif "permissions" in user:
            block = user["permissions"]
            key = keys.get(id(block))
            if key is None:
                key = keys[id(block)] = _rights(user)
                blocks[key] = block
            counts[key] += 1
    if not counts:
        return tree
    key, count = min(counts.items(), key=lambda item: (-item[1], item[0]))
    if count < 2 or count <= open_users or 2 * count <= len(users):
        return tree
    default = blocks[key]
    compacted = []
    for user in users:
        if _permissions_key(user) is None:
            compacted.append(_opened(user))
        else:
            compacted.append(_inherit(user, default))
    others = {name: value for name, value in tree.items() if name != "users"}
    return {**others, "default_permissions": default, "users": compacted}


def expand(tree: Tree) -> Tree:
    """Return `tree` with its default pushed down to the users that it reaches, and without it.

    A user with any block of its own is not reached, however little the block says (measured: an
    empty or one-sided block is open where it says nothing). Explicit rules that allow everything
    become no rules at all.
    """
    default_key = _default_key(tree)
    default = None if default_key is None else tree[default_key]
    if isinstance(default, dict) and default == OPEN:
        default = None
    users_key = _find(tree, ("users",))
    users = tree[users_key] if users_key is not None else None
    expanded = {name: value for name, value in tree.items() if name != default_key}
    if users_key is not None and isinstance(users, list):
        expanded[users_key] = [_explicit(user, default) if isinstance(user, dict) else user for user in users]
    return expanded


def _rights(user: Tree) -> str:
    if not isinstance(user, Kept):
        return json.dumps(user["permissions"], sort_keys=True)
    if user.rights is None:
        user.rights = json.dumps(user["permissions"], sort_keys=True)
    return user.rights


def _opened(user: Tree) -> Tree:
    if not isinstance(user, Kept):
        return {**user, "permissions": OPEN}
    if user.opened is None:
        user.opened = Kept(user, permissions=OPEN)
    return user.opened


def _inherit(user: Tree, default: Any) -> Tree:
    if user.get("permissions") != default:
        return user
    bare = {key: value for key, value in user.items() if key != "permissions"}
    if not isinstance(user, Kept):
        return bare
    if user.bare is None:
        user.bare = Kept(bare)
    return user.bare


def _explicit(user: Tree, default: Any) -> Tree:
    key = _permissions_key(user)
    if key is None:
        return user if default is None else {**user, "permissions": default}
    if user[key] == OPEN:
        return {name: value for name, value in user.items() if name != key}
    return user


def _permissions_key(user: Tree) -> str | None:
    return "permissions" if "permissions" in user else _find(user, _PERMISSIONS)


def _default_key(tree: Tree) -> str | None:
    return _find(tree, _DEFAULTS)


def _find(tree: Tree, spellings: tuple[str, ...]) -> str | None:
    """Return the key of `tree` that the server reads as one of `spellings`, in any case."""
    return next((key for key in tree if key in spellings or key.lower() in spellings), None)
