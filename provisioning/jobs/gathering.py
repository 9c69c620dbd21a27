"""Jobs that begin together share a run: it waits a moment for rows that are just being written."""

from __future__ import annotations

import time

from django.db.models import F, Q
from django.db.models.functions import Now

from accounts_app.models import Account
from accounts_app.natsconf.specs import CONTROL_ACCOUNT
from provisioning.models import Claim, Job

MOST_S = 15.0
_LOOK_S = 0.05


def wait_for_rows(system_id: int) -> None:
    """Return when no worker is about to write rows of another job of this system, after MOST_S at the latest.

    Without it a thousand jobs, whose rows take a while to write, would be hundreds of reloads. Where nobody works
    on jobs there is nothing to wait for, and what a person has changed meanwhile waits for no job.
    """
    end = time.monotonic() + MOST_S
    jobs = Job.objects.filter(system=system_id)
    begins = jobs.filter(Q(next_at=None) | Q(next_at__lte=Now()), state=Job.State.QUEUED)
    at_work = jobs.filter(lease_until__gt=Now())
    claimed = Claim.objects.filter(system=system_id).values("account")
    behind = Account.objects.filter(system=system_id, done__lt=F("wanted"), problem_kind="")
    peoples = behind.exclude(name=CONTROL_ACCOUNT).exclude(name__in=claimed)
    while begins.exists() and at_work.exists() and not peoples.exists() and time.monotonic() < end:
        time.sleep(_LOOK_S)
