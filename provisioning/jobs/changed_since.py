"""Whether somebody else has changed what a job left: then nothing is done to it over their heads."""

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


def retired(job: Job) -> str:
    """Which of its accounts was retired since, in one sentence, "" when none: what has the name now is another's."""
    since = Job.objects.filter(system=job.system_id, kind=Job.Kind.RETIRE, state=Job.State.DONE, pk__gt=job.pk)
    for name in job.accounts:
        number = since.touching(name).values_list("pk", flat=True).first()
        if number is not None:
            return f"Account “{name}” was retired since, by job {number}: what has its name now is another's."
    return ""
