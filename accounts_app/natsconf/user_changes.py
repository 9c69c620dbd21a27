"""What changes for the users of one account: credentials, rights, ways to connect."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from . import forms
from .changes import Change, Kind, a_or_an, is_less, listed
from .names import duration_seconds
from .specs import AccountSpec, ResponseSpec
from .subjects import InvalidValue, covers, overlaps
from .tree import Tree, spelled

READ_INTO = "which the server read into"  # of what only a reading of the server's own allowed, and nunect closes


@dataclass(frozen=True, slots=True)
class _Finding:
    """What happens to one user, before equal findings are put together."""

    kind: Kind
    user: str
    says: str
    removes_access: bool = False
    lost: tuple[str, ...] = ()
    gained: tuple[str, ...] = ()


def user_changes(account: str, old: Tree, new: Tree, names: Mapping[str, str]) -> list[Change]:
    """Return what happens to the users of an account, the same change of several users as one.

    old, new: the account's tree by usual keys; names: {public nkey: name of its user}.
    """
    users: dict[_Finding, list[str]] = defaultdict(list)
    for finding in _findings(old, new, names):
        users[replace(finding, user="")].append(finding.user)
    return [
        Change(f.kind, account, f.says, tuple(named), f.removes_access, f.lost, f.gained) for f, named in users.items()
    ]


def names_by_nkey(specs: Iterable[AccountSpec]) -> dict[str, str]:
    """Return {public nkey: name of its user}, former nkeys of an overlap among them."""
    return {
        secret.identity: user.name
        for spec in specs
        for user in spec.users
        for secret in (user.secret, user.retiring)
        if secret is not None and secret.kind == "nkey"
    }


def users_of(tree: Mapping[str, Any]) -> list[Any]:
    found = spelled(tree, "users")
    return found if isinstance(found, list) else []


def _findings(old: Tree, new: Tree, names: Mapping[str, str]) -> Iterator[_Finding]:
    """Yield what happens to each user of one account."""
    old_default, new_default = old.get("default_permissions"), new.get("default_permissions")
    if old_default == new_default and old.get("users") == new.get("users"):
        return
    before = by_name(old.get("users"), names)
    after = by_name(new.get("users"), names)
    same_default = old_default == new_default
    read = _Reader(old_default, new_default)
    for user in sorted({*before, *after}):
        old_entries, new_entries = before.get(user, []), after.get(user, [])
        if same_default and old_entries == new_entries:
            continue
        if not old_entries:
            yield _Finding("user_added", user, "is added")
        elif not new_entries:
            yield _Finding("user_removed", user, "is removed", removes_access=True)
        else:
            try:
                yield from _user(user, old_entries, new_entries, read)
            except InvalidValue as exc:
                yield _Finding("setting", user, f"changes in a way that can't be read: {exc}")


def by_name(users: Any, names: Mapping[str, str]) -> dict[str, list[Any]]:
    """Return {name of a user: its entries}; a user with an old and a new credential has two."""
    found: dict[str, list[Any]] = defaultdict(list)
    for value in users if isinstance(users, list) else ():
        login = forms.login(value)
        found[names.get(login, login)].append(value)
    return found


class _Reader:
    """Permissions → rights, each shared block once; None is the account's default."""

    def __init__(self, old_default: Any, new_default: Any) -> None:
        self._defaults = (old_default, new_default)
        self._made: dict[int, forms.Rights] = {}

    def rights(self, entry: forms.Entry, is_new: bool) -> forms.Rights:
        block = entry.permissions if entry.permissions is not None else self._defaults[is_new]
        if id(block) not in self._made:
            self._made[id(block)] = forms.rights(block)
        return self._made[id(block)]


def _user(user: str, before: Sequence[Any], after: Sequence[Any], read: _Reader) -> Iterator[_Finding]:
    old, new = [forms.entry(value) for value in before], [forms.entry(value) for value in after]
    yield from _credentials(user, old, new)
    # entries of one user have the same rights when nunect wrote them; by hand the first one counts
    first, last = old[0], new[0]
    o, n = read.rights(first, False), read.rights(last, True)
    if o != n:
        yield from _direction(user, "publish", o.publish, n.publish)
        yield from _direction(user, "subscribe", o.subscribe, n.subscribe)
        yield from _response_findings(user, o, n)
    if first.connection_types != last.connection_types:
        yield _types(user, first.connection_types, last.connection_types)
    if first.proxy_required != last.proxy_required:
        says = "must now come through a proxy" if last.proxy_required else "need no longer come through a proxy"
        yield _Finding("connection_types", user, says, removes_access=last.proxy_required)


_CREDENTIALS = {"password": "password", "nkey": "nkey", "name": "certificate"}


def _credentials(user: str, before: Sequence[forms.Entry], after: Sequence[forms.Entry]) -> Iterator[_Finding]:
    def held(entries: Sequence[forms.Entry]) -> set[tuple[str, str, str]]:
        return {(entry.kind, entry.login, entry.secret) for entry in entries}

    gone, come = sorted(held(before) - held(after)), sorted(held(after) - held(before))
    if len(gone) == 1 and len(come) == 1:
        old, new = _CREDENTIALS[gone[0][0]], _CREDENTIALS[come[0][0]]
        if old == new:
            yield _Finding("credential", user, f"proves itself by another {new}", removes_access=True)
        else:
            yield _Finding(
                "credential", user, f"proves itself by {a_or_an(new)} instead of {a_or_an(old)}", removes_access=True
            )
        return
    for kind, _, _ in come:
        yield _Finding("credential", user, f"may also log in by {a_or_an(_CREDENTIALS[kind])}")
    for kind, _, _ in gone:
        yield _Finding("credential", user, f"may no longer log in by its old {_CREDENTIALS[kind]}", removes_access=True)


def _direction(
    user: str, action: Literal["publish", "subscribe"], old: forms.Direction, new: forms.Direction
) -> Iterator[_Finding]:
    lost = tuple(s for s in old.allow if not _covered(s, new.allow))
    gained = tuple(s for s in new.allow if not _covered(s, old.allow))
    if lost:
        if not new.allow:
            says = f"may no longer {action} anything"
        elif ">" in lost:
            says = f"may {action} {listed(new.allow)} only"
        else:
            says = f"may no longer {action} {listed(lost)}"
        yield _Finding(action, user, says, True, lost, gained if ">" in lost else ())
    if gained and not (">" in lost and new.allow):
        says = "everything" if gained == (">",) else listed(gained)
        yield _Finding(action, user, f"may now {action} {says}", gained=gained)
    denied = tuple(s for s in new.deny if _meets(s, new.allow) and not _covered(s, old.deny) and _meets(s, old.allow))
    lifted = tuple(s for s in old.deny if _meets(s, old.allow) and not _covered(s, new.deny) and _meets(s, new.allow))
    if denied:
        yield _Finding(action, user, f"may no longer {action} {listed(denied)} (denied)", True, lost=denied)
    if lifted:
        yield _Finding(action, user, f"may {action} {listed(lifted)} (no longer denied)", gained=lifted)
    # denials of what is allowed only now: a gain with an exception, told with it
    excepted = tuple(s for s in new.deny if _meets(s, gained) and not _meets(s, old.allow))
    if excepted and gained:
        yield _Finding(action, user, f"may not {action} {listed(excepted)} (denied)")
    closed = tuple(s for s in old.opened if s not in new.opened and not _covered(s, new.allow))
    if closed and not any(covers(each.split(" ")[0], s) for s in closed for each in lost):
        stars = listed([f"{s[:-1]}*" for s in closed])
        yield _Finding(
            action,
            user,
            f"may no longer {action} {listed(closed)}, {READ_INTO} {stars}",
            True,
            closed,
        )
    opened = tuple(s for s in new.opened if s not in old.opened and not _covered(s, old.allow))
    if opened:
        stars = listed([f"{s[:-1]}*" for s in opened])
        yield _Finding(
            action,
            user,
            f"may now {action} {listed(opened)} as well, which the server reads into {stars}",
            gained=opened,
        )


def _covered(right: str, rights: Iterable[str]) -> bool:
    """Say whether one of `rights` is at least as wide as `right`, queue and all."""
    subject, _, queue = right.partition(" ")
    for each in rights:
        wide, _, wide_queue = each.partition(" ")
        if covers(wide, subject) and (not wide_queue or (queue and covers(wide_queue, queue))):
            return True
    return False


def _meets(right: str, rights: Iterable[str]) -> bool:
    subject = right.split(" ")[0]
    return any(overlaps(subject, each.split(" ")[0]) for each in rights)


def _response_findings(user: str, old: forms.Rights, new: forms.Rights) -> Iterator[_Finding]:
    before = None if old.publish.allow == (">",) and not old.publish.deny else _effective(old.responses)
    after = None if new.publish.allow == (">",) and not new.publish.deny else _effective(new.responses)
    if before == after:
        return
    if after is None:
        if new.publish.allow != (">",) or new.publish.deny:
            yield _Finding("responses", user, "may no longer answer requests", True)
    elif before is None:
        says = f"may answer requests, {_replies(after)}"
        yield _Finding("responses", user, says)
    else:
        narrower = is_less(after[0], before[0]) or is_less(after[1], before[1])
        yield _Finding("responses", user, f"may answer requests, {_replies(after)} (was {_replies(before)})", narrower)


def _effective(responses: ResponseSpec | None) -> tuple[float, float] | None:
    """Return how many replies and for how many seconds, -1 for no limit."""
    if responses is None:
        return None
    seconds = duration_seconds(responses.expires) if responses.expires else 0.0
    return max(responses.max, -1) or 1, -1.0 if seconds < 0 else seconds or 120.0


def _replies(limits: tuple[float, float]) -> str:
    count = "without limit" if limits[0] == -1 else f"{limits[0]:.0f} {'reply' if limits[0] == 1 else 'replies'}"
    return count if limits[1] == -1 else f"{count} within {limits[1]:g} s"


def _types(user: str, old: tuple[str, ...], new: tuple[str, ...]) -> _Finding:
    if not new:
        return _Finding("connection_types", user, "may connect in any way")
    lost = not old or not set(old) <= set(new)
    return _Finding(
        "connection_types", user, f"may connect by {', '.join(new)} only (was {', '.join(old) or 'any'})", lost
    )
