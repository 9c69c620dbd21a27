"""The one way in which REST changes rows: dry run, idempotency, reach of a token, and the wait for the servers."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from cryptography.fernet import Fernet, InvalidToken
from django.conf import settings
from django.db import IntegrityError, connection, transaction
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.response import Response
from rest_framework.utils.encoders import JSONEncoder

from accounts_app.access import require_reach
from accounts_app.api.problems import Invalid
from accounts_app.api.query import flag
from accounts_app.credentials import NewSecret
from accounts_app.door import LOCAL
from accounts_app.models import Account, Answer, NatsUser, System, Token
from accounts_app.preview import preview
from accounts_app.row_writer import Changes
from accounts_app.wanted import counted

T = TypeVar("T")
MOST_WAIT_S = 60.0
LOOK_EVERY_S, LOOKS_A_CHECK = 0.05, 10
_WAIT = re.compile(r"(?:^|[,;\s])wait=(\d{1,4})(?:$|[,;\s])")


def write(
    request: Any, system: System, act: Callable[[], T], tell: Callable[[T], dict[str, Any]], status: int = 200
) -> Response:
    """Do `act` and answer what `tell` makes of its result, with the state of the servers as `sync`.

    status: of an act that is done. `?dry_run=true` does nothing and answers the preview; `Prefer: wait=N`
    answers when the servers are there, or 202 after N seconds.
    """
    person = request.user

    def reached() -> T:
        result = act()
        require_reach(person, system)
        return result

    seal = _Seal(request)
    if flag(request, "dry_run"):
        return Response(_previewed(system, reached))
    with transaction.atomic():
        kept = seal.reserve()
        if kept is None:
            body = tell(reached())
            after = _targets(system)
            body["sync"] = sync_of(system, after)
            seal.keep(status, body, after)
    if kept is not None:
        status, body, after = kept
    seconds = _wait(request)
    if seconds and body["sync"]["state"] == "pending":
        _until_enforced(request, system, after, time.monotonic() + seconds)
        body["sync"] = sync_of(system, after)
        seal.keep(status, body, after)
    late = bool(seconds) and body["sync"]["state"] == "pending"
    answer = Response(body, status=202 if late else status)
    answer["Cache-Control"] = "no-store"
    if kept is not None:
        answer["Idempotent-Replayed"] = "true"
    if seconds:
        answer["Preference-Applied"] = f"wait={seconds}"
    return answer


def _previewed(system: System, act: Callable[[], Any]) -> dict[str, Any]:
    seen = preview(system, act)
    result = seen.answer
    changes = result if isinstance(result, Changes) else getattr(result, "changes", None)
    rows = changes.as_dict() if isinstance(changes, Changes) else None
    return {**seen.as_dict(_secrets_of(result)), "rows": rows}


def _secrets_of(result: Any) -> Mapping[str, NewSecret]:
    """{user: what was made for it}, of an act on one user or on many."""
    match result:
        case (NatsUser() as user, NewSecret() as secret):
            return {user.name: secret}
        case _:
            return getattr(result, "secrets", {})


# --- what the servers say ------------------------------------------------------


def _targets(system: System) -> dict[str, int]:
    """{"account id": counter} of what this transaction changed, and "" for the system itself."""
    counters = Account.objects.filter(pk__in=counted(system.pk)).values_list("pk", "wanted")
    targets = {str(pk): wanted for pk, wanted in counters}
    if any(True for _ in counted(system.pk)) or targets:
        targets[""] = System.objects.values_list("wanted", flat=True).get(pk=system.pk)
    return targets


def sync_of(system: System, targets: dict[str, int]) -> dict[str, Any]:
    """{state, revision, problem}: whether the servers enforce what was asked for."""
    now = System.objects.values("wanted", "done", "problem", "revision").get(pk=system.pk)
    fields = ("pk", "wanted", "done", "problem_kind", "problem", "problem_wanted")
    rows = {str(row["pk"]): row for row in Account.objects.filter(pk__in=[pk for pk in targets if pk]).values(*fields)}
    state, problem = "applied", ""
    for pk, wanted in targets.items():
        row = rows.get(pk)
        if row is None:  # the system, or an account that is gone
            behind = now["done"] < (wanted if not pk else targets[""])
            one, why = ("pending" if behind and not (rows and not pk) else "applied"), now["problem"] if behind else ""
        elif row["done"] >= wanted:
            one, why = "applied", ""
        elif row["problem_kind"] and row["problem_wanted"] >= wanted:
            one, why = row["problem_kind"], row["problem"]
        else:
            one, why = "pending", now["problem"]
        if _WEIGHT[one] > _WEIGHT[state]:
            state = one
        problem = problem or why
    return {"state": state, "revision": now["revision"], "problem": problem}


_WEIGHT = {"applied": 0, "held": 1, "failed": 2, "pending": 3}


def _until_enforced(request: Any, system: System, targets: dict[str, int], deadline: float) -> None:
    """Look until the servers are there. Raises AuthenticationFailed when the token is revoked meanwhile."""
    token, looks = getattr(request, "auth", None), 0
    while sync_of(system, targets)["state"] == "pending" and time.monotonic() < deadline:
        looks += 1
        if isinstance(token, Token) and looks % LOOKS_A_CHECK == 0 and not Token.objects.alive().filter(pk=token.pk):
            raise AuthenticationFailed("This token was revoked while it waited; what it asked for before is done.")
        if connection.vendor == "postgresql" and not connection.in_atomic_block:
            connection.close()  # back to the pool: many may wait, few connections are there
        time.sleep(LOOK_EVERY_S)


def _wait(request: Any) -> int:
    found = _WAIT.search(request.headers.get("Prefer", ""))
    return min(int(found[1]), int(MOST_WAIT_S)) if found else 0


# --- the same request twice ----------------------------------------------------


class _Seal:
    """Keeps the answer under the caller's Idempotency-Key, readable with that key and credential alone."""

    def __init__(self, request: Any) -> None:
        self.key = request.headers.get("Idempotency-Key", "")
        if not self.key:
            return
        if len(self.key) > 200:
            raise Invalid("Idempotency-Key", "This has 200 characters at most.")
        secret = request.headers.get("Authorization", "") or request.COOKIES.get(settings.SESSION_COOKIE_NAME, "")
        if request.META.get(LOCAL) is True:
            secret = "local"  # noqa: S105
        self.caller = _hash("caller", secret)
        self.hashed = _hash("key", self.key)
        self.request = _hash(request.method, request.get_full_path(), json.dumps(request.data, sort_keys=True))
        sealed = hashlib.sha256(f"{settings.SECRET_KEY}\n{secret}\n{self.key}".encode("utf-8", "surrogatepass"))
        self.box = Fernet(base64.urlsafe_b64encode(sealed.digest()))

    def reserve(self) -> tuple[int, dict[str, Any], dict[str, int]] | None:
        """The answer that was given already; None when this is the first time, and then the key is taken."""
        if not self.key:
            return None
        try:
            with transaction.atomic():
                Answer.objects.create(caller=self.caller, key=self.hashed, request=self.request, status=0, body=b"")
        except IntegrityError:
            kept = Answer.objects.get(caller=self.caller, key=self.hashed)
        else:
            return None
        if kept.request != self.request:
            raise Invalid("Idempotency-Key", "This key came with another request before: use a new one.")
        try:
            told = json.loads(self.box.decrypt(bytes(kept.body)))
        except InvalidToken:
            raise Invalid("Idempotency-Key", "What was answered under this key can't be opened any more.") from None
        return kept.status, told["body"], told["targets"]

    def keep(self, status: int, body: dict[str, Any], targets: dict[str, int]) -> None:
        """Remember the answer; the first time in the transaction of the act itself."""
        if self.key:
            told = json.dumps({"body": body, "targets": targets}, cls=JSONEncoder)
            sealed = self.box.encrypt(told.encode("utf-8", "surrogatepass"))
            Answer.objects.filter(caller=self.caller, key=self.hashed).update(status=status, body=sealed)


def _hash(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode("utf-8", "surrogatepass")).hexdigest()


def etag(row: dict[str, Any], *unstable: str) -> str:
    """What tells one state of a row from another; the servers' state is no part of it."""
    stable = {key: value for key, value in row.items() if key not in ("sync", *unstable)}
    text = json.dumps(stable, sort_keys=True, cls=JSONEncoder)
    return f'"{hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]}"'


def matches(header: str, tag: str) -> bool:
    """Whether an If-Match or If-None-Match names the tag."""
    named: Iterable[str] = (one.strip().removeprefix("W/") for one in header.split(","))
    return any(one in ("*", tag) for one in named)
