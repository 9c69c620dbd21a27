"""Jobs go on from wherever the last worker left them."""

from __future__ import annotations

import logging
import time

from django.db import Error as DatabaseError

from provisioning.jobs import lease
from provisioning.jobs.lease import Keeper, LeaseLost
from provisioning.jobs.turn import TRIES, Turn, passed
from provisioning.models import Job

logger = logging.getLogger(__name__)


def work(limit_s: float = 10.0) -> bool:
    """Advance every job that is due and that nobody has, one after another; True when some are left.

    It ends by itself once `limit_s` seconds are over and the job at hand has come to a pause.
    """
    over = time.monotonic() + limit_s
    while True:
        ids = list(lease.due().values_list("pk", flat=True)[:50])
        if not ids:
            return False
        for job_id in ids:
            advance(job_id)
            if time.monotonic() > over:
                return True


def advance(job_id: int) -> bool:
    """Bring a job as far as it gets now; False when somebody else has it. Never raises for what a step does."""
    token = lease.take(job_id)
    if not token:
        return False
    job = Job.objects.select_related("system", "author", "asked_by").defer("inputs", "parameters").get(pk=job_id)
    job.lease = token
    passed.send(sender=Job, point="taken", step="", job_id=job_id)
    try:
        with Keeper(job):
            Turn(job).go()
    except LeaseLost:
        logger.warning("a job is no longer this worker's", extra={"job": job_id})
    except DatabaseError as error:  # its lease runs out, and another look goes on from what is written
        logger.warning("a job could not be written", extra={"job": job_id, "error": str(error)})
    else:
        lease.give_back(job)
    return True


__all__ = ["TRIES", "advance", "passed", "work"]
