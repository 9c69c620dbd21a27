"""Retiring comes true: streams with their data if asked, then the rows; the servers follow in two phases."""

from __future__ import annotations

import json

from django.core.exceptions import ValidationError

from accounts_app.models import Account, Stream, System
from accounts_app.services import check_deletable
from provisioning.jobs import kept
from provisioning.jobs.assets_back import leave
from provisioning.jobs.bringing import brought
from provisioning.jobs.confirm import waits_for_removal
from provisioning.jobs.lease import fence
from provisioning.jobs.leaving import remember
from provisioning.jobs.protocol import Done, Step, StepFailed, Wait
from provisioning.models import Job, JobStep


class Removal(Step):
    """From its beginning on there is no way back: that is what the window was for."""

    name, title, timeout_s = "removal", "Remove it from the servers", 30 * 86400.0

    def do(self, job: Job, step: JobStep) -> Done | Wait:
        if "system" not in step.result:
            if json.loads(job.inputs)["data"] == "keep":
                remember(job, step)
            elif waits := self._streams(job, step):
                return waits
            self._rows(job, step)
        waits = waits_for_removal(job, job.accounts, step.result["system"], agreed_since=step.started_at)
        kept_data = step.result.get("kept")
        return waits or Done("No server knows it any more.", {"kept": kept_data} if kept_data else {})

    def undo(self, job: Job, step: JobStep) -> Done | Wait:
        raise StepFailed("The account is being removed already; this can't be taken back.")

    def _streams(self, job: Job, step: JobStep) -> Wait | None:
        """Delete them by JetStream's API first: in a cluster each server forgets its copies."""
        if "leaving" not in step.result:
            with fence(job):
                accounts = Account.objects.filter(system=job.system_id, name__in=job.accounts, enabled=True)
                shown = accounts.filter(jetstream=True, jetstream_control=True)
                for stream in Stream.objects.filter(account__in=shown):
                    leave(stream)
                step.result = {"leaving": True}
                step.save(update_fields=["result"])
        return brought(job)

    def _rows(self, job: Job, step: JobStep) -> None:
        with fence(job):
            System.objects.select_for_update().get(pk=job.system_id)
            accounts = Account.objects.filter(system=job.system_id, name__in=job.accounts)
            try:
                check_deletable(accounts)
            except ValidationError as error:
                raise StepFailed(" ".join(error.messages)) from error
            kept.remove_accounts(job.system, job.accounts)
            wanted = System.objects.values_list("wanted", flat=True).get(pk=job.system_id)
            step.result = {**step.result, "system": wanted}
            step.save(update_fields=["result"])
