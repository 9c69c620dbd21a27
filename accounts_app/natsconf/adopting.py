"""An account edited by hand, and its rows: what the hand has changed is the conf's, all else stays the rows'."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from .specs import AccountSpec, ResponseSpec, RoleSpec, RuleSpec, UserSpec
from .subjects import shown

_PARTS = ("limits", "jetstream", "exports", "imports", "mappings")
NAMED = 5  # users that a sentence names before it counts


@dataclass(frozen=True, slots=True)
class Merged:
    """What the rows shall say. lost: what of the rows goes with it; kept: what stays though no conf says it."""

    spec: AccountSpec
    lost: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Rights:
    """What a user may, whatever gives it. everything: no permissions are written for it."""

    everything: bool
    rules: frozenset[RuleSpec] = frozenset()
    responses: ResponseSpec | None = None


def merged(
    edited: AccountSpec, before: AccountSpec, rows: AccountSpec, shared_roles: Iterable[RoleSpec] = ()
) -> Merged:
    """Return rows that mean what `edited` does, and keep of `rows` what the hand did not touch.

    edited, before: what `read_accounts` makes of the conf with and without the edit, passwords hashed. Roles,
    descriptions, expiries, and users that are not in force stay. A user that may something else than before gets
    permissions of its own, since the conf doesn't say whether its role was meant. A former credential that still
    works beside a new one does so until its time has come, whatever the hand did to it.
    """
    edited, before = _called(edited, rows), _called(before, rows)
    now, then = _by_name(rows), _by_name(before)
    retiring = {user.retiring.identity: user.name for user in rows.users if user.retiring is not None}
    default, roles = _default(edited, before, rows, {f"*/{role.name}": role for role in shared_roles})
    users: list[UserSpec] = []
    flattened: list[str] = []
    for user in edited.users:
        ours, was = now.get(user.name), then.get(user.name)
        if ours is None and user.secret.identity in retiring:
            continue  # the former credential of a user that has a new one: the rows know that
        if (
            ours is not None
            and was is not None
            and _stays(user, edited, was, before, ours, moved=default != rows.default_role)
        ):
            users.append(_with_login(ours, user, was))
            continue
        if ours is not None and ours.access in ("role", "inherit"):
            flattened.append(user.name)
        users.append(_own(user, edited, ours))
    asleep = [user for user in rows.users if user.name not in then and user.name not in _by_name(edited)]
    changed: dict[str, Any] = {
        part: getattr(edited, part) for part in _PARTS if getattr(edited, part) != getattr(before, part)
    }
    spec = replace(rows, **changed, enabled=True, users=(*users, *asleep), roles=roles, default_role=default)
    place = f"account {shown(rows.name)}"
    lost = [f"{_users(flattened)} of {place}: permissions of its own instead of a role's."] if flattened else []
    kept = [f"{_users(user.name for user in asleep)} of {place}: only the rows know it."] if asleep else []
    return Merged(spec, tuple(lost), tuple(kept))


def _called(spec: AccountSpec, rows: AccountSpec) -> AccountSpec:
    """The spec with the rows' names of users that a conf knows by their keys or certificates alone."""
    names = {user.secret: user.name for user in rows.users if user.secret.kind in ("nkey", "certificate")}
    if not names:
        return spec
    return replace(spec, users=tuple(replace(user, name=names.get(user.secret, user.name)) for user in spec.users))


def _by_name(spec: AccountSpec) -> Mapping[str, UserSpec]:
    return {user.name: user for user in spec.users}


def _default(
    edited: AccountSpec, before: AccountSpec, rows: AccountSpec, shared: Mapping[str, RoleSpec]
) -> tuple[str, tuple[RoleSpec, ...]]:
    """Return the account's default role and its roles: one more where the hand has changed the default.

    Where the conf's default is none of the rows it is just the shorter way to write what many users have.
    """
    old, new = _role(before, before.default_role), _role(edited, edited.default_role)
    ours = shared.get(rows.default_role) or _role(rows, rows.default_role)
    if ours is None or _said(ours) != _said(old) or _said(new) == _said(old):
        return rows.default_role, rows.roles
    if new is None:
        return "", rows.roles
    taken, name, number = {role.name for role in rows.roles}, new.name, 2
    while name in taken:
        name, number = f"{new.name}-{number}", number + 1
    return name, (*rows.roles, replace(new, name=name))


def _said(role: RoleSpec | None) -> tuple[frozenset[RuleSpec], ResponseSpec | None] | None:
    return None if role is None else (frozenset(role.rules), role.responses)


def _role(spec: AccountSpec, name: str) -> RoleSpec | None:
    return next((role for role in spec.roles if role.name == name), None)


def _stays(
    user: UserSpec, edited: AccountSpec, was: UserSpec, before: AccountSpec, ours: UserSpec, *, moved: bool
) -> bool:
    """Whether what gives the user its rights may stay as the rows have it. moved: the account has another default."""
    if user.connection_types != was.connection_types:
        return False
    if moved and ours.access == "inherit":
        return user.access == was.access == "inherit"
    return _rights(user, edited) == _rights(was, before)


def _rights(user: UserSpec, spec: AccountSpec) -> _Rights:
    """What a user of a conf may; `spec` gives its role and its account's default."""
    if user.access == "own":
        return _Rights(False, frozenset(user.rules), user.responses)
    role = _role(spec, {"role": user.role, "inherit": spec.default_role}.get(user.access, ""))
    if role is None:
        return _Rights(True)
    return _Rights(False, frozenset(role.rules), role.responses)


def _with_login(ours: UserSpec, user: UserSpec, was: UserSpec) -> UserSpec:
    """The rows' user, with the credential of the conf where the hand has changed it."""
    return ours if user.secret == was.secret else replace(ours, secret=user.secret, retiring=None)


def _own(user: UserSpec, edited: AccountSpec, ours: UserSpec | None) -> UserSpec:
    """The conf's user with permissions of its own; what no conf says is the rows'."""
    rights = _rights(user, edited)
    told = replace(
        user,
        access="all" if rights.everything else "own",
        role="",
        rules=() if rights.everything else tuple(sorted(rights.rules)),
        responses=rights.responses,
    )
    if ours is None:
        return told
    retiring = ours.retiring if ours.secret == user.secret else None
    return replace(told, description=ours.description, expires=ours.expires, retiring=retiring)


def _users(names: Iterable[str]) -> str:
    """ "user `a`", "users `a`, `b`" or "7 users"."""
    known = sorted(names)
    if len(known) > NAMED:
        return f"{len(known):,} users"
    return f"user{'s' if len(known) > 1 else ''} {', '.join(shown(name) for name in known)}"
