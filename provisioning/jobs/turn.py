"""One worker's turn at a job: step after step, forwards or back, each written down before and after it is done."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

from django.db.models import QuerySet
from django.db.models.functions import Now
from django.dispatch import Signal
from django.utils import timezone

from accounts_app.door import DoorName, through
from accounts_app.stages import is_managed
from provisioning.errors import Unreachable
from provisioning.jobs import lease
from provisioning.jobs.ending import end, turned_back, withdraw
from provisioning.jobs.faults import told
from provisioning.jobs.lease import LeaseLost, fence
from provisioning.jobs.paths import STEPS
from provisioning.jobs.protocol import Done, StepFailed, Wait
from provisioning.jobs.stuck import keep_objects
from provisioning.models import Claim, Job, JobLine, JobStep

logger = logging.getLogger(__name__)

TRIES = 8  # of one step, with a back-off of 1, 2, 4 … 30 seconds
LONGEST_PAUSE_S = 30.0
passed = Signal()  # sent with point ("taken", "begun", "acted", "written"), step and job_id as a job gets there

_AGAIN = "another try"
_State = JobStep.State
_BEGUN = (_State.RUNNING, _State.WAITING, _State.FAILED, _State.DONE, _State.UNDOING)


class _AskedMeanwhile(Exception):
    """Somebody wants the job to go the other way, and said so before the step had begun."""


class Turn:
    """One worker's turn at a job, for as long as there is something to do at once."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def go(self) -> None:
        while is_managed(self.job.system_id) and (self._forwards() if not self._asked() else self._backwards()):
            pass

    def _asked(self) -> str:
        columns = ("state", "asked", "asked_by", "answers_holds", "waits_for")
        self.job.refresh_from_db(fields=columns)
        return self.job.asked

    # --- forwards ---------------------------------------------------------------

    def _forwards(self) -> bool:
        """One step; True when the next one may follow at once."""
        if self.job.state not in (Job.State.QUEUED, Job.State.RUNNING, Job.State.WAITING):
            return False
        if self.job.state == Job.State.QUEUED and not self._turn_has_come():
            return False
        step = self._steps().exclude(state__in=(_State.DONE, _State.SKIPPED)).first()
        if step is None:
            with fence(self.job) as row:
                if not row.asked:
                    end(self.job, Job.State.DONE)
            return bool(row.asked)
        return self._step(step, back=False)

    def _turn_has_come(self) -> bool:
        """Whether no earlier job has a claim on one of its accounts."""
        own = Claim.objects.filter(job=self.job).values("account")
        ahead = Claim.objects.filter(system=self.job.system_id, account__in=own, job__lt=self.job.pk)
        first = ahead.select_related("job").order_by("-job").first()
        if first is None:
            with fence(self.job):
                self._write_job(state=Job.State.RUNNING, waits_for="", started_at=Now())
            return True
        failed = first.job.state == Job.State.FAILED
        hint = ", which failed: retry it or roll it back" if failed else ""
        self._pause_job(f"job {first.job_id} on account {first.account}{hint}", LONGEST_PAUSE_S)
        return False

    # --- back -------------------------------------------------------------------

    def _backwards(self) -> bool:
        """Take one step back; True when the next one may follow at once."""
        if self.job.state == Job.State.FAILED or self.job.state in Job.ENDED:
            return False
        if self.job.state != Job.State.UNDOING or not self._links_are_dead():
            with fence(self.job) as row:
                if not row.asked:
                    return True  # resumed at the last moment
                if row.state != Job.State.UNDOING:
                    turned_back(row)
                self._write_job(state=Job.State.UNDOING, waits_for="")
                self.job.steps.filter(state__in=_BEGUN).update(attempts=0)
                withdraw(self.job)
        step = self._steps().filter(state__in=_BEGUN).last()
        if step is None:
            cancelled = self.job.asked == Job.Ask.CANCEL
            with fence(self.job):
                end(self.job, Job.State.CANCELLED if cancelled else Job.State.ROLLED_BACK)
            return False
        return self._step(step, back=True)

    def _links_are_dead(self) -> bool:
        return not self.job.hand_overs.filter(opened_at=None, withdrawn_at=None).exists()

    # --- one step ---------------------------------------------------------------

    def _step(self, step: JobStep, *, back: bool) -> bool:
        kind = STEPS[step.name]
        try:
            if not self._begin(step, back=back):
                return False
        except _AskedMeanwhile:
            return True
        self._passed("begun", step)
        try:
            with self._in_the_name_of_who_asked(back=back):
                answer = kind.undo(self.job, step) if back else kind.do(self.job, step)
        except LeaseLost:
            raise
        except StepFailed as error:
            return self._fail(step, error.sentence, error.objects)
        except Unreachable as error:  # they will be back; how long that may take is the step's to say
            return self._wait(step, Wait(f"an answer of the servers: {error.detail}"), kind.timeout_s)
        except Exception as error:  # whatever it is, the job says it and stays where it is
            return self._stumble(step, error)
        self._passed("acted", step)
        if isinstance(answer, Wait):
            return self._wait(step, answer, kind.timeout_s)
        self._finish(step, answer, back=back)
        self._passed("written", step)
        return not (kind.shared and not back and self._let_others_first())

    def _begin(self, step: JobStep, *, back: bool) -> bool:
        """Write down what is about to be done, before it is. What only waits goes on waiting."""
        state = _State.UNDOING if back else _State.RUNNING
        begun = step.state == state or (step.state == _State.WAITING and not back)
        if begun and step.waits_for and not step.waits_for.startswith(_AGAIN):
            return True
        died = begun and not step.waits_for
        if back and not begun:
            step.attempts = 0  # taking back has a beginning, and tries, of its own
        if step.attempts >= TRIES:
            return self._fail(step, f"It was begun {step.attempts} times, and each time the worker died.")
        step.state, step.attempts, step.waits_for = state, step.attempts + 1, ""
        if step.attempts == 1 or step.started_at is None:
            step.started_at, step.ended_at = timezone.now(), None
        with fence(self.job) as row:
            if bool(row.asked) is not back:
                raise _AskedMeanwhile
            step.save(update_fields=["state", "attempts", "waits_for", "started_at", "ended_at"])
            self._write_job(state=Job.State.UNDOING if back else Job.State.RUNNING, waits_for="")
            if died:
                self._log(step, "The worker died; another goes on.")
        return True

    def _finish(self, step: JobStep, answer: Done, *, back: bool) -> None:
        step.state = _State.UNDONE if back else _State.DONE if answer.needed else _State.SKIPPED
        step.detail, step.waits_for, step.ended_at = answer.detail, "", timezone.now()
        with fence(self.job) as row:
            step.save(update_fields=["state", "detail", "waits_for", "ended_at"])
            results = {**row.results, **answer.result}
            self._write_job(state=Job.State.UNDOING if back else Job.State.RUNNING, waits_for="", results=results)
            if answer.detail:
                self._log(step, answer.detail)

    def _wait(self, step: JobStep, answer: Wait, timeout_s: float) -> bool:
        """Let go of the job until it is worth another look; the longer it has waited the later."""
        since = (timezone.now() - (step.started_at or timezone.now())).total_seconds()
        if since > timeout_s:
            return self._fail(step, f"It waited {_span(since)} for {answer.for_whom}.")
        pause = max(answer.again_in_s, min(since / 5, LONGEST_PAUSE_S))
        back = step.state == _State.UNDOING
        if step.waits_for != answer.for_whom:
            step.waits_for = answer.for_whom
            step.state = _State.UNDOING if back else _State.WAITING
            with fence(self.job):
                step.save(update_fields=["state", "waits_for"])
                state = Job.State.UNDOING if back else Job.State.WAITING
                self._write_job(state=state, waits_for=answer.for_whom)
                self._log(step, f"Waits for {answer.for_whom}.")
        return self._pause(pause)

    def _stumble(self, step: JobStep, error: Exception) -> bool:
        """Something went wrong that may go right the next time."""
        sentence = told(error)
        more = {"job": self.job.pk, "step": step.name, "why": sentence}
        logger.warning("a step of a job went wrong", extra=more, exc_info=None if sentence else error)
        if step.attempts >= TRIES:
            return self._fail(step, sentence)
        pause = min(2.0 ** (step.attempts - 1), LONGEST_PAUSE_S)
        step.waits_for = f"{_AGAIN}: {sentence}"
        with fence(self.job):
            step.save(update_fields=["waits_for"])
            self._write_job(waits_for=step.waits_for)
            self._log(step, f"{sentence} Another try in {pause:g} s.")
        return self._pause(pause)

    def _fail(self, step: JobStep, sentence: str, objects: Sequence[Mapping[str, Any]] = ()) -> bool:
        step.state, step.ended_at, step.detail, step.waits_for = _State.FAILED, timezone.now(), sentence, ""
        with fence(self.job):
            step.save(update_fields=["state", "ended_at", "detail", "waits_for"])
            keep_objects(step, objects)
            fresh = {"problem": sentence, "problem_step": step.name, "waits_for": "", "next_at": None}
            self._write_job(state=Job.State.FAILED, ended_at=Now(), **fresh)
            self._log(step, f"Failed: {sentence}")
        logger.error("a job failed", extra={"job": self.job.pk, "step": step.name, "why": sentence})
        return False

    def _let_others_first(self) -> bool:
        """Step back behind jobs that are due; False when there are none."""
        others = lease.due().exists()
        if others:
            self._pause(0)
        return others

    # --- rows -------------------------------------------------------------------

    def _steps(self) -> QuerySet[JobStep]:
        """The steps, what is sealed in them read only by whoever needs it."""
        return self.job.steps.defer("undo")

    def _pause(self, seconds: float) -> bool:
        """Not before so many seconds, unless somebody has called for another look since this one began."""
        mine = Job.objects.filter(pk=self.job.pk, lease=self.job.lease, next_at=None)
        mine.update(next_at=Now() + timedelta(seconds=seconds))
        return False

    def _pause_job(self, for_whom: str, seconds: float) -> None:
        if self.job.waits_for != for_whom:
            with fence(self.job):
                self._write_job(waits_for=for_whom)
                JobLine.objects.create(job=self.job, text=f"Waits for {for_whom}.")
        self._pause(seconds)

    def _write_job(self, **fields: object) -> None:
        Job.objects.filter(pk=self.job.pk).update(**fields)
        if "state" in fields:
            self.job.state = str(fields["state"])

    def _log(self, step: JobStep, text: str) -> None:
        JobLine.objects.create(job=self.job, step=step.name, text=text)

    def _passed(self, point: str, step: JobStep) -> None:
        passed.send(sender=Job, point=point, step=step.name, job_id=self.job.pk)

    @contextmanager
    def _in_the_name_of_who_asked(self, *, back: bool) -> Iterator[None]:
        person = self.job.asked_by if back else self.job.author
        gone = f" of {self.job.author_name}" if person is None and self.job.author_name else ""
        door: DoorName = "command" if person is None and not gone and self.job.door == "command" else "worker"
        with through(door, person=person, reason=f"job {self.job.pk}{gone}"):
            yield


def _span(seconds: float) -> str:
    for size, word in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= size:
            count = int(seconds // size)
            return f"{count} {word}{'s' if count > 1 else ''}"
    return f"{seconds:.0f} s"
