"""The last of an account: what it left in the store."""

from __future__ import annotations

import json

from provisioning.jobs.protocol import Done, Step, Wait
from provisioning.jobs.purging import purge
from provisioning.models import Job, JobStep


class Gone(Step):
    """Its folder in the store goes, if that was asked for."""

    name, title, timeout_s = "gone", "Delete what it left", 7 * 86400.0

    def do(self, job: Job, step: JobStep) -> Done | Wait:
        if json.loads(job.inputs)["data"] == "keep":
            return Done("Its data are kept in the store, for an account of the same name.", needed=False)
        return purge(job, job.accounts) or Done("Nothing of it is left on the servers.")
