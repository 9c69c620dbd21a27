"""The last step: look once more that all is as it should be."""

from __future__ import annotations

from accounts_app.models import Account, Consumer, Stream
from provisioning.jobs.protocol import Done, Step, Wait
from provisioning.models import Job, JobStep


class Ready(Step):
    """What the job has made is told in its results."""

    name, title, timeout_s = "ready", "Ready", 3600.0

    def do(self, job: Job, step: JobStep) -> Done | Wait:
        accounts = Account.objects.filter(system=job.system_id, name__in=job.accounts)
        streams = Stream.objects.filter(account__in=accounts, managed=True)
        consumers = Consumer.objects.filter(stream__account__in=accounts, managed=True)
        result = {
            "streams": list(streams.order_by("account__name", "name").values_list("name", flat=True)[:500]),
            "consumers": consumers.count(),
            "url": job.system.client_url,
        }
        return Done("Clients can connect.", result)
