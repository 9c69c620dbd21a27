"""Credentials that a job has made, sealed for whoever holds its link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from accounts_app.credentials import NewSecret
from accounts_app.models import NatsUser
from accounts_app.services import connection_help
from provisioning.models import HandOver, Job


def keep_secrets(job: Job, secrets: Mapping[str, NewSecret]) -> None:
    """Seal them to the link of the job, in the transaction that has made them. Without a link nobody learns them."""
    waiting = HandOver.objects.filter(job=job, opened_at=None, withdrawn_at=None).first()
    if waiting is None or not secrets:
        return
    from provisioning.blueprints.handover import seal

    payload: dict[str, Any] = {}
    names = sorted(secrets)
    for start in range(0, len(names), 500):
        some = names[start : start + 500]
        users = NatsUser.objects.filter(system=job.system_id, name__in=some).select_related("account", "system")
        for user in users:
            made = secrets[user.name]
            help_ = connection_help(user, made.secret)
            payload[user.name] = {"kind": made.kind, "secret": made.secret, "connect": asdict(help_)}
    seal(waiting, payload)
