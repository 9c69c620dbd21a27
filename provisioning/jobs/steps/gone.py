"""The last of an account: what it left in the store."""

from __future__ import annotations

import json

from accounts_app.models import Account
from provisioning.jobs.protocol import Done, Wait
from provisioning.models import Job, JobStep


class Gone:
    """Its folder in the store goes, if that was asked for."""

    name, title, timeout_s = "gone", "Delete what it left", 7 * 86400.0

    def do(self, job: Job, step: JobStep) -> Done | Wait:
        if json.loads(job.inputs)["data"] == "keep":
            return Done("Its data are kept in the store, for an account of the same name.", needed=False)
        from provisioning.jetstream.purge import purge_account

        for name in job.accounts:
            if not Account.objects.filter(system=job.system_id, name=name).exists():
                purge_account(job.system, name)
        return Done("Nothing of it is left on the servers.")

    def undo(self, job: Job, step: JobStep) -> Done | Wait:
        return Done()
