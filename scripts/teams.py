"""Teams of the demo data: jobs done, at work and failed, streams as rows, credentials to hand over."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

NAMES = ("RENDERING", "BILLING_JOBS", "NOTIFICATIONS", "SEARCH_INDEX")


def teams(until: Callable[[Callable[[], bool], str], None]) -> dict[str, str]:
    """Provision what the pictures show: {page: its path}. until: waits, or ends the program."""
    from accounts_app import assets
    from accounts_app.door import through
    from accounts_app.models import Account, Stream, System
    from provisioning.blueprints import catalogue
    from provisioning.blueprints.submit import provision
    from provisioning.jobs import services
    from provisioning.models import Job
    from tests import factories

    ada, grace = factories.admin("ada"), factories.admin("grace")
    system = System.objects.get()
    queue = catalogue.find("work-queue").spec

    def ended(job: Job) -> Callable[[], bool]:
        return lambda: Job.objects.get(pk=job.pk).state in (*Job.ENDED, Job.State.FAILED)

    token = ""
    for number, name in enumerate(NAMES):
        with through("admin", person=(ada, grace)[number % 2]):
            made = provision(system, queue, {"name": name, "owner": "ada", "queues": ["thumbnails", "reports"]})
        token = made.token or token
        until(ended(made.job), "a job did not end")
    with through("rest", person=grace):
        document: dict[str, Any] = {
            "accounts": [
                {"name": "SENSORS", "jetstream": True, "streams": [{"name": "RAW", "subjects": ["raw.>"]}]},
            ]
        }
        document["accounts"][0]["streams"][0]["max_bytes"] = "1TiB"  # more than the server has
        failed = services.start(
            Job.Kind.PROVISION,
            system,
            title="Event-driven team: SENSORS",
            accounts=["SENSORS"],
            inputs={"document": document, "lifetime_s": 86_400},
            parameters={"name": "SENSORS", "size": "large"},
            blueprint="event-driven-team",
            blueprint_version=1,
        )
    with through("admin", person=ada):
        waiting = services.retire(Account.objects.get(name="SEARCH_INDEX"), "SEARCH_INDEX", 7 * 86_400, "delete")
        row = Stream.objects.get(account__name="RENDERING", name="JOBS")
        assets.save_asset(row, {"max_age": 7 * 86_400 * 1_000_000_000})
    time.sleep(12)  # seconds; the failing one tries for a while
    form = {"name": "PAYMENTS", "owner": "ada", "prefix": "payments", "services": "checkout\nledger"}
    return {
        "catalogue": "/admin/provisioning/blueprint/catalogue/",
        "blueprint": f"/admin/provisioning/blueprint/provision/event-driven-team/?{urlencode(form)}",
        "job": f"/admin/provisioning/job/{waiting.pk}/change/",
        "job-failed": f"/admin/provisioning/job/{failed.pk}/change/",
        "jobs": "/admin/provisioning/job/",
        "handover": f"/handover/#{token}",
        "streams": "/admin/accounts_app/stream/",
        "stream": f"/admin/accounts_app/stream/{row.pk}/change/",
        "retire": f"/admin/provisioning/job/retire/{Account.objects.get(name='RENDERING').pk}/",
    }
