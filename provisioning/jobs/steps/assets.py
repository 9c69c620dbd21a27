"""The step that brings streams, buckets and consumers to the servers."""

from __future__ import annotations

import json
from typing import Any

from django.db.models import QuerySet

from accounts_app.models import Account, Asset, Consumer, Stream
from provisioning.jobs import kept
from provisioning.jobs.assets_back import take_back
from provisioning.jobs.bringing import behind, brought
from provisioning.jobs.protocol import Done, Step, Wait
from provisioning.jobs.stuck import OBJECTS
from provisioning.models import Job, JobStep


class Assets(Step):
    """JetStream's side of the document; on the way back what is new goes with its data, the rest is as it was."""

    name, title, timeout_s = "assets", "Make streams and buckets", 7 * 86400.0

    def do(self, job: Job, step: JobStep) -> Done | Wait:
        counts = {word: rows.count() for word, rows in _managed(job) if rows.exists()}
        if not counts and not behind(job).exists() and not behind(job, Consumer).exists():
            return Done("There are none.", needed=False)
        words = [f"{count} {word}{'s' if count > 1 else ''}" for word, count in counts.items()]
        return brought(job) or Done(f"{', '.join(words) or 'All'} as the rows say.")

    def undo(self, job: Job, step: JobStep) -> Done | Wait:
        return take_back(job) or Done("Streams and buckets are as they were.")

    def retried(self, job: Job) -> None:
        for model in kept.ASSETS:
            refused = behind(job, model).filter(problem_kind=Asset.Problem.FAILED)
            QuerySet(model).filter(pk__in=refused.values("pk")).update(problem_kind="", problem="", problem_field="")
        self._take_answers(job)

    def _take_answers(self, job: Job) -> None:
        """What a person has answered where the step failed is a part of the job: it may still be taken back."""
        objects = job.steps.get(name=self.name).result.get(OBJECTS, ())
        rows = job.steps.get(name="rows")
        undo = json.loads(rows.undo or "{}")
        if objects and undo.get("left"):
            undo["left"] = kept.agreed(job.system, job.accounts, undo["left"], objects)
            rows.undo = json.dumps(undo)
            rows.save(update_fields=["undo"])


def _managed(job: Job) -> tuple[tuple[str, QuerySet[Any]], ...]:
    accounts = Account.objects.filter(system=job.system_id, name__in=job.accounts).values("pk")
    streams = Stream.objects.filter(account__in=accounts, managed=True)
    return (
        ("stream", streams.filter(kind=Stream.Kind.STREAM)),
        ("bucket", streams.exclude(kind=Stream.Kind.STREAM)),
        ("consumer", Consumer.objects.filter(stream__account__in=accounts, managed=True)),
    )
