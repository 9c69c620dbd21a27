"""What a person may want of a job, and see of it; both doors ask here."""

from __future__ import annotations

import json
from typing import Any

from django.core.exceptions import PermissionDenied

from accounts_app.access import may, require
from accounts_app.conf_text import masked
from accounts_app.models import Account, NatsUser
from provisioning.models import Job


def require_act(person: Any, name: str, job: Job) -> None:
    """Raise PermissionDenied unless they may. name: as in the address of the act, such as "roll-back".

    Beyond jobs: new credentials are a change of users, and taking back a job that is done deletes accounts which
    somebody may rely on by now.
    """
    require(person, "change", Job)
    if name in ("hand-over", "withdraw"):
        require(person, "add", Job)
    if name == "hand-over":
        require(person, "change", NatsUser)
    if name == "roll-back" and job.state == Job.State.DONE:
        require(person, "delete", Account)


def may_act(person: Any, name: str, job: Job) -> bool:
    """Whether they may."""
    try:
        require_act(person, name, job)
    except PermissionDenied:
        return False
    return True


def seen_by(person: Any, values: dict[str, Any]) -> dict[str, Any]:
    """A job's inputs or results; public nkeys in them only for who manages credentials."""
    if may(person, "change", NatsUser):
        return values
    found: dict[str, Any] = json.loads(masked(json.dumps(values, ensure_ascii=False), keys=False))
    return found
