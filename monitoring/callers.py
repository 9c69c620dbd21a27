"""Who is at a live socket, and whether they may stay. Asks the database, so it belongs into threads."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from typing import Any

from django.conf import settings
from django.contrib.auth import BACKEND_SESSION_KEY, HASH_SESSION_KEY, SESSION_KEY, get_user_model, load_backend
from django.contrib.auth.models import Group
from django.db import close_old_connections, models
from django.db.models import QuerySet
from django.utils import timezone
from django.utils.crypto import constant_time_compare

from accounts_app.access import narrow
from accounts_app.api.rows import which
from accounts_app.models import Account, System, Token
from monitoring.seeing import NEEDS, OF_ACCOUNT, topics_of, watchable

AT_ONCE = 5000  # values in one IN list
USED_EVERY = timedelta(minutes=1)
_MODELS: set[type[models.Model]] = {*NEEDS.values(), *OF_ACCOUNT}
_CODENAMES = {f"view_{model._meta.model_name}" for model in _MODELS}


class Refused(Exception):
    """Somebody is not let in; code: of the close frame, the text is the sentence for it."""

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(detail)
        self.code = code


@dataclass(frozen=True, slots=True)
class Caller:
    """By what somebody came in: the key of a session, or else the primary key of a token."""

    person: int
    session: str = ""
    token: int = 0


@dataclass(frozen=True, slots=True)
class Standing:
    """All that a caller's rights hang on; whoever has another one than before is looked at again.

    sign: what ends the session when it changes; rights: what makes up the permissions; accounts: of a token.
    """

    sign: str
    rights: frozenset[object]
    accounts: frozenset[int]


@dataclass(frozen=True, slots=True)
class Admitted:
    """Somebody who was let in, to one system."""

    caller: Caller
    standing: Standing
    topics: tuple[str, ...]
    system: int
    system_name: str


def in_thread(ask: Callable[..., Any], *args: Any) -> Any:
    """Call `ask` in a thread that keeps no database connection beyond it."""
    close_old_connections()
    try:
        return ask(*args)
    finally:
        close_old_connections()


# --- coming in ------------------------------------------------------------------------------------------------


def admit(session: str, bearer: str | None, system: str) -> Admitted:
    """Let somebody in by the bare token if there is one, else by the key of a session. Raises Refused."""
    caller = _by_session(session) if bearer is None else _by_token(bearer)
    standing = standings([caller]).get(caller)
    person = person_of(caller) if standing else None
    if standing is None or person is None:
        raise Refused(4401, "Sign in to see what the servers do.")
    if not person.is_staff:
        raise Refused(4403, "You have no right to use nunect: ask an administrator to make you staff.")
    rows = list(System.objects.visible_to(person).filter(**({"name": system} if system else {})).order_by("name"))
    if not rows:
        raise Refused(4404, "There is no such system." if system else "There is no system yet.")
    if len(rows) > 1:
        raise Refused(4404, which(person, rows))
    return Admitted(caller, standing, topics_of(person), rows[0].pk, rows[0].name)


def _by_token(bearer: str) -> Caller:
    token = Token.find(bearer)
    if token is None:
        raise Refused(4401, "This token is not known, or has expired, or was revoked.")
    now = timezone.now()
    if token.last_used_at is None or now - token.last_used_at > USED_EVERY:
        QuerySet(Token).filter(pk=token.pk).update(last_used_at=now)
    return Caller(token.person_id, token=token.pk)


def _by_session(key: str) -> Caller:
    """As Django's `get_user`, which would renew a session made under an older SECRET_KEY: a socket sets no cookie."""
    missing = Refused(4401, "Sign in to see what the servers do.")
    held = import_module(settings.SESSION_ENGINE).SessionStore(key or None)
    backend = held.get(BACKEND_SESSION_KEY) if key else None
    if backend not in settings.AUTHENTICATION_BACKENDS or SESSION_KEY not in held:
        raise missing
    person: Any = load_backend(backend).get_user(get_user_model()._meta.pk.to_python(held[SESSION_KEY]))
    if person is None:
        raise missing
    said = held.get(HASH_SESSION_KEY) or ""
    hashes = [person.get_session_auth_hash(), *person.get_session_auth_fallback_hash()]
    if not any(constant_time_compare(said, each) for each in hashes):
        raise missing
    return Caller(person.pk, session=key)


# --- staying --------------------------------------------------------------------------------------------------


def standings(callers: Iterable[Caller]) -> dict[Caller, Standing]:
    """How each stands, without those who may no longer be here. As many queries for a thousand as for one."""
    alive = _alive(frozenset(callers))
    people = {caller.person for caller in alive}
    rights: dict[int, set[object]] = defaultdict(set)
    signs: dict[int, str] = {}
    user: Any = get_user_model()
    fields = ("pk", "password", "is_staff", "is_superuser")
    for pk, password, staff, superuser in _rows(user.objects.filter(is_active=True), "pk", people, *fields):
        signs[pk] = password
        rights[pk] |= {("staff", staff), ("superuser", superuser)}
    own = user.user_permissions.through.objects.filter(permission__codename__in=_CODENAMES)
    for pk, permission in _rows(own, "user", people, "user", "permission"):
        rights[pk].add(permission)
    groups = Group.permissions.through.objects.filter(permission__codename__in=_CODENAMES)
    for pk, group, permission in _rows(groups, "group__user", people, "group__user", "group", "permission"):
        rights[pk].add((group, permission))
    accounts: dict[int, set[int]] = defaultdict(set)
    tokens = {caller.token for caller in alive if caller.token}
    for token, account in _rows(Token.accounts.through.objects.all(), "token", tokens, "token", "account"):
        accounts[token].add(account)
    return {
        caller: Standing(
            signs[caller.person] if caller.session else "",
            frozenset(rights[caller.person]),
            frozenset(accounts[caller.token]),
        )
        for caller in alive
        if caller.person in signs
    }


def _alive(callers: Collection[Caller]) -> list[Caller]:
    """Those whose session or token still lets them in."""
    sessions = {caller.session for caller in callers if caller.session}
    tokens = {caller.token for caller in callers if caller.token}
    kept: Any = import_module(settings.SESSION_ENGINE).SessionStore.get_model_class()
    ahead = kept.objects.filter(expire_date__gt=timezone.now())
    here = {key for (key,) in _rows(ahead, "session_key", sessions, "session_key")}
    valid = {pk for (pk,) in _rows(Token.objects.alive(), "pk", tokens, "pk")}
    return [caller for caller in callers if (caller.session in here if caller.session else caller.token in valid)]


def still_there(systems: Collection[int], accounts: Collection[tuple[int, str]]) -> tuple[set[int], dict[Any, int]]:
    """Those of the systems that exist, and the primary key of each account (system, name) that does."""
    found = {pk for (pk,) in _rows(System.objects.all(), "pk", set(systems), "pk")}
    rows = _rows(Account.objects.all(), "name", {name for _, name in accounts}, "system", "name", "pk")
    return found, {(system, name): pk for system, name, pk in rows if (system, name) in accounts}


def _rows(queryset: Any, column: str, values: Collection[Any], *fields: str) -> Iterator[tuple[Any, ...]]:
    """`fields` of the rows whose column is one of `values`; nothing is asked for no values."""
    ordered = list(values)
    for start in range(0, len(ordered), AT_ONCE):
        part = queryset.filter(**{f"{column}__in": ordered[start : start + AT_ONCE]})
        yield from part.order_by().values_list(*fields)


def person_of(caller: Caller) -> Any:
    """The person with the rights of this call, None when they are gone."""
    if caller.token:
        token = Token.objects.alive().select_related("person").filter(pk=caller.token).first()
        return narrow(token.person, token) if token else None
    return get_user_model()._default_manager.filter(pk=caller.person, is_active=True).first()


def rights_of(caller: Caller, system: int, watched: Iterable[str]) -> tuple[tuple[str, ...], frozenset[str]] | None:
    """(what they may watch now, those of `watched` that they still may); None when they may not be here."""
    person = person_of(caller)
    if person is None or not person.is_staff:
        return None
    return topics_of(person), watchable(person, system, watched)
