"""The step that lets the owner pick the credentials up."""

from __future__ import annotations

import json

from provisioning.blueprints import handover
from provisioning.jobs.ending import withdraw
from provisioning.jobs.handing import link_of
from provisioning.jobs.lease import fence
from provisioning.jobs.protocol import Done, Step, Wait
from provisioning.models import Job, JobStep


class Credentials(Step):
    """The link works from now on, for as long as it was asked for."""

    name, title, timeout_s = "credentials", "Hand the credentials over", 3600.0

    def do(self, job: Job, step: JobStep) -> Done | Wait:
        with fence(job):
            waiting = link_of(job)
            if "users" not in step.result:
                users = waiting.users if waiting is not None and waiting.sealed else []
                if waiting is not None and users:
                    lifetime = json.loads(job.inputs).get("lifetime_s") or handover.LIFETIME_S
                    handover.make_ready(waiting, float(lifetime))
                else:
                    withdraw(job)  # a link that would open nothing
                step.result = {"users": users}
                step.save(update_fields=["result"])
        count = len(step.result["users"])
        if not count:
            return Done("There are no new credentials.", needed=False)
        return Done(f"{count} credential{'s' if count != 1 else ''} ready to be picked up.", step.result)

    def undo(self, job: Job, step: JobStep) -> Done | Wait:
        with fence(job):
            withdraw(job)
        return Done("The link opens nothing any more.")
