"""The time in which retiring can still be taken back without a loss."""

from __future__ import annotations

import json
from datetime import datetime, timedelta

from django.utils import timezone

from provisioning.jobs.lease import fence
from provisioning.jobs.protocol import Done, Step, Wait
from provisioning.models import Job, JobStep

LONGEST_S = 90 * 86400.0


class Window(Step):
    """It waits, and says until when."""

    name, title, timeout_s = "window", "Wait for a change of mind", LONGEST_S + 7 * 86400.0

    def do(self, job: Job, step: JobStep) -> Done | Wait:
        if "until" not in step.result:
            until = timezone.now() + timedelta(seconds=float(json.loads(job.inputs)["window_s"]))
            with fence(job):
                step.result = {"until": until.isoformat()}
                step.save(update_fields=["result"])
        until = datetime.fromisoformat(step.result["until"])
        left = (until - timezone.now()).total_seconds()
        if left <= 0:
            return Done("The time is over.")
        return Wait(f"the undo window, open until {until:%Y-%m-%d %H:%M:%S} UTC", left)
