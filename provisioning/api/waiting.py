"""Requests that take their time: done once under an Idempotency-Key, answered at once or when a job rests."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, TypeVar

from django.db import transaction
from rest_framework.response import Response

from accounts_app.access import require_reach
from accounts_app.api.once import Seal
from accounts_app.api.query import flag
from accounts_app.api.writing import previewed, seconds_of, still_let_in
from accounts_app.models import System
from provisioning.models import Job

T = TypeVar("T")
RESTS = (*Job.ENDED, Job.State.FAILED)  # a job that goes on only when somebody wants it to
LOOK_EVERY_S, SLOWEST_LOOK_S = 0.1, 0.5


def submit(
    request: Any,
    system: System,
    act: Callable[[], T],
    tell: Callable[[T], tuple[Job, dict[str, Any]]],
    row_of: Callable[[int, Any], dict[str, Any]],
    *,
    look: Callable[[], dict[str, Any]] | None = None,
) -> Response:
    """Do `act` and answer its job as it stands: 200 when the job rests, 202 while it is under way.

    tell: (the job, what else is answered) of the result; row_of: a job as a person is told of it. `Prefer: wait=N`
    waits for the job; `?dry_run=true` answers `look`, or what `act` would do to rows.
    """

    def reached() -> T:
        result = act()
        require_reach(request.user, system)
        return result

    seal = Seal(request)
    if flag(request, "dry_run"):
        return Response(look() if look is not None else previewed(request, system, reached))
    with transaction.atomic():
        kept = seal.reserve()
        if kept is None:
            job, body = tell(reached())
            targets = {"job": job.pk}
            body = {**body, "job": row_of(job.pk, request.user)}
            seal.keep(202, body, targets)
        else:
            _, body, targets = kept
    seconds = seconds_of(request)
    if seconds:
        until(request, lambda: _rests(targets["job"]), time.monotonic() + seconds)
    if kept is None or seconds:
        body["job"] = row_of(targets["job"], request.user)
        seal.keep(202, body, targets)
    answer = Response(body, status=200 if body["job"]["state"] in RESTS else 202)
    answer["Cache-Control"] = "no-store"
    answer["Location"] = request.build_absolute_uri(f"/api/v1/jobs/{targets['job']}/")
    if kept is not None:
        answer["Idempotent-Replayed"] = "true"
    if seconds is not None:
        answer["Preference-Applied"] = f"wait={seconds}"
    return answer


def done_once(request: Any, act: Callable[[], dict[str, Any]], status: int = 200) -> Response:
    """Do what is no single transaction, once under its Idempotency-Key, and answer what `act` tells.

    The key is free again when `act` raises. Whoever dies meanwhile leaves it taken: nobody knows how far it came.
    """
    seal = Seal(request)
    with transaction.atomic():
        kept = seal.reserve()
    if kept is None:
        try:
            body = act()
        except BaseException:
            seal.give_back()
            raise
        seal.keep(status, body, {})
    else:
        status, body, _ = kept
    again = {"Idempotent-Replayed": "true"} if kept is not None else {}
    return Response(body, status=status, headers={"Cache-Control": "no-store", **again})


def until(request: Any, reached: Callable[[], bool], deadline: float) -> bool:
    """Look until it is so, or until the deadline (of the monotonic clock). Raises AuthenticationFailed when the
    token is revoked meanwhile."""
    pause = LOOK_EVERY_S
    while not reached():
        left = deadline - time.monotonic()
        if left <= 0:
            return False
        still_let_in(request)
        time.sleep(min(pause, left))
        pause = min(pause * 1.2, SLOWEST_LOOK_S)
    return True


def _rests(pk: int) -> bool:
    return Job.objects.filter(pk=pk).values_list("state", flat=True).first() in (None, *RESTS)
