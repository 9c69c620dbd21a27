"""Which statements of a conf are nunect's from now on, and which variables nobody needs without them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from . import forms
from .options import TOP_LEVEL
from .outline import File, Statement

OWNED = ("accounts", "server_metadata")
_LOGINS = ("users", "user", "password", "token")


@dataclass(slots=True)
class Ownership:
    """top: the statements of the main file. authorization: the one that counts and keeps settings of its own, None
    when the guard needs one of its own. gone: what is to be taken out; variables, dead: those of them that nothing
    uses then, and that stood above another of their name."""

    top: list[Statement]
    authorizations: list[Statement]
    authorization: Statement | None = None
    gone: set[Statement] = field(default_factory=set)
    variables: set[Statement] = field(default_factory=set)
    dead: set[Statement] = field(default_factory=set)


def walk(statements: list[Statement], *, includes: bool = False) -> Iterator[Statement]:
    """The statements in the order in which the server takes them, through includes. includes: with these."""
    for statement in statements:
        if statement.included is None:
            yield statement
            continue
        if includes:
            yield statement
        yield from walk(statement.included.statements, includes=includes)


def decide(main: File) -> Ownership:
    """Return what of a conf nunect owns."""
    top = list(walk(main.statements))
    found = Ownership(main.statements, [each for each in top if each.name.lower() == "authorization"])
    inner: list[Statement] = []
    if found.authorizations:
        found.authorization = found.authorizations[-1]
        found.dead = {each for each in found.authorizations[:-1] if each.name == found.authorization.name}
        inner = list(walk(found.authorization.body or []))
    found.gone = {each for each in top if each.name.lower() in OWNED} | _owned_logins(inner) | found.dead
    last = {each.name: each for each in top}
    found.dead |= {each for each in found.gone if each in top and last[each.name] is not each}
    everything = [*top, *(each for one in found.authorizations for each in walk(one.body or []))]
    users: dict[Statement, list[Statement]] = {}
    for each in everything:
        for used in each.uses:
            users.setdefault(used, []).append(each)
    going = True
    while going:
        found.gone |= {each for one in found.gone for each in walk(one.body or [])}
        unused = {
            used
            for used, by in users.items()
            if used not in found.gone and _is_variable(used, top) and all(each in found.gone for each in by)
        }
        found.gone |= unused
        found.variables |= unused
        going = bool(unused)
    if found.authorization and found.authorization.body is not None and all(each in found.gone for each in inner):
        found.gone.add(found.authorization)
        found.authorization = None
    return found


def _owned_logins(inner: list[Statement]) -> set[Statement]:
    meant = {each: forms.AUTHORIZATION.get(each.name.lower(), "") for each in inner}
    logins = {each for each, key in meant.items() if key in _LOGINS}
    if logins:
        logins |= {each for each, key in meant.items() if key == "default_permissions"}
    return logins


def _is_variable(statement: Statement, top: list[Statement]) -> bool:
    known = TOP_LEVEL if statement in top else forms.AUTHORIZATION
    return statement.name.lower() not in known
