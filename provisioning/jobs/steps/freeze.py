"""Retiring begins: nobody signs in to the account any more, and nothing is lost yet."""

from __future__ import annotations

import json

from accounts_app.applying import export_document
from accounts_app.models import Account, NatsUser
from accounts_app.services import disable_users
from provisioning.jobs import kept
from provisioning.jobs.confirm import counters, waits_for_accounts
from provisioning.jobs.lease import fence
from provisioning.jobs.protocol import Done, Step, StepFailed, Wait
from provisioning.models import Job, JobStep


class Freeze(Step):
    """Every enabled user of the account is disabled; those, and no others, are enabled again on the way back."""

    name, title, timeout_s = "freeze", "Freeze the account", 7 * 86400.0

    def do(self, job: Job, step: JobStep) -> Done | Wait:
        if "wanted" not in step.result:
            with fence(job):
                accounts = Account.objects.filter(system=job.system_id, name__in=job.accounts)
                if not accounts.exists():
                    raise StepFailed(f"Account “{job.accounts[0]}” is gone: somebody has deleted it.")
                live = NatsUser.objects.filter(account__in=accounts, enabled=True)
                pks = list(live.order_by("pk").values_list("pk", flat=True))
                document = export_document(job.system, accounts, secrets=True)  # as it is before anybody is disabled
                disable_users(live)
                step.result = {"wanted": counters(job.system, job.accounts), "disabled": len(pks)}
                step.undo = kept.dumps({"disabled": pks, "document": document})
                step.save(update_fields=["result", "undo"])
        count = step.result["disabled"]
        return Done(f"{count} user{'s' if count != 1 else ''} disabled.")

    def undo(self, job: Job, step: JobStep) -> Done | Wait:
        if "wanted" not in step.result:
            return Done("No user was disabled.")
        if "back" not in step.result:
            with fence(job):
                pks = json.loads(step.undo)["disabled"]
                for start in range(0, len(pks), kept.PART):
                    some = NatsUser.objects.filter(pk__in=pks[start : start + kept.PART], enabled=False)
                    some.exclude(credential=NatsUser.Credential.NONE).update(enabled=True)
                step.result = {**step.result, "back": counters(job.system, job.accounts)}
                step.save(update_fields=["result"])
        return waits_for_accounts(job, step.result["back"]) or Done("Its users may sign in again.")
