"""A revision and its changes in words and lines, for people and programs."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.utils.translation import gettext as say

from accounts_app.conf_text import MASK, NKEY, conf_lines, masked
from accounts_app.door import DOORS
from accounts_app.models import NatsUser
from accounts_app.natsconf.changes import NAMED
from accounts_app.natsconf.render import block_of
from provisioning.enforced import SHARED_ROLES
from provisioning.models import Revision, RevisionBlock

LINES = 2000  # of a diff; the rest is left out
USERS = 2000  # of one change


def authors_of(revision: Revision) -> str:
    """Who made a revision, in words."""
    names = [author.get("person") or DOORS.get(author.get("door", ""), "") for author in revision.authors]
    return ", ".join(dict.fromkeys(str(name) for name in names if name)) or say("nunect itself")


@dataclass(frozen=True, slots=True)
class Line:
    """One change in NATS's words. danger: it takes access away; users: all of them when the text counts some."""

    text: str
    danger: bool = False
    users: tuple[str, ...] = ()


def in_words(many: Iterable[Iterable[Any]]) -> list[list[Line]]:
    """Lists of changes as lines for a person: what takes access away first, no hash, users by their names.

    The conf knows a user with an nkey by that alone; one query finds the names of all of them.
    """
    lists = [[_line(change) for change in changes] for changes in many]
    names = names_of(
        key for lines in lists for line in lines for text in (line.text, *line.users) for key in NKEY.findall(text)
    )

    def call(text: str) -> str:
        return NKEY.sub(lambda found: names.get(found[0]) or f"{found[0][:9]}…", text)

    def named(line: Line) -> Line:
        return Line(call(line.text), line.danger, tuple(map(call, line.users)))

    return [sorted(map(named, lines), key=lambda line: not line.danger) for lines in lists]


def names_of(nkeys: Iterable[str]) -> dict[str, str]:
    """{public nkey: name of the user that has it}"""
    keys = sorted(set(nkeys))
    names: dict[str, str] = {}
    for start in range(0, len(keys), 500):
        some = keys[start : start + 500]
        users = NatsUser.objects.filter(Q(nkey__in=some) | Q(retiring_nkey__in=some))
        for name, key, retiring in users.values_list("name", "nkey", "retiring_nkey"):
            names |= {key: name, retiring: say("%s (former nkey)") % name}
    return names


def sentences(changes: Iterable[Any]) -> list[Line]:
    """The lines of one list of changes."""
    return in_words([changes])[0]


def _line(change: Any) -> Line:
    kept = change if isinstance(change, dict) else {"text": str(change)}
    users = kept.get("users") or ()
    counted = users[:USERS] if len(users) > NAMED else ()
    return Line(masked(str(kept.get("text", ""))), bool(kept.get("removes_access")), tuple(counted))


def conf_diff(revision: Revision) -> tuple[list[dict[str, str]], bool]:
    """The lines of the unified diff against the revision before, and whether more were left out.

    A revision holds the blocks that it changed, so only those are compared; hashes are masked.
    """
    lines: list[dict[str, str]] = []
    for block in revision.blocks.order_by("account"):
        if block.account == SHARED_ROLES:
            continue
        before = (
            RevisionBlock.objects.filter(
                system=revision.system_id, account=block.account, revision__number__lt=revision.number
            )
            .order_by("-revision__number")
            .first()
        )
        old, new = _conf_of(before), _conf_of(block)
        if old is None or new is None:
            lines.append({"kind": "at", "text": say("%s: its contents are no longer kept") % block.account})
            continue
        lines += conf_lines(block.account, old, new)
        if len(lines) > LINES:
            return lines[:LINES], True
    return lines, False


def with_names(lines: list[dict[str, str]], *, keys: bool) -> list[dict[str, str]]:
    """Say in the margin whose nkey stands in a line. keys: whether the person may see the key itself."""
    names = names_of(key for line in lines for key in NKEY.findall(line["text"]))
    for line in lines:
        found = NKEY.search(line["text"])
        if found:
            line["who"] = names.get(found[0], "")
            if not keys:
                line["text"] = NKEY.sub(MASK, line["text"])
    return lines


def _conf_of(block: RevisionBlock | None) -> str | None:
    if block is None or not block.sha256:
        return ""
    return block_of(block.account, block.tree).text if block.conf else None
