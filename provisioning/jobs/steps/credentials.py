"""The step that lets the owner pick the credentials up."""

from __future__ import annotations

import json
from datetime import timedelta

from django.utils import timezone

from provisioning.jobs.ending import withdraw
from provisioning.jobs.lease import fence
from provisioning.jobs.protocol import Done, Wait
from provisioning.models import HandOver, Job, JobStep

LIFETIME_S = 86400.0


class Credentials:
    """The link works from now on, for as long as it was asked for."""

    name, title, timeout_s = "credentials", "Hand the credentials over", 3600.0

    def do(self, job: Job, step: JobStep) -> Done | Wait:
        with fence(job):
            waiting = HandOver.objects.filter(job=job, opened_at=None, withdrawn_at=None).first()
            if waiting is None or not waiting.sealed:
                withdraw(job)  # a link that will never open anything
                return Done("There are no new credentials.", needed=False)
            if waiting.ready_at is None:
                lifetime = float(json.loads(job.inputs).get("lifetime_s") or LIFETIME_S)
                now = timezone.now()
                HandOver.objects.filter(pk=waiting.pk).update(
                    ready_at=now, expires_at=now + timedelta(seconds=lifetime)
                )
        count = len(waiting.users)
        return Done(f"{count} credential{'s' if count != 1 else ''} ready to be picked up.", {"users": waiting.users})

    def undo(self, job: Job, step: JobStep) -> Done | Wait:
        with fence(job):
            withdraw(job)
        return Done("The link is withdrawn.")
