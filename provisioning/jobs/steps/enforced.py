"""The step that waits until every server runs what the rows say."""

from __future__ import annotations

from provisioning.jobs.confirm import waits_for_accounts
from provisioning.jobs.protocol import Done, Wait
from provisioning.models import Job, JobStep


class Enforced:
    """It asks nobody to reload: runs of the pipeline do, and all jobs share them. It looks, and hints."""

    name, title, timeout_s = "enforced", "Every server runs it", 7 * 86400.0

    def do(self, job: Job, step: JobStep) -> Done | Wait:
        before = job.steps.filter(number__lt=step.number).order_by("-number")
        wanted = next(each.result["wanted"] for each in before if "wanted" in each.result)
        freezing = job.kind == Job.Kind.RETIRE
        return waits_for_accounts(job, wanted, answer=freezing) or Done("Confirmed by every server.")

    def undo(self, job: Job, step: JobStep) -> Done | Wait:
        return Done()
