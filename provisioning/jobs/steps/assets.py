"""The step that brings streams, buckets and consumers to the servers."""

from __future__ import annotations

import json
from typing import Any

from django.db.models import F, Q, QuerySet

from accounts_app.models import Account, Asset, Consumer, Stream, record
from provisioning.jobs import kept
from provisioning.jobs.lease import fence
from provisioning.jobs.protocol import Done, Step, StepFailed, Wait
from provisioning.models import Job, JobStep


class Assets(Step):
    """JetStream's side of the document; on the way back what is new goes with its data, the rest is as it was."""

    name, title, timeout_s = "assets", "Make streams and buckets", 7 * 86400.0

    def do(self, job: Job, step: JobStep) -> Done | Wait:
        counts = {word: rows.count() for word, rows in _managed(job) if rows.exists()}
        if not counts and not _behind(job).exists() and not _behind(job, Consumer).exists():
            return Done("There are none.", needed=False)
        words = [f"{count} {word}{'s' if count > 1 else ''}" for word, count in counts.items()]
        return brought(job) or Done(f"{', '.join(words) or 'All'} as the rows say.")

    def undo(self, job: Job, step: JobStep) -> Done | Wait:
        if "back" not in step.result:
            self._put_back(job, step)
        return brought(job) or Done("Streams and buckets are as they were.")

    def _put_back(self, job: Job, step: JobStep) -> None:
        rows = job.steps.get(name="rows")
        before = json.loads(rows.undo).get("before") or {}
        with fence(job):
            made = Account.objects.filter(system=job.system_id, name__in=rows.result.get("made", ()))
            for stream in Stream.objects.filter(account__in=made).exclude(account__done=0):
                leave(stream)
            others = Account.objects.filter(system=job.system_id, name__in=job.accounts).exclude(pk__in=made)
            for model in kept.ASSETS:
                _restore(model, others, before.get(model._meta.label, []))
            step.result = {"back": True}
            step.save(update_fields=["result"])


def brought(job: Job) -> Wait | None:
    """Bring what is behind to the servers; None once nothing is. Raises StepFailed for what they refuse."""
    if not any(_behind(job, model).exists() for model in kept.ASSETS):
        return None
    from provisioning.jetstream.enforce import enforce

    pks = Account.objects.filter(system=job.system_id, name__in=job.accounts).values_list("pk", flat=True)
    enforce(job.system_id, list(pks))
    late = [row for model in kept.ASSETS for row in _behind(job, model).order_by("name")[:50]]
    for row in late:
        if row.problem_kind == Asset.Problem.FAILED and row.problem_wanted == row.wanted:
            raise StepFailed(f"{_called(row)}: {row.problem}")
    if not late:
        return None
    first = next((row for row in late if row.problem), late[0])
    return Wait(first.problem or f"{_called(first)} on the servers", 1.0)


def _behind(job: Job, model: type[Any] = Stream) -> QuerySet[Any]:
    accounts = Account.objects.filter(system=job.system_id, name__in=job.accounts).values("pk")
    way = "account" if model is Stream else "stream__account"
    rows = model.objects.filter(**{f"{way}__in": accounts})
    found: QuerySet[Any] = rows.filter(Q(managed=True, done__lt=F("wanted")) | Q(leaving=True))
    return found


def _managed(job: Job) -> tuple[tuple[str, QuerySet[Any]], ...]:
    accounts = Account.objects.filter(system=job.system_id, name__in=job.accounts).values("pk")
    streams = Stream.objects.filter(account__in=accounts, managed=True)
    return (
        ("stream", streams.filter(kind=Stream.Kind.STREAM)),
        ("bucket", streams.exclude(kind=Stream.Kind.STREAM)),
        ("consumer", Consumer.objects.filter(stream__account__in=accounts, managed=True)),
    )


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


_SAID = ("config", "deletion", "managed", "leaving")


def _owner(model: type[Any]) -> str:
    return "account" if model is Stream else "stream"


def leave(row: Asset) -> None:
    if not row.leaving:
        row.managed, row.leaving = True, True
        row.save()
        record(f"{row._meta.verbose_name} deleted with its data", row, account=row.home.name)


def _called(row: Stream | Consumer) -> str:
    if isinstance(row, Consumer):
        return f"Consumer {row.stream.name} {row.name}"
    return f"{str(row.get_kind_display()).replace('stream', 'Stream').replace('object', 'Object')} {row.bucket}"
