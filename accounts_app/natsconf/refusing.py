"""What nunect can't take over, by the tree of the conf alone; each with its place and one sentence."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from . import forms
from .notes import Note
from .parse import Parsed, Path
from .reading import OPERATOR
from .render import SHA256_KEY
from .tree import Tree

MANAGED = "nunect manages this conf already."
_TRUE = re.compile("enabled?|true", re.IGNORECASE)


def refusals(parsed: Parsed, *, housed: bool = False) -> Iterator[Note]:
    """The reasons against taking this conf over, in the order of the conf.

    housed: what lives in `$G` gets an account.
    """
    tree = parsed.tree
    for key, value in tree.items():
        usual = key.lower()
        if OPERATOR.fullmatch(usual):
            yield _note(parsed, (key,), f"`{key}` belongs to operator mode, where accounts are JWTs, not rows.")
        elif usual in ("no_system_account", "no_system", "no_sys_acc") and value is True:
            yield _note(parsed, (key,), "nunect signs in to the system account: take this line out and restart.")
        elif usual == "server_metadata" and isinstance(value, Mapping) and SHA256_KEY in value:
            yield _note(parsed, (key,), MANAGED)
        elif usual == "authorization" and isinstance(value, Mapping):
            yield from _authorization(parsed, key, value)
        elif usual == "jetstream" and not housed and jetstream_is_global(tree):
            yield _note(
                parsed,
                (key,),
                "JetStream belongs to no account here; its streams would be gone after the next start of a server "
                "with accounts. `nunect takeover FILE --global-account NAME` moves them to an account, with the server "
                "stopped.",
            )


def jetstream_is_global(tree: Tree) -> bool:
    """Whether a server with this conf keeps its streams in `$G`, since there is no account that they could be of."""
    on = any(_is_on(value) for key, value in tree.items() if key.lower() == "jetstream")
    return on and not _named_accounts(tree)


def system_account(tree: Tree) -> str:
    """The name of the account that the servers take for their own."""
    found = (value for key, value in tree.items() if key.lower() in ("system_account", "system"))
    return next((value for value in found if isinstance(value, str)), "$SYS")


def _authorization(parsed: Parsed, key: str, value: Mapping[str, Any]) -> Iterator[Note]:
    for inner in value:
        meant = forms.AUTHORIZATION.get(inner.lower())
        if meant == "auth_callout":
            yield _note(
                parsed, (key, inner), "An auth callout decides who gets in; users in rows would never be asked."
            )
        elif meant == "token":
            yield _note(
                parsed, (key, inner), "A token can't be used beside accounts; make a user with a password of it."
            )
        elif meant == "proxy_required" and value[inner] is True:
            yield _note(parsed, (key, inner), "That all clients come through a proxy can't be kept in rows.")


def _is_on(value: Any) -> bool:
    """Whether a server with this `jetstream` has it."""
    if isinstance(value, Mapping):
        return next((item for key, item in value.items() if key.lower() in ("enabled", "enable")), True) is not False
    return value is True or (isinstance(value, str) and _TRUE.fullmatch(value) is not None)


def _named_accounts(tree: Tree) -> set[str]:
    """The accounts besides the servers' own; while there is none, JetStream lives in `$G`."""
    found = [value for key, value in tree.items() if key.lower() == "accounts"]
    names = {name for value in found if isinstance(value, Mapping | list) for name in value if isinstance(name, str)}
    return names - {system_account(tree), "$G"}


def _note(parsed: Parsed, path: Path, sentence: str) -> Note:
    return Note(parsed.positions.get(path), path, "refused", sentence)
