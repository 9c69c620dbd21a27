"""What an account has left in the servers' store, and how it goes."""

from __future__ import annotations

from collections.abc import Collection

from accounts_app.models import Account
from provisioning.errors import Unreachable
from provisioning.jobs.protocol import Wait
from provisioning.models import Job
from provisioning.server import Fleet


def purge(job: Job, names: Collection[str]) -> Wait | None:
    """Have the servers delete all data of accounts that no row and no server knows any more; None once they have.

    It works on a live account, too: one that somebody has made anew meanwhile is left alone. Raises Unreachable.
    """
    if not names:
        return None
    with Fleet(job.system) as fleet:
        if not fleet.connected:
            raise Unreachable(fleet.problem)
        if not any(one.jetstream_max_file or one.jetstream_max_mem for one in fleet.see()):
            return None
        for name in names:
            if Account.objects.filter(system=job.system_id, name=name).exists():
                continue
            fleet.purge_account(name)
            if fleet.streams_of(name):
                return Wait(f"the servers to delete the streams of {name}", 1.0)
    return None
