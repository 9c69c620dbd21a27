"""Streams and consumers of jobs brought to the servers, those of many jobs together."""

from __future__ import annotations

from typing import Any

from django.db.models import F, Q, QuerySet

from accounts_app.models import Account, Asset, Stream
from provisioning.jetstream.enforce import enforce
from provisioning.jobs import kept, stuck
from provisioning.jobs.protocol import Wait
from provisioning.models import Claim, Job, JobStep

MOST = 200  # accounts of other jobs that are brought along


def brought(job: Job) -> Wait | None:
    """Bring what is behind to the servers; None once nothing is. Raises StepFailed for what they refuse."""
    if not any(behind(job, model).exists() for model in kept.ASSETS):
        return None
    enforce(job.system_id, _accounts_at_this_step(job))
    late = [row for model in kept.ASSETS for row in behind(job, model).order_by("name")[:50]]
    if refused := [row for row in late if _is_refused(row)]:
        raise stuck.failed(job, refused)
    if not late:
        return None
    first = next((row for row in late if row.problem), late[0])
    return Wait(_whom(first.problem) or f"{stuck.called(first)} on the servers", 1.0)


def _is_refused(row: Asset) -> bool:
    return row.problem_kind == Asset.Problem.FAILED and row.problem_wanted == row.wanted


def _accounts_at_this_step(job: Job) -> list[int]:
    """Of this job, and of all others that are as far: they are brought to the servers together."""
    near = JobStep.objects.filter(job__system=job.system_id, job__state__in=(Job.State.RUNNING, Job.State.WAITING))
    enforced = near.filter(name="enforced", state=JobStep.State.DONE).values("job")
    open_ = (JobStep.State.PENDING, JobStep.State.RUNNING, JobStep.State.WAITING)
    others = near.filter(name="assets", state__in=open_, job__in=enforced).values("job")
    rows = Account.objects.filter(system=job.system_id)
    names = Claim.objects.filter(job__in=others).values("account")
    near_by = rows.filter(name__in=names).exclude(name__in=job.accounts).order_by("pk")
    return [
        *rows.filter(name__in=job.accounts).values_list("pk", flat=True),
        *near_by.values_list("pk", flat=True)[:MOST],
    ]


def _whom(problem: str) -> str:
    """For whom, of a sentence such as “Waits for n3 to be back.”"""
    return problem.removeprefix("Waits for ").removeprefix("Waits. ").removesuffix(".")


def behind(job: Job, model: type[Any] = Stream) -> QuerySet[Any]:
    accounts = Account.objects.filter(system=job.system_id, name__in=job.accounts).values("pk")
    way = "account" if model is Stream else "stream__account"
    rows = model.objects.filter(**{f"{way}__in": accounts})
    found: QuerySet[Any] = rows.filter(Q(managed=True, done__lt=F("wanted")) | Q(leaving=True))
    return found
