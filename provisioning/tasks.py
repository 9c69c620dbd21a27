"""Thin Celery entries: the hint and the sweep."""

from __future__ import annotations

import logging
from typing import Any

from celery import shared_task
from celery.signals import worker_ready

from accounts_app.door import through
from accounts_app.models import System
from accounts_app.services import expire_due, forget_answers
from provisioning import pipeline
from provisioning.blueprints.handover import forget_over
from provisioning.errors import ProvisioningError
from provisioning.heartbeat import beat
from provisioning.hints import clear_jobs_hint, send_jobs_hint
from provisioning.jetstream.enforce import enforce
from provisioning.jetstream.observe import observe
from provisioning.jobs import engine, forgetting, slot
from provisioning.missing import look_for_missing

logger = logging.getLogger(__name__)


@shared_task(name="provisioning.apply")
def apply(system_id: int) -> None:
    """Somebody changed rows of this system."""
    _apply(system_id, fresh=False)


@shared_task(name="provisioning.sweep")
def sweep() -> None:
    """Look at every system with no trust in any cache: what a hint lost, and what others changed."""
    for system_id in _looked_after():
        _apply(system_id, fresh=True)
        _assets(system_id, look=True)


@shared_task(name="provisioning.assets")
def assets(system_id: int) -> None:
    """Somebody changed streams or consumers of this system."""
    _assets(system_id, look=False)


@shared_task(name="provisioning.waiting")
def waiting() -> None:
    """Between the sweeps: look for servers that were away, and at streams and consumers that wait for something."""
    for system_id in _looked_after():
        look_for_missing(system_id)
        _assets(system_id, look=False)


@shared_task(name="provisioning.jobs")
def jobs() -> None:
    """Advance the jobs that are due: one task of a machine at a time, so that another process is free to apply."""
    clear_jobs_hint()
    with slot.taken() as free:
        left = free and engine.work()
    if left:
        send_jobs_hint()


@shared_task(name="provisioning.expire")
def expire() -> None:
    """Count a change for the accounts of users and old credentials whose time has come; forget what is old."""
    with through("worker", reason="time has come"):
        expire_due()
    forget_answers()
    forget_over()


@shared_task(name="provisioning.forget_undo")
def forget_undo() -> None:
    """Let go of what it takes to take back jobs that ended long ago."""
    forgetting.forget_undo()


@shared_task(name="provisioning.heartbeat")
def heartbeat() -> None:
    """Show that a worker executes tasks."""
    beat()


@worker_ready.connect
def begin_at_once(**kwargs: Any) -> None:
    """A worker that has just started looks at everything, rather than at the next tick of beat."""
    heartbeat.apply_async(retry=False)
    sweep.apply_async(retry=False)
    jobs.apply_async(retry=False)


def _looked_after() -> list[int]:
    """The systems that nunect has not let go of."""
    return list(System.objects.exclude(stage=System.Stage.RELEASED).values_list("pk", flat=True))


def _apply(system_id: int, *, fresh: bool) -> None:
    with through("worker"):
        try:
            pipeline.apply(system_id, fresh=fresh)
        except System.DoesNotExist:
            logger.info("the system was removed", extra={"system": system_id})
        except ProvisioningError as error:
            level = logging.WARNING if error.transient else logging.ERROR
            logger.log(level, "servers don't follow", extra={"step": error.step, "detail": error.detail})


def _assets(system_id: int, *, look: bool) -> None:
    with through("worker"):
        try:
            enforce(system_id)
            if look:
                observe(system_id)
        except System.DoesNotExist:
            logger.info("the system was removed", extra={"system": system_id})
        except ProvisioningError as error:
            logger.warning("streams can't be looked at", extra={"system": system_id, "detail": error.detail})
