"""Whether every server runs what a job's rows say, and else for whom it waits."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime

from accounts_app.access import may
from accounts_app.door import through
from accounts_app.models import Account, Server, System
from provisioning import decisions
from provisioning.hints import send_hint
from provisioning.jobs.protocol import StepFailed, Wait
from provisioning.missing import missing_servers
from provisioning.models import Hold, Job, RevisionBlock

Counters = Mapping[str, int]  # {account: what its `wanted` was when the job had changed it}


def counters(system: System, names: Collection[str]) -> dict[str, int]:
    """What is wanted of accounts, in the transaction that has changed them."""
    return dict(Account.objects.filter(system=system, name__in=names).values_list("name", "wanted"))


def waits_for_accounts(job: Job, wanted: Counters, *, agreed_since: datetime | None = None) -> Wait | None:
    """None once every known server runs these accounts as the job wrote them.

    agreed_since: holds of them since then are what a person has confirmed by asking for the job. Raises StepFailed
    for an account that the servers refuse.
    """
    rows = {row.name: row for row in Account.objects.filter(system=job.system_id, name__in=wanted.keys())}
    if missing := sorted(wanted.keys() - rows.keys()):
        raise StepFailed(f"Account “{missing[0]}” is gone: somebody has deleted it.")
    behind = [rows[name] for name, counter in sorted(wanted.items()) if rows[name].done < counter]
    for row in behind:
        if row.problem_kind == Account.Problem.FAILED and row.problem_wanted == row.wanted:
            raise StepFailed(f"The servers refuse account “{row.name}”: {row.problem}")
    if held := _held(job, [row.name for row in behind], agreed_since=agreed_since):
        return held
    return _servers(job, bool(behind))


def waits_for_removal(
    job: Job, names: Collection[str], system_wanted: int, *, agreed_since: datetime | None = None
) -> Wait | None:
    """None once no server knows these accounts any more. system_wanted: the system's counter when they went."""
    if held := _held(job, names, agreed_since=agreed_since):
        return held
    done = System.objects.values_list("done", flat=True).get(pk=job.system_id)
    known = RevisionBlock.objects.filter(system=job.system_id, current=True, account__in=names).exclude(sha256="")
    return _servers(job, done < system_wanted or known.exists())


def _servers(job: Job, behind: bool) -> Wait | None:
    """For whom to wait. behind: no run has brought the change to any server yet; one was asked for when it was
    written, and is asked for again should that have been lost."""
    if behind and job.state in (Job.State.WAITING, Job.State.UNDOING):
        send_hint(job.system_id)
    system = System.objects.get(pk=job.system_id)
    missing, known = missing_servers(system), Server.objects.filter(system=system).count()
    if behind and len(missing) < known:
        return Wait("the servers")
    if missing:
        return Wait(_names(missing))
    return None if known else Wait("the first server")


def _held(job: Job, names: Collection[str], *, agreed_since: datetime | None) -> Wait | None:
    """What waits for a person's answer, unless who asked for the job has said yes to it by that, and may."""
    for hold in Hold.objects.filter(system=job.system_id, account__in=names, state=Hold.State.OPEN):
        agreed = agreed_since is not None and hold.created_at >= agreed_since
        if agreed and job.answers_holds and _may_still(job):
            with through("worker", person=job.asked_by, reason=f"job {job.pk}"):
                decisions.approve(hold)
            continue
        return Wait(f"a person's yes to the held change of {hold.account}: {hold.reason.rstrip('.')}", 5.0)
    return None


def _may_still(job: Job) -> bool:
    """Whether who asked for it may answer holds by now; a command at the machine itself is nobody's in particular."""
    if job.asked_by is None:
        return job.door == "command" and not job.author_name
    return may(job.asked_by, "change", Hold)


def _names(names: list[str]) -> str:
    return ", ".join(names) if len(names) < 4 else f"{', '.join(names[:3])} and {len(names) - 3} more servers"
