"""Which topics of the live socket a person may watch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import models

from accounts_app.access import may, reaches_all, visible
from accounts_app.models import Account, NatsUser, Server
from monitoring.frames import ACCOUNT, JOB
from provisioning.models import Job, Revision

NEEDS: dict[str, type[models.Model]] = {  # topics of a whole system: what one must be able to view
    "overview": Server,
    "events": NatsUser,
    "tables": Server,
    "changes": Revision,
    "jobs": Job,
}
OF_ACCOUNT: tuple[type[models.Model], ...] = (Account, NatsUser)  # its row, and what happened to its users
ACCOUNTS = f"{ACCOUNT}*"  # of the accounts that they see
JOBS = f"{JOB}*"  # of the jobs that they see


def topics_of(person: Any) -> tuple[str, ...]:
    """What they may watch, as `hello` says it."""
    whole = reaches_all(person)
    found = tuple(topic for topic, model in NEEDS.items() if whole and may(person, "view", model))
    accounts = (ACCOUNTS,) if all(may(person, "view", model) for model in OF_ACCOUNT) else ()
    return (*found, *accounts, *((JOBS,) if may(person, "view", Job) else ()))


def watchable(person: Any, system_id: int, topics: Iterable[str]) -> frozenset[str]:
    """Those of `topics` that they may watch; one query for all accounts, one for all jobs.

    What isn't there is not watchable.
    """
    allowed, topics = topics_of(person), frozenset(topics)
    found = topics & frozenset(allowed)
    names = [topic.removeprefix(ACCOUNT) for topic in topics if topic.startswith(ACCOUNT)]
    if names and ACCOUNTS in allowed:
        rows = visible(Account.objects.filter(system=system_id, name__in=names), person)
        found |= {f"{ACCOUNT}{name}" for name in rows.values_list("name", flat=True)}
    jobs = [int(topic.removeprefix(JOB)) for topic in topics if topic.startswith(JOB)]
    if jobs and JOBS in allowed:
        seen = visible(Job.objects.filter(system=system_id, pk__in=jobs), person)
        found |= {f"{JOB}{pk}" for pk in seen.values_list("pk", flat=True)}
    return found
