"""What the account was is kept with the job, so that it can be made again."""

from __future__ import annotations

from accounts_app.applying import export_document
from accounts_app.models import Account
from provisioning.jobs import kept
from provisioning.jobs.lease import fence
from provisioning.jobs.protocol import Done, Step, Wait
from provisioning.models import Job, JobStep


class Export(Step):
    """Its document for everybody in the job's results, and one with password hashes and nkeys sealed in the step."""

    name, title, timeout_s = "export", "Keep what it was", 3600.0

    def do(self, job: Job, step: JobStep) -> Done | Wait:
        accounts = list(Account.objects.filter(system=job.system_id, name__in=job.accounts))
        document = export_document(job.system, accounts)
        with fence(job):
            step.undo = kept.dumps({"document": export_document(job.system, accounts, secrets=True)})
            step.save(update_fields=["undo"])
        return Done("Its document is kept.", {"document": document})
