"""The one way in which REST changes rows: dry run, idempotency, reach of a token, and the wait for the servers."""

from __future__ import annotations

import contextlib
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from django.db import connection, transaction
from django.db.models import QuerySet
from django.http import Http404
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from accounts_app.access import may, require_reach
from accounts_app.adopting import Adopted
from accounts_app.api.once import Seal
from accounts_app.api.query import flag
from accounts_app.api.standing import Target, home_of, sync_of, targets_of
from accounts_app.conf_text import masked
from accounts_app.credentials import NewSecret
from accounts_app.models import NatsUser, System, Token
from accounts_app.preview import preview
from accounts_app.row_writer import Changes

T = TypeVar("T")
MOST_WAIT_S = 60.0
LOOK_EVERY_S, LOOKS_A_CHECK = 0.05, 10
_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,4})(?:$|[,;\s])")


def write(
    request: Any,
    system: System,
    act: Callable[[], T],
    tell: Callable[[T], dict[str, Any]],
    status: int = 200,
    *,
    about: Callable[[T], Iterable[Target]] | None = None,
) -> Response:
    """Do `act` and answer what `tell` makes of its result, with the state of the servers as `sync`.

    status: of an act that is done. about: accounts and assets whose state is told even when nothing of them
    has changed; without it those of the row that `act` answers. `?dry_run=true` does nothing and answers the
    preview; `Prefer: wait=N` answers when the servers are there, or 202 after N seconds.
    """
    person = request.user

    def reached() -> T:
        result = act()
        require_reach(person, system)
        return result

    seal = Seal(request)
    if flag(request, "dry_run"):
        return Response(previewed(request, system, reached))
    with transaction.atomic():
        kept = seal.reserve()
        if kept is None:
            result = reached()
            body = tell(result)
            after = targets_of(system, (about or home_of)(result))
            body["sync"] = sync_of(system, after, person)
            seal.keep(status, body, after)
    if kept is not None:
        status, body, after = kept
    seconds = seconds_of(request)
    if seconds and body["sync"]["state"] == "pending":
        _until_enforced(request, system, after, time.monotonic() + seconds)
        if kept is None:
            with contextlib.suppress(Http404):  # gone meanwhile: it is told as it was
                body = tell(result)
        body["sync"] = sync_of(system, after, person)
        seal.keep(status, body, after)
    late = seconds is not None and body["sync"]["state"] == "pending"
    answer = Response(body, status=202 if late else status)
    answer["Cache-Control"] = "no-store"
    if kept is not None:
        answer["Idempotent-Replayed"] = "true"
    if seconds is not None:
        answer["Preference-Applied"] = f"wait={seconds}"
    return answer


def answered_before(request: Any, rows: QuerySet[Any]) -> Response | None:
    """What was answered when this very request took these rows away; None when they are there, or it didn't."""
    seal = Seal(request)
    kept = None if not seal.key or rows.exists() else seal.answered()
    if kept is None:
        return None
    return Response(kept[1], status=kept[0], headers={"Cache-Control": "no-store", "Idempotent-Replayed": "true"})


def previewed(request: Any, system: System, act: Callable[[], Any]) -> dict[str, Any]:
    """What an act would do, as a dry run answers it; public nkeys are for who may give credentials."""
    keys = may(request.user, "change", NatsUser)
    seen = preview(system, act)
    result = seen.answer
    changes = result if isinstance(result, Changes) else getattr(result, "changes", None)
    rows = changes.as_dict() if isinstance(changes, Changes) else None
    told = seen.as_dict(_secrets_of(result))
    more = {"adoption": adoption(result, keys=keys)} if isinstance(result, Adopted) else {}
    return {**told, "conf": masked(told["conf"], keys=keys), "rows": rows, **more}


def adoption(result: Adopted, *, keys: bool) -> dict[str, Any]:
    """What a person should know before rows take what a hand wrote. keys: whether public nkeys are shown."""
    then = [
        {"account": change.account, "text": masked(str(change), keys=keys), "removes_access": change.removes_access}
        for change in result.then
    ]
    told = {"lost": list(result.lost), "kept": list(result.kept), "then": then}
    return told | {"stamp": result.stamp} if result.stamp else told


def _secrets_of(result: Any) -> Mapping[str, NewSecret]:
    """{user: what was made for it}, of an act on one user or on many."""
    match result:
        case (NatsUser() as user, NewSecret() as secret):
            return {user.name: secret}
        case _:
            return getattr(result, "secrets", {})


def _until_enforced(request: Any, system: System, targets: dict[str, int], deadline: float) -> None:
    """Look until the servers are there. Raises AuthenticationFailed when the token is revoked meanwhile."""
    looks = 0
    while sync_of(system, targets, request.user)["state"] == "pending" and time.monotonic() < deadline:
        looks += 1
        still_let_in(request, look=looks % LOOKS_A_CHECK == 0)
        time.sleep(LOOK_EVERY_S)


def still_let_in(request: Any, *, look: bool = True) -> None:
    """Between two looks of a request that waits: raise AuthenticationFailed when its token was revoked meanwhile,
    and give the database's connection back."""
    token = getattr(request, "auth", None)
    if look and isinstance(token, Token) and not Token.objects.alive().filter(pk=token.pk):
        raise AuthenticationFailed("This token was revoked while it waited; what it asked for before is done.")
    if connection.vendor == "postgresql" and not connection.in_atomic_block:
        connection.close()  # back to the pool: many may wait, few connections are there


def seconds_of(request: Any) -> int | None:
    """How long a request would wait, by its `Prefer: wait=N`; None when it says nothing of that."""
    found = _WAIT.search(request.headers.get("Prefer", ""))
    return min(int(found[1]), int(MOST_WAIT_S)) if found else None


def etag(row: dict[str, Any], *unstable: str) -> str:
    """What tells one state of a row from another; the servers' state is no part of it."""
    stable = {key: value for key, value in row.items() if key not in ("sync", *unstable)}
    text = json.dumps(stable, sort_keys=True, cls=JSONEncoder)
    return f'"{hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]}"'


def matches(header: str, tag: str) -> bool:
    """Whether an If-Match or If-None-Match names the tag."""
    named: Iterable[str] = (one.strip().removeprefix("W/") for one in header.split(","))
    return any(one in ("*", tag) for one in named)
