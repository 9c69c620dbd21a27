"""What a person may want of jobs: start, retry, resume, cancel, roll back, retire. Doors ask for rights first."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models.functions import Now
from django.utils.translation import gettext as _

from accounts_app.access import may
from accounts_app.door import current_door
from accounts_app.models import Account, System, record
from accounts_app.services import check_deletable
from accounts_app.stages import check_written
from provisioning.jobs import changed_since
from provisioning.jobs.ending import end, turned_back
from provisioning.jobs.lease import tell
from provisioning.jobs.paths import PATHS, STEPS
from provisioning.jobs.steps.window import LONGEST_S
from provisioning.jobs.stuck import keep_objects
from provisioning.jobs.waking import wake_after_commit
from provisioning.models import Claim, HandOver, Hold, Job, JobStep

_UNDER_WAY = (Job.State.QUEUED, Job.State.RUNNING, Job.State.WAITING)


@transaction.atomic
def start(
    kind: str,
    system: System,
    *,
    title: str,
    accounts: Iterable[str],
    inputs: Mapping[str, Any],
    parameters: Mapping[str, Any] | None = None,
    blueprint: str = "",
    blueprint_version: int | None = None,
    hand_over: HandOver | None = None,
) -> Job:
    """A new job that begins after the commit, in the name of who stands in the current door.

    accounts: names of all that it may touch; inputs: JSON, kept sealed (provision: "document", "lifetime_s";
    retire: "window_s", "data"; hand_over: "users", "lifetime_s"); parameters: for people, without secrets;
    hand_over: unsaved, for the credentials that it makes. Raises Unwritten where nunect doesn't manage the system.
    """
    check_written(system)
    System.objects.select_for_update().get(pk=system.pk)  # numbers of jobs and their claims come in one order
    door = current_door()
    token = getattr(door.person, "nunect_token", None)
    job = Job.objects.create(
        system=system,
        kind=kind,
        title=title[:300],
        accounts=sorted(set(accounts)),
        inputs=json.dumps(dict(inputs)),
        parameters=dict(parameters or {}),
        blueprint=blueprint,
        blueprint_version=blueprint_version,
        author=door.person,
        author_name=door.person.get_username() if door.person else "",
        door=door.name,
        token=token.name if token else "",
        request_id=door.request_id,
        asked_by=door.person,
        answers_holds=_answers_holds(),
        next_at=Now(),
    )
    JobStep.objects.bulk_create(
        JobStep(job=job, number=number, name=step.name, title=step.title)
        for number, step in enumerate(PATHS[Job.Kind(kind)], 1)
    )
    _claim(job)
    if hand_over is not None:
        hand_over.job = job
        hand_over.save()
    record("job started", job, kind=kind, title=job.title, accounts=job.accounts)
    _moved(job)
    return job


@transaction.atomic
def retire(account: Account, confirm: str, window_s: float, data: str) -> Job:
    """Take an account off the servers: frozen at once, gone after the undo window.

    confirm: its name, typed; data: "delete" (its streams and its folder in the store go) or "keep". Raises
    ValidationError by field.
    """
    if confirm != account.name:
        raise ValidationError({"confirm": _("Type the name of the account: %s.") % account.name})
    if data not in ("delete", "keep"):
        raise ValidationError({"data": _("This must be delete or keep.")})
    if not 0 <= window_s <= LONGEST_S:
        raise ValidationError({"window_s": _("This must be between 0 seconds and 90 days.")})
    check_deletable(account)
    if Claim.objects.filter(system=account.system_id, account=account.name, job__kind=Job.Kind.RETIRE).exists():
        raise ValidationError({"account": _("This account is being retired already.")})
    return start(
        Job.Kind.RETIRE,
        account.system,
        title=_("Retire %s") % account.name,
        accounts=[account.name],
        inputs={"window_s": float(window_s), "data": data},
        parameters={"account": account.name, "window_s": float(window_s), "data": data},
    )


@transaction.atomic
def retry(job: Job) -> None:
    """Begin the step that failed once more. Raises ValidationError when the job hasn't failed."""
    row = _locked(job)
    if row.state != Job.State.FAILED:
        raise ValidationError(_("Only a job that failed can be retried; this one is %s.") % row.get_state_display())
    _again(row)
    record("job retried", row, step=row.problem_step)
    job.refresh_from_db()


@transaction.atomic
def resume(job: Job) -> None:
    """Go on: where it failed, or after a cancel that has not begun to take anything back."""
    row = _locked(job)
    if row.state == Job.State.FAILED:
        return retry(job)
    if row.asked and row.state != Job.State.UNDOING:
        _save(row, asked="", next_at=Now())
        record("job resumed", row)
    elif row.state == Job.State.WAITING:
        _save(row, next_at=Now())
    else:
        told = row.get_state_display()
        raise ValidationError(_("There is nothing to resume: the job is %s.") % told)
    return job.refresh_from_db()


@transaction.atomic
def cancel(job: Job) -> None:
    """Stop a job and take back what it has done; accounts that it has made go with all that is in them by now.

    Raises ValidationError when it is too late for that, or when somebody has changed an account that was there before.
    """
    row = _locked(job)
    if row.state not in _UNDER_WAY:
        told = row.get_state_display()
        hint = _(" Roll it back instead.") if row.state in (Job.State.FAILED, Job.State.DONE) else ""
        raise ValidationError(_("Only a job under way can be cancelled; this one is %s.") % told + hint)
    _check_way_back(row, own=False)
    if not row.steps.exclude(state=JobStep.State.PENDING).exists():
        _end_unbegun(row)
    else:
        _ask(row, Job.Ask.CANCEL)
    record("job cancelled", row)
    job.refresh_from_db()


@transaction.atomic
def roll_back(job: Job) -> None:
    """Take back what a job that failed or is done has done. Raises ValidationError when somebody has changed its
    accounts since, or when what it did can't be taken back."""
    row = _locked(job)
    if row.state not in (Job.State.FAILED, Job.State.DONE):
        told = row.get_state_display()
        hint = _(" Cancel it instead.") if row.state in _UNDER_WAY else ""
        raise ValidationError(_("Only a job that failed or is done can be rolled back; this one is %s.") % told + hint)
    if row.forgotten_at is not None:
        raise ValidationError(
            _("What it takes to roll this job back was forgotten on %(day)s: it is kept for %(days)g days.")
            % {"day": f"{row.forgotten_at:%Y-%m-%d}", "days": settings.UNDO_DAYS}
        )
    _check_way_back(row)
    if row.state == Job.State.DONE:
        System.objects.select_for_update().get(pk=row.system_id)
        other = Claim.objects.filter(system=row.system_id, account__in=row.accounts).order_by("job").first()
        if other is not None:
            raise ValidationError(
                _("Job %(job)d is at work on %(account)s: wait until it has ended.")
                % {"job": other.job_id, "account": other.account}
            )
        _claim(row)
    _ask(row, Job.Ask.ROLL_BACK)
    record("job rolled back", row)
    job.refresh_from_db()


@transaction.atomic
def withdraw(job: Job) -> None:
    """Let the job's links open nothing any more, for who has sent one to the wrong place."""
    row = _locked(job)
    links = HandOver.objects.filter(job=row, opened_at=None, withdrawn_at=None)
    if not links.update(withdrawn_at=Now(), sealed=""):
        raise ValidationError(_("It has no link that still opens something."))
    record("hand-over withdrawn", row)
    tell(row)


def _locked(job: Job) -> Job:
    """The row of now. Every writer locks a job before its system, never the other way round."""
    return Job.objects.select_for_update(no_key=True).get(pk=job.pk)


def _claim(job: Job) -> None:
    Claim.objects.bulk_create(Claim(system_id=job.system_id, account=name, job=job) for name in job.accounts)


def _answers_holds() -> bool:
    door = current_door()
    return may(door.person, "change", Hold) if door.person is not None else door.name == "command"


def _check_way_back(job: Job, *, own: bool = True) -> None:
    """Raise ValidationError when what the job did can't be taken back, or not without losing another's change.

    own: also a change of an account that the job has made itself, and that goes as a whole.
    """
    for step in job.steps.exclude(state__in=(JobStep.State.PENDING, JobStep.State.SKIPPED)):
        if step.name in ("removal", "gone"):
            gone = job.state == Job.State.DONE
            told = _("The account is gone") if gone else _("The account is being removed already")
            raise ValidationError(_("%s: this can't be taken back.") % told)
    changed = changed_since.sentence(job, own=own)
    if changed:
        raise ValidationError(changed)


def _again(job: Job) -> None:
    """A step that failed begins anew, in the direction that the job was going."""
    check_written(job.system)
    undoing = bool(job.asked)
    for step in job.steps.filter(state=JobStep.State.FAILED):
        STEPS[step.name].retried(job)
        step.state = JobStep.State.UNDOING if undoing else JobStep.State.PENDING
        step.attempts, step.started_at, step.waits_for = 0, None, ""
        step.save(update_fields=["state", "attempts", "started_at", "waits_for"])
        keep_objects(step)
    state = Job.State.UNDOING if undoing else Job.State.RUNNING
    _save(job, state=state, problem="", problem_step="", waits_for="", ended_at=None, next_at=Now())


def _ask(job: Job, what: str) -> None:
    check_written(job.system)
    fresh: dict[str, Any] = {"asked": what, "asked_by": current_door().person, "answers_holds": _answers_holds()}
    if job.state not in _UNDER_WAY:
        turned_back(job)
        fresh |= {"state": Job.State.UNDOING, "problem": "", "problem_step": "", "ended_at": None, "waits_for": ""}
        job.steps.filter(state=JobStep.State.FAILED).update(attempts=0)
    _save(job, **fresh, next_at=Now())


def _end_unbegun(job: Job) -> None:
    _save(job, asked_by=current_door().person)
    end(job, Job.State.CANCELLED)


def _save(job: Job, **fields: Any) -> None:
    Job.objects.filter(pk=job.pk).update(**fields)
    _moved(job)


def _moved(job: Job) -> None:
    tell(job)
    wake_after_commit()
