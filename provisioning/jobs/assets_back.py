"""The way back of streams and buckets: what a job has made goes with its data, what it has changed is as it was."""

from __future__ import annotations

import json
from typing import Any

from django.db.models import QuerySet

from accounts_app.models import Account, Asset, Stream, record
from provisioning.jobs import changed_since, kept
from provisioning.jobs.bringing import brought
from provisioning.jobs.lease import fence
from provisioning.jobs.protocol import StepFailed, Wait
from provisioning.models import Job, JobStep

_SAID = ("config", "deletion", "managed", "leaving")


def take_back(job: Job) -> Wait | None:
    """Put the rows back, once, and bring them to the servers; None when all is as it was.

    Also when the step that makes streams has not begun: whoever sees the rows first brings them to the servers.
    Raises StepFailed when somebody has changed what the job left.
    """
    rows = job.steps.get(name="rows")
    if "wanted" not in rows.result:
        return None
    if "assets_back" not in rows.result:
        with fence(job):
            if told := changed_since.sentence(job, own=job.asked != Job.Ask.CANCEL):
                raise StepFailed(told)
            _put_back(job, rows)
    return brought(job)


def leave(row: Asset) -> None:
    """It goes with its data; one that somebody else has made stays, and the row goes alone."""
    if row.drift and row.done == 0:
        type(row).count([row])
        row.delete()
    elif not row.leaving:
        row.managed, row.leaving = True, True
        row.save()
        record(f"{row._meta.verbose_name} deleted with its data", row, account=row.home.name)


def _put_back(job: Job, rows: JobStep) -> None:
    undo = json.loads(rows.undo)
    accounts = Account.objects.filter(system=job.system_id, name__in=job.accounts)
    made = accounts.filter(name__in=rows.result["made"])
    Stream.objects.filter(account__in=made, account__done=0).delete()  # no server knows their accounts yet
    for stream in Stream.objects.filter(account__in=made):
        leave(stream)
    before = undo["before"] or {}
    for model in kept.ASSETS:
        _restore(model, accounts.exclude(pk__in=made), before.get(model._meta.label, []))
    rows.result = {**rows.result, "assets_back": True}
    rows.undo = json.dumps({**undo, "left": kept.without_assets(undo["left"])})
    rows.save(update_fields=["result", "undo"])


def _restore(model: type[Any], accounts: QuerySet[Account], before: list[dict[str, Any]]) -> None:
    """Rows of accounts that were there before: new ones go with their data, others say again what they said."""
    way = "account" if model is Stream else "stream__account"
    now = {row.pk: row for row in model.objects.filter(**{f"{way}__in": accounts})}
    then = {row["pk"]: row for row in before}
    for pk in now.keys() - then.keys():
        if now[pk].managed:
            leave(now[pk])
    for pk, fields in ((pk, row["fields"]) for pk, row in then.items()):
        row = now.get(pk)
        if row is None and fields["managed"]:
            row = model(pk=pk, **{name: value for name, value in fields.items() if name != _owner(model)})
            setattr(row, f"{_owner(model)}_id", fields[_owner(model)])
            row.save(force_insert=True)
        elif row is not None and any(getattr(row, name) != fields[name] for name in _SAID):
            for name in _SAID:
                setattr(row, name, fields[name])
            row.save()


def _owner(model: type[Any]) -> str:
    return "account" if model is Stream else "stream"
