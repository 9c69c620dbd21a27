"""A plain tree as the server's parser would make it, and the error of what must not become one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .errors import NatsConfError
from .names import GLOBAL_ACCOUNT
from .subjects import InvalidValue, shown

Tree = dict[str, Any]


class RenderError(NatsConfError):
    """Rows that must not become a conf; nothing of the account is rendered.

    account: its name; where: the row, such as `user "a"`; reason: one sentence.
    """

    def __init__(self, account: str, where: str, reason: str) -> None:
        super().__init__(f"Account {shown(account)}, {where}: {reason}")
        self.account = account
        self.where = where
        self.reason = reason


def checked(account: str, where: str, check: Callable[[], object]) -> None:
    """Run `check` and say which row a refusal is about."""
    try:
        check()
    except InvalidValue as exc:
        raise RenderError(account, where, str(exc)) from exc


def set_values(**values: object) -> Tree:
    """Return `values` without those that are None."""
    return {key: value for key, value in values.items() if value is not None}


def whole(accounts: Mapping[str, Tree]) -> Tree:
    """Return the conf tree of {account: its tree}; that of "$G" stands as `authorization`."""
    named = {name: tree for name, tree in accounts.items() if name != GLOBAL_ACCOUNT}
    found: Tree = {"accounts": named}
    return found | {"authorization": accounts[GLOBAL_ACCOUNT]} if GLOBAL_ACCOUNT in accounts else found


def spelled(tree: Mapping[str, Any], key: str) -> Any:
    """Return what stands under `key` (lower case) in any spelling, None when nothing does."""
    if key in tree:
        return tree[key]
    return next((value for name, value in tree.items() if name.lower() == key), None)
