"""What it takes to take a job back is forgotten some time after its end: hashes and keys are not kept for good."""

from __future__ import annotations

import logging
from datetime import datetime, timedelta

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from provisioning.models import Job, JobLine, JobStep

CHUNK = 100  # jobs of one transaction
logger = logging.getLogger(__name__)


def forget_undo(now: datetime | None = None) -> int:
    """Forget the sealed inputs and undo of jobs that ended more than UNDO_DAYS ago; how many jobs.

    Their results, steps and log stay.
    """
    before, count = (now or timezone.now()) - timedelta(days=settings.UNDO_DAYS), 0
    while some := _forget(before):
        count += some
    if count:
        logger.info("jobs can't be taken back any more", extra={"jobs": count})
    return count


@transaction.atomic
def _forget(before: datetime) -> int:
    due = Job.objects.filter(forgotten_at=None, ended_at__lt=before, state__in=Job.ENDED)
    jobs = list(due.select_for_update(no_key=True).order_by("ended_at").values_list("pk", flat=True)[:CHUNK])
    JobStep.objects.filter(job__in=jobs).update(undo="{}")
    Job.objects.filter(pk__in=jobs).update(inputs="{}", forgotten_at=timezone.now())
    said = "What it takes to take it back is forgotten."
    JobLine.objects.bulk_create(JobLine(job_id=pk, text=said) for pk in jobs)
    return len(jobs)
