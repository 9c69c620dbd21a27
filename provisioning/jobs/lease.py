"""Who works on a job: leases on its row, by the database's own clock, and the fence that keeps a late worker out."""

from __future__ import annotations

import logging
import os
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db import Error as DatabaseError
from django.db import connection, transaction
from django.db.models import F, Q, QuerySet
from django.db.models.functions import Now

from accounts_app.models import System
from provisioning.events import job_changed
from provisioning.models import Job

logger = logging.getLogger(__name__)

LEASE_S = 6.0  # a worker that hasn't renewed its lease for so long is taken for dead
RENEW_S = 2.0


class LeaseLost(Exception):
    """Another worker has the job by now: whatever this one was about to write is not written."""


def due() -> QuerySet[Job]:
    """Jobs that are worth looking at now and that nobody has, those that wait longest first. Those of a system that
    nunect doesn't manage wait until it does."""
    return (
        _free()
        .filter(system__stage=System.Stage.MANAGED)
        .filter(Q(next_at=None) | Q(next_at__lte=Now()))
        .order_by(F("next_at").asc(nulls_first=True), "pk")
    )


def take(job_id: int) -> str:
    """Take the lease of a job; "" when somebody else has it, or nothing is to be done.

    From now on its next_at is empty, so that whoever calls for another look meanwhile is heard.
    """
    lease = f"{os.getpid()}-{secrets.token_hex(11)}"  # the number tells people which process it is
    taken = _free().filter(pk=job_id).update(lease=lease, lease_until=_until(), next_at=None)
    return lease if taken else ""


def give_back(job: Job) -> None:
    """Let go of the lease, unless it is another's already."""
    Job.objects.filter(pk=job.pk, lease=job.lease).update(lease="", lease_until=None)


def renew(job: Job) -> bool:
    """Have it for LEASE_S more; False when it is another's."""
    return bool(Job.objects.filter(pk=job.pk, lease=job.lease).update(lease_until=_until()))


@contextmanager
def fence(job: Job) -> Iterator[Job]:
    """One transaction of the worker that has the lease; gives the job's row as it is now, locked.

    Whatever a step writes it writes in here: a worker that slept for too long finds another lease on the row,
    gets LeaseLost, and has written nothing. Others hear of the job after the commit.
    """
    with transaction.atomic():
        row = _locked().defer("inputs", "parameters").filter(pk=job.pk, lease=job.lease).first() if job.lease else None
        if row is None:
            raise LeaseLost
        yield row
        Job.objects.filter(pk=job.pk).update(lease_until=_until())  # taking so long was no death
        tell(job)


def tell(job: Job) -> None:
    """Say after the commit that a job is in another state."""
    job_id, system_id = job.pk, job.system_id
    transaction.on_commit(lambda: _say(job_id, system_id), robust=True)


class Keeper(threading.Thread):
    """Renews the lease of the job at hand for as long as this process lives. A context manager for one job."""

    def __init__(self, job: Job) -> None:
        super().__init__(name=f"lease of job {job.pk}", daemon=True)
        self._job, self._over = job, threading.Event()

    def run(self) -> None:
        try:
            while not self._over.wait(RENEW_S):
                try:
                    if not renew(self._job):
                        return
                except DatabaseError as error:  # the next try may do; if none does, the lease is another's
                    logger.warning("a lease was not renewed", extra={"job": self._job.pk, "error": str(error)})
        finally:
            connection.close()

    def __enter__(self) -> Keeper:
        self.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self._over.set()


def _free() -> QuerySet[Job]:
    return Job.objects.filter(Q(lease="") | Q(lease_until__lt=Now()), state__in=Job.ACTIVE)


def _locked() -> QuerySet[Job]:
    """Locked as an update locks them: who opens a link writes a line of the log, and must not wait for this."""
    return Job.objects.select_for_update(no_key=True)


def _until() -> Any:
    return Now() + timedelta(seconds=LEASE_S)


def _say(job_id: int, system_id: int) -> None:
    job_changed.send_robust(sender=Job, job_id=job_id, system_id=system_id)
