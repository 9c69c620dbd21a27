"""How a job ends: its claims go, its links that nobody has used with what it took back, and who waits for it begins."""

from __future__ import annotations

from django.db.models.functions import Now
from django.utils import timezone

from provisioning.jobs.lease import tell
from provisioning.jobs.waking import wake_after_commit
from provisioning.models import Claim, HandOver, Job, JobLine

WORDS = {
    Job.State.DONE: "Done.",
    Job.State.CANCELLED: "Cancelled; all is as it was.",
    Job.State.ROLLED_BACK: "Rolled back; all is as it was.",
}


def end(job: Job, state: Job.State) -> None:
    """Write that the job is over, in the transaction under way."""
    if state != Job.State.DONE:
        withdraw(job)
    empty = dict.fromkeys(("lease", "asked", "problem", "problem_step", "waits_for"), "")
    Job.objects.filter(pk=job.pk).update(state=state, next_at=None, ended_at=Now(), **empty)
    JobLine.objects.create(job=job, text=WORDS[state])
    Claim.objects.filter(job=job).delete()
    waiting = Claim.objects.filter(system=job.system_id, account__in=job.accounts).values("job")
    if Job.objects.filter(pk__in=waiting, state=Job.State.QUEUED).update(next_at=Now()):
        wake_after_commit()
    tell(job)


def turned_back(job: Job) -> None:
    """From now on the job is taken back: its time begins anew, and the log keeps how long the way here was."""
    if job.started_at is not None:
        seconds = ((job.ended_at or timezone.now()) - job.started_at).total_seconds()
        JobLine.objects.create(job=job, text=f"Taken back from here on, after {max(0.0, seconds):.1f} s of work.")
    Job.objects.filter(pk=job.pk).update(started_at=Now())


def withdraw(job: Job) -> None:
    """Nobody picks up what is being taken back."""
    left = HandOver.objects.filter(job=job, opened_at=None, withdrawn_at=None)
    left.update(withdrawn_at=Now(), sealed="")
