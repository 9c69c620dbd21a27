"""The way back of streams and buckets: what a job has made goes with its data, what it has changed is as it was, and
what was there before stays."""

from __future__ import annotations

import json
from typing import Any

from django.db.models import QuerySet

from accounts_app.assets import let_go
from accounts_app.models import Account, Asset, Consumer, Stream, record
from provisioning.jobs import changed_since, found, kept
from provisioning.jobs.bringing import brought
from provisioning.jobs.found import Found
from provisioning.jobs.giving_back import give_back
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
        unmade = not found.looked(job)
        found.look(job, late=True)
        with fence(job):
            if told := changed_since.sentence(job, own=job.asked != Job.Ask.CANCEL):
                raise StepFailed(told)
            _put_back(job, rows, unmade=unmade)
    if "as_now" not in rows.result:  # nobody brings what was let go to the rows any more
        stays = give_back(job, found.read(job))
        with fence(job):
            rows.result = {**rows.result, "as_now": stays}
            rows.save(update_fields=["result"])
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


def _put_back(job: Job, rows: JobStep, *, unmade: bool) -> None:
    """unmade: nobody has looked yet, so that nothing new has been brought to a server."""
    undo = json.loads(rows.undo)
    accounts = Account.objects.filter(system=job.system_id, name__in=job.accounts)
    made = accounts.filter(name__in=rows.result["made"])
    there = found.read(job)
    Stream.objects.filter(account__in=made, account__done=0).delete()  # no server knows their accounts yet
    whole = there.empty(rows.result["made"])
    for stream in Stream.objects.filter(account__in=made).select_related("account"):
        if stream.managed or stream.account.name in whole:
            _part_with(stream, there, unmade=unmade)
    for consumer in Consumer.objects.filter(stream__account__in=made, stream__leaving=False, managed=True):
        _part_with(consumer, there, unmade=unmade)
    before = undo["before"] or {}
    for model in kept.ASSETS:
        _restore(model, accounts.exclude(pk__in=made), before.get(model._meta.label, []), there, unmade=unmade)
    rows.result = {**rows.result, "assets_back": True}
    rows.undo = json.dumps({**undo, "left": kept.without_assets(undo["left"])})
    rows.save(update_fields=["result", "undo"])


def _part_with(row: Stream | Consumer, there: Found, *, unmade: bool) -> None:
    """Of a row that the job has made: what it made on the servers goes, what was there before stays."""
    if (unmade and row.done == 0 and row.seen is None) or _was_there(row, there):
        let_go(row)
    else:
        leave(row)


def _was_there(row: Stream | Consumer, there: Found) -> bool:
    if isinstance(row, Consumer):
        return there.has(row.home.name, row.stream.name, row.name)
    return there.has(row.home.name, row.name)


def _restore(
    model: type[Any], accounts: QuerySet[Account], before: list[dict[str, Any]], there: Found, *, unmade: bool
) -> None:
    """Rows of accounts that were there before: new ones go with their data, others say again what they said."""
    way = "account" if model is Stream else "stream__account"
    now = {row.pk: row for row in model.objects.filter(**{f"{way}__in": accounts})}
    then = {row["pk"]: row for row in before}
    for pk in now.keys() - then.keys():
        if now[pk].managed:
            _part_with(now[pk], there, unmade=unmade)
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
