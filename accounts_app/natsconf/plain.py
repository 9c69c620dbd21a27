"""Main file and generated file → one text that a person can keep, with what is nunect's own in it or without."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from .comparable import comparable
from .emit import emit
from .errors import NatsConfError
from .residual import TAIL
from .specs import CONTROL_ACCOUNT, IdentitySpec
from .tree import Tree, spelled

_LINE = "# " + "-" * 76 + "\n"


class NotPlain(NatsConfError):
    """The two files can't be made one by putting one into the other's place."""


def plain_text(main: str, generated: str, name: str, revision: int | None, identity: IdentitySpec) -> str:
    """Return the main file with the generated one where it was included: the same tree, comments and all.

    name: of the generated file. What is nunect's own stays, and is told. Raises NotPlain.
    """
    body = "".join(line for line in generated.splitlines(keepends=True) if not line.startswith("#"))
    own = [
        "What is nunect's own is still here; only a nunect that has its keys can use it, and it may go:",
        f"  - in `{identity.system_account}` the users {identity.control} (reload, kick)",
        f"    and {identity.relay} (look);",
        f"  - account `{CONTROL_ACCOUNT}`, and the exports to it of accounts with JetStream;",
        "  - `server_metadata`, by which it told its revisions apart.",
    ]
    return _put(main, name, _told(revision, own, identity) + body + _LINE)


def plain_text_without(
    main: str, tree: Tree, generated: Tree, name: str, revision: int | None, identity: IdentitySpec
) -> str:
    """Return the same without what is nunect's own, but for the guard. tree: of both files together.

    Raises NotPlain.
    """
    accounts = comparable(tree, identity)["accounts"]
    named = spelled(tree, "system_account")
    if isinstance(named, str):  # a server that looks for it doesn't start without
        accounts.setdefault(named, {})
    left: Tree = {"accounts": accounts}
    if "authorization" in generated:  # users of no account, the guard among them
        left["authorization"] = generated["authorization"]
    own = ["Nothing of nunect's own is left here but the guard."]
    return _put(main, name, _told(revision, own, identity) + emit(left) + _LINE)


def rest_of(tree: Mapping[str, Any]) -> Tree:
    """Return what no generated file owns of a conf: settings of the server."""
    return {key: value for key, value in tree.items() if key.lower() not in ("accounts", "server_metadata")}


def _told(revision: int | None, own: list[str], identity: IdentitySpec) -> str:
    which = f" (revision {revision})" if revision else ""
    lines = [
        f"What nunect wrote last{which}, a part of this file from now on and yours to edit; reload after it.",
        f"The guard is the user {identity.guard}",
        "of `authorization`: its secret was thrown away, so nobody can be it. As long as it stands there nobody gets",
        "in without a credential, even should `accounts` be emptied or lost. Keep it.",
        *own,
    ]
    return _LINE + "".join(f"# {line}\n" for line in lines) + "\n"


def _put(main: str, name: str, text: str) -> str:
    """Return the main file with `text` in the place of the one line that includes `name`."""
    include = re.compile(
        rf"""^[ \t]*include[ \t]+(["']?)(?:\./)?{re.escape(name)}\1[ \t]*;?[ \t]*(?:(?:\#|//)[^\n]*)?$""", re.MULTILINE
    )
    places = list(include.finditer(main))
    if len(places) != 1:
        many = "no line of its own" if not places else f"{len(places)} lines"
        raise NotPlain(f"The main file has {many} that says: include “{name}”. Put the two together by hand.")
    before, after = main[: places[0].start()], main[places[0].end() :].lstrip("\n")
    return _without_tail(before) + text + after


def _without_tail(text: str) -> str:
    """The text without what a take-over says above the include: it is true no more."""
    begun = [line.partition("{")[0] for line in TAIL]
    lines = text.splitlines(keepends=True)
    for first in range(len(lines) - len(begun) + 1):
        if all(line.startswith(words) for line, words in zip(lines[first:], begun, strict=False)):
            del lines[first : first + len(begun)]
            break
    return "".join(lines)
