"""The process that saves: the product's own models and settings, one command a line.

Started beside a running product with the product's environment. It prints one JSON line for each
command; times are of the monotonic clock, which all processes of a machine share.
"""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import django

django.setup()

from django.db import transaction  # noqa: E402

from accounts_app.models import NatsUser, SubjectPermission, System  # noqa: E402
from provisioning import pipeline  # noqa: E402
from provisioning.models import Revision  # noqa: E402


def who(nkey: str) -> dict[str, Any]:
    """What the benchmark must know of the system and of its victim."""
    system = System.objects.get()
    user = NatsUser.objects.filter(nkey=nkey).first()
    return {
        "nkey": system.control_nkey,
        "seed": system.control_seed,
        "conf": str(system.folder / "accounts.conf"),
        "user": user.pk if user else None,
        "users": NatsUser.objects.count(),
        "permissions": SubjectPermission.objects.count(),
    }


def save(user: int, subject: str) -> dict[str, float]:
    """Save one row; when it began, when it was committed, when the one who saves got the word back."""
    stamps: dict[str, float] = {"began": time.monotonic()}
    with transaction.atomic():
        transaction.on_commit(lambda: stamps.update(committed=time.monotonic()))
        SubjectPermission.objects.create(user_id=user, action="subscribe", effect="deny", subject=subject)
    stamps["returned"] = time.monotonic()
    return stamps


def burst(count: int) -> dict[str, float]:
    """Save `count` rows of as many users as there are, one transaction each, and don't wait for anything."""
    users = list(NatsUser.objects.order_by("pk").values_list("pk", flat=True))
    began = time.monotonic()
    for number in range(count):
        SubjectPermission.objects.create(
            user_id=users[number % len(users)], action="publish", effect="allow", subject=f"burst.n{number}.x"
        )
    return {"began": began, "ended": time.monotonic()}


def state() -> dict[str, Any]:
    """How far the servers are behind the rows."""
    wanted, done, problem = System.objects.values_list("wanted", "done", "problem").get()
    last = Revision.objects.first()
    return {"wanted": wanted, "done": done, "problem": problem, "number": last.number if last else 0}


def timings(since: int) -> list[dict[str, float]]:
    """Milliseconds of each step, of the revisions after `since`."""
    rows = Revision.objects.filter(number__gt=since).order_by("number")
    return [{"number": number, **steps} for number, steps in rows.values_list("number", "timings")]


def sweep() -> float:
    """Seconds of a run that trusts no cache and finds nothing to do."""
    began = time.monotonic()
    pipeline.apply(System.objects.get().pk, fresh=True)
    return time.monotonic() - began


COMMANDS = {act.__name__: act for act in (who, save, burst, state, timings, sweep)}


def main() -> None:
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        sys.stdout.write(json.dumps(COMMANDS[name](*arguments)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
