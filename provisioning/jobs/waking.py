"""Telling workers that a job is worth looking at now. It may be lost: beat looks every two seconds."""

from __future__ import annotations

from django.db import connection, transaction
from django.db.models import F
from django.db.models.functions import Now

from accounts_app.models import Account, Server
from provisioning.hints import send_jobs_hint
from provisioning.models import Claim, Job, JobStep


def _wake() -> None:
    send_jobs_hint()


def wake_after_commit() -> None:
    """Send a hint once the transaction under way is committed; one for all of it."""
    if not any(call is _wake for _, call, *_ in connection.run_on_commit):
        transaction.on_commit(_wake, robust=True)


def look_again(system_id: int) -> None:
    """The servers hold what the rows said: jobs that waited for no more than that are due.

    While a server is missing nobody is woken: all would find the same, and they look by themselves now and then.
    """
    if Server.objects.filter(system=system_id).exclude(state=Server.State.IN_SYNC).exists():
        return
    behind = Account.objects.filter(system=system_id, done__lt=F("wanted")).values("name")
    waiting = JobStep.objects.filter(
        job__system=system_id,
        job__state__in=(Job.State.WAITING, Job.State.UNDOING),
        name__in=("rows", "enforced", "freeze", "rotate", "removal"),
        state__in=(JobStep.State.WAITING, JobStep.State.UNDOING),
    ).exclude(job__in=Claim.objects.filter(system=system_id, account__in=behind).values("job"))
    if Job.objects.filter(pk__in=waiting.values("job")).update(next_at=Now()):
        send_jobs_hint()
