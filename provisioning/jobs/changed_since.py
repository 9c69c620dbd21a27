"""Whether somebody else has changed what a job left: then it isn't taken back over their heads."""

from __future__ import annotations

import json

from provisioning.jobs import kept
from provisioning.models import Job, JobStep


def sentence(job: Job, *, own: bool = True) -> str:
    """What was changed since, "" when all is as the job left it. own: look at accounts that it has made, too."""
    for step in job.steps.exclude(state__in=(JobStep.State.PENDING, JobStep.State.UNDONE)):
        left = json.loads(step.undo or "{}").get("left")
        if left and (told := kept.difference(job.system, job.accounts, left, own=own)):
            return told
    return ""
