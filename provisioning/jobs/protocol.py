"""What a step of a job is, and what it may answer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from provisioning.models import Job, JobStep


@dataclass(frozen=True, slots=True)
class Done:
    """The step is done. detail: one sentence; result: JSON for the job's results, without secrets; needed: False
    when there was nothing to do."""

    detail: str = ""
    result: Mapping[str, Any] = field(default_factory=dict)
    needed: bool = True


@dataclass(frozen=True, slots=True)
class Wait:
    """The step can't go on yet. for_whom: as people call it; again_in_s: when to look again at the soonest."""

    for_whom: str
    again_in_s: float = 2.0


class StepFailed(Exception):
    """It can't be done, and trying again as it is won't help; the sentence says why. objects: the rows that it is
    about, each as JSON: {"resource": of REST, "id", "account", "name"}, and the "stream" of a consumer."""

    def __init__(self, sentence: str, objects: Sequence[Mapping[str, Any]] = ()) -> None:
        super().__init__(sentence)
        self.sentence, self.objects = sentence, tuple(objects)


class Step:
    """One kind of step. `do` and `undo` look before they act, may be called again after a crash at any point, and
    write in `lease.fence(job)` only. They may keep what they know in `step.result` and `step.undo` (sealed).

    shared: what follows is done for many jobs at once, so that others may do this one first.
    timeout_s: how long it may take and wait in all, of either way. Raise StepFailed; anything else that is raised
    is tried again, with a back-off, `engine.TRIES` times.
    """

    name = ""
    title = ""
    timeout_s = 3600.0
    shared = False

    def do(self, job: Job, step: JobStep) -> Done | Wait:
        """Bring it about, or say for whom it waits."""
        raise NotImplementedError

    def undo(self, job: Job, step: JobStep) -> Done | Wait:
        """Take back what `do` has done, or may have begun to do; nothing where it changes nothing."""
        return Done()

    def retried(self, job: Job) -> None:
        """A person asks for another try of a step that failed: what was refused may be asked for again."""
