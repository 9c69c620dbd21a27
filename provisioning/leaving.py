"""Which accounts a job is taking away, for the rooms that show accounts."""

from __future__ import annotations

from collections.abc import Collection

from django.db.models import OuterRef, Subquery

from accounts_app import units
from accounts_app.models import Account
from accounts_app.retiring import Retiring
from provisioning.models import Claim, Job, JobStep


def leaving(accounts: Collection[int]) -> dict[int, Retiring]:
    """{account: how it goes}, two queries at most. One that is being given back is no longer on its way out."""
    claims = Claim.objects.filter(
        system=OuterRef("system"), account=OuterRef("name"), job__kind=Job.Kind.RETIRE, job__asked=Job.Ask.NOTHING
    ).exclude(job__state=Job.State.UNDOING)
    rows = Account._base_manager.filter(pk__in=accounts).annotate(
        job=Subquery(claims.order_by("job").values("job")[:1])
    )
    jobs = dict(rows.exclude(job=None).values_list("pk", "job"))
    if not jobs:
        return {}
    steps = JobStep.objects.filter(job__in=set(jobs.values()), name="window")
    told = {
        job: Retiring(job, units.when(result.get("until")), state == Job.State.FAILED)
        for job, state, result in steps.values_list("job", "job__state", "result")
    }
    return {pk: told.get(job) or Retiring(job, None, False) for pk, job in jobs.items()}
