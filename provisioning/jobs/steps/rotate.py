"""The step that gives users new credentials, so that they can be handed over once more."""

from __future__ import annotations

import json
from typing import Any

from django.core.exceptions import ValidationError

from accounts_app import services
from accounts_app.models import NatsUser
from provisioning.jobs import kept
from provisioning.jobs.confirm import counters, waits_for_accounts
from provisioning.jobs.handing import keep_secrets
from provisioning.jobs.lease import fence
from provisioning.jobs.protocol import Done, Step, StepFailed, Wait
from provisioning.models import Job, JobStep


class Rotate(Step):
    """The former credentials end with it; on the way back they work again."""

    name, title, timeout_s = "rotate", "Make new credentials", 7 * 86400.0

    def do(self, job: Job, step: JobStep) -> Done | Wait:
        if "wanted" not in step.result:
            names = sorted(json.loads(job.inputs)["users"])
            with fence(job):
                users = NatsUser.objects.select_for_update(of=("self",)).filter(system=job.system_id, name__in=names)
                rows = list(users.filter(account__name__in=job.accounts).select_related("account", "system"))
                if missing := sorted(set(names) - {row.name for row in rows}):
                    raise StepFailed(f"User “{missing[0]}” is gone.")
                before = [{"pk": row.pk, **{name: getattr(row, name) for name in services.CREDENTIAL}} for row in rows]
                try:
                    secrets = {row.name: services.rotate(row) for row in rows}
                except ValidationError as error:
                    raise StepFailed(" ".join(error.messages)) from error
                keep_secrets(job, secrets)
                after = {str(row.pk): _login(row) for row in rows}
                step.result = {"wanted": counters(job.system, job.accounts)}
                step.undo = kept.dumps({"before": before, "after": after})
                step.save(update_fields=["result", "undo"])
        count = len(json.loads(step.undo)["before"])
        return Done(f"{count} credential{'s' if count != 1 else ''} made.")

    def undo(self, job: Job, step: JobStep) -> Done | Wait:
        if "wanted" not in step.result:
            return Done("No credential was made.")
        if "back" not in step.result:
            with fence(job):
                self._put_back(json.loads(step.undo))
                step.result = {**step.result, "back": counters(job.system, job.accounts)}
                step.undo = "{}"
                step.save(update_fields=["result", "undo"])
        return waits_for_accounts(job, step.result["back"]) or Done("The former credentials work again.")

    def _put_back(self, undo: dict[str, Any]) -> None:
        """Former credentials, but of those who have got yet another one since."""
        for former in undo["before"]:
            pk = former.pop("pk")
            row = NatsUser.objects.filter(pk=pk).first()
            if row is not None and _login(row) == undo["after"][str(pk)]:
                for name, value in former.items():
                    setattr(row, name, _column(name).to_python(value))
                row.save(update_fields=list(former))


def _login(row: NatsUser) -> list[str]:
    return [row.credential, row.password_hash, row.nkey]


def _column(name: str) -> Any:
    return NatsUser._meta.get_field(name)
