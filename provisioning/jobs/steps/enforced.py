"""The step that waits until every server runs what the rows say."""

from __future__ import annotations

from accounts_app.models import Account
from provisioning import decisions
from provisioning.jobs import found
from provisioning.jobs.confirm import waits_for_accounts
from provisioning.jobs.protocol import Done, Step, Wait
from provisioning.models import Job, JobStep


class Enforced(Step):
    """It asks nobody to reload: runs of the pipeline do, and all jobs share them. It looks, and hints."""

    name, title, timeout_s = "enforced", "Every server runs it", 7 * 86400.0
    shared = True

    def do(self, job: Job, step: JobStep) -> Done | Wait:
        before = job.steps.filter(number__lt=step.number).order_by("-number")
        wanted = next(each.result["wanted"] for each in before if "wanted" in each.result)
        agreed_since = job.started_at if job.kind == Job.Kind.RETIRE else None
        if waits := waits_for_accounts(job, wanted, agreed_since=agreed_since):
            return waits
        if job.kind == Job.Kind.PROVISION:
            found.look(job)
        return Done("Confirmed by every server.")

    def retried(self, job: Job) -> None:
        refused = Account.objects.filter(system=job.system_id, name__in=job.accounts)
        for account in refused.filter(problem_kind=Account.Problem.FAILED):
            decisions.try_again(account)
