"""The first step: the rows of a document, and what it takes to put back those that were there."""

from __future__ import annotations

import json

from django.core.exceptions import ValidationError

from accounts_app.applying import apply_document
from accounts_app.models import Account, System
from accounts_app.natsconf.document import DocumentError, read_document
from accounts_app.services import check_deletable
from accounts_app.wrong import ReconcileError
from provisioning.jobs import changed_since, found, kept
from provisioning.jobs.assets_back import take_back
from provisioning.jobs.confirm import counters, waits_for_accounts, waits_for_removal
from provisioning.jobs.handing import keep_secrets
from provisioning.jobs.lease import fence
from provisioning.jobs.protocol import Done, Step, StepFailed, Wait
from provisioning.jobs.purging import purge
from provisioning.models import Job, JobStep

_CONFIG_LABELS = [model._meta.label for model in kept.CONFIG]


class Rows(Step):
    """What the document says becomes rows, in one transaction with the sealed credentials and the way back."""

    name, title, timeout_s = "rows", "Write the rows", 7 * 86400.0
    shared = True

    def do(self, job: Job, step: JobStep) -> Done | Wait:
        if "wanted" not in step.result:
            self._write(job, step)
        result = step.result
        made = len(result["made"])
        differs = any(result["changes"].values())
        counts = ((made, "made"), (len(result["wanted"]) - made if differs else 0, "changed"))
        words = [f"{count} account{'s' if count > 1 else ''} {word}" for count, word in counts if count]
        return Done(
            f"{', '.join(words) or 'The rows say so already'}.",
            {"accounts": sorted(result["wanted"]), "changes": result["changes"]},
        )

    def undo(self, job: Job, step: JobStep) -> Done | Wait:
        if "wanted" not in step.result:
            return Done("No row was written.")
        if "back" not in step.result:
            if waits := take_back(job):
                return waits
            step.refresh_from_db()
            self._put_back(job, step)
        back, made = step.result["back"], step.result["made"]
        since = step.started_at
        waits = waits_for_accounts(job, back["wanted"], agreed_since=since) if back["wanted"] else None
        waits = waits or (waits_for_removal(job, made, back["system"], agreed_since=since) if made else None)
        if waits:
            return waits
        there = found.read(job)
        if waits := purge(job, there.empty(made)):
            return waits
        stays = [*there.stays(made), *step.result.get("as_now", ())]
        return Done(
            " ".join(["The rows are as they were, and so are the servers.", *stays]), {"kept": stays} if stays else {}
        )

    def _write(self, job: Job, step: JobStep) -> None:
        document = read_document(json.loads(job.inputs)["document"])
        names = sorted(spec.name for spec in document.accounts)
        if document.roles is not None or set(names) - set(job.accounts):
            raise StepFailed("The document is about more than the accounts of this job.")
        with fence(job):
            System.objects.select_for_update().get(pk=job.system_id)
            present = set(Account.objects.filter(system=job.system_id, name__in=names).values_list("name", flat=True))
            made = sorted(set(names) - present)
            before = kept.read(job.system, present) if present else None
            try:
                applied = apply_document(job.system, document)
            except (DocumentError, ReconcileError) as error:
                raise StepFailed(str(error)) from error
            except ValidationError as error:
                raise StepFailed(" ".join(error.messages)) from error
            keep_secrets(job, applied.secrets)
            wanted = counters(job.system, names)
            step.result = {"wanted": wanted, "made": made, "changes": applied.changes.as_dict()}
            step.undo = kept.dumps({"before": before, "left": kept.fingerprint(job.system, names, made)})
            step.save(update_fields=["result", "undo"])

    def _put_back(self, job: Job, step: JobStep) -> None:
        undo, made = json.loads(step.undo), step.result["made"]
        with fence(job):
            System.objects.select_for_update().get(pk=job.system_id)
            if told := changed_since.sentence(job, own=job.asked != Job.Ask.CANCEL):
                raise StepFailed(told)
            try:
                check_deletable(Account.objects.filter(system=job.system_id, name__in=made))
            except ValidationError as error:
                raise StepFailed(" ".join(error.messages)) from error
            kept.remove_accounts(job.system, made)
            others = sorted(step.result["wanted"].keys() - set(made))
            if undo["before"]:
                kept.put_back(job.system, others, {label: undo["before"][label] for label in _CONFIG_LABELS})
            system = System.objects.values_list("wanted", flat=True).get(pk=job.system_id)
            step.result = {**step.result, "back": {"wanted": counters(job.system, others), "system": system}}
            step.undo = json.dumps({**undo, "left": None})
            step.save(update_fields=["result", "undo"])
