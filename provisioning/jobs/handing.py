"""Credentials that a job has made, sealed for whoever holds its link."""

from __future__ import annotations

from collections.abc import Mapping

from accounts_app.credentials import NewSecret
from provisioning.blueprints import handover
from provisioning.models import HandOver, Job


def link_of(job: Job) -> HandOver | None:
    """The hand-over that still waits for its owner, None when there is none."""
    return HandOver.objects.select_for_update().filter(job=job, opened_at=None, withdrawn_at=None).first()


def keep_secrets(job: Job, secrets: Mapping[str, NewSecret]) -> None:
    """Seal them to the link of the job, in the transaction that has made them. Without a link nobody learns them."""
    waiting = link_of(job)
    if waiting is not None and secrets:
        handover.seal(waiting, secrets)
