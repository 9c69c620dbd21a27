"""The streams and consumers that a job failed at: named in its sentence, and kept with the step for people to find."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from accounts_app.jetstream.names import bucket_of
from accounts_app.models import Consumer, Stream
from provisioning.jetstream.strangers import RESOURCES
from provisioning.jobs.protocol import StepFailed
from provisioning.models import Job, JobStep

OBJECTS = "objects"


def failed(job: Job, refused: Sequence[Stream | Consumer]) -> StepFailed:
    """What to raise for rows that the servers, or what is there already, refuse. The sentence tells of the first."""
    first = refused[0]
    told = f"{called(first)}: {first.problem}"
    if first.drift and first.done == 0:  # it waits for an answer, and the job for the one who gives it
        told += f" Then `nunect job retry {job.pk}` goes on."
    if more := len(refused) - 1:
        told += f" {more} more {'is' if more == 1 else 'are'} refused, too."
    return StepFailed(told, [_object(row) for row in refused])


def called(row: Stream | Consumer) -> str:
    """As a sentence begins with it: "Stream ORDERS"."""
    if isinstance(row, Consumer):
        return f"Consumer {row.stream.name} {row.name}"
    return f"{str(row.get_kind_display()).replace('stream', 'Stream').replace('object', 'Object')} {row.bucket}"


def keep_objects(step: JobStep, objects: Sequence[Mapping[str, Any]] = ()) -> None:
    """Keep beside a step at what it failed, in the transaction under way; nothing, when it begins again."""
    row = JobStep.objects.only("result").get(pk=step.pk)  # what the step itself has kept meanwhile stays
    result = {name: value for name, value in row.result.items() if name != OBJECTS}
    if objects:
        result[OBJECTS] = list(objects)
    if result != row.result:
        JobStep.objects.filter(pk=step.pk).update(result=result)
    step.result = result


def rows_of(step: JobStep) -> list[tuple[str, Stream | Consumer | None]]:
    """(as people call it, its row as long as there is one) of what a step failed at."""
    return [(f"{each['account']}/{each['name']}", _row(each)) for each in step.result.get(OBJECTS, ())]


def _row(told: Mapping[str, Any]) -> Stream | Consumer | None:
    model: Any = Consumer if told["resource"] == RESOURCES["consumer"] else Stream
    row: Stream | Consumer | None = model.objects.filter(pk=told["id"]).first()
    return row


def _object(row: Stream | Consumer) -> dict[str, Any]:
    resource, name = RESOURCES[row.settings_kind], bucket_of(row.settings_kind, row.name)
    found = {"resource": resource, "id": row.pk, "account": row.home.name, "name": name}
    return {**found, "stream": row.stream.name} if isinstance(row, Consumer) else found
