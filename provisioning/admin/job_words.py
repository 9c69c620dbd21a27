"""What the page of a job says: steps, what it was given and what came of it, links, and what a person may want next."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as say
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts_app import units
from accounts_app.access import may, visible
from accounts_app.admin import chips
from accounts_app.door import who_by
from accounts_app.models import Account
from provisioning.jobs import changed_since, stuck
from provisioning.jobs.rights import may_act, seen_by
from provisioning.models import HandOver, Job, JobStep

LINES, NAMED = 200, 10  # of the log; users that a link names
LONG = 80  # characters of a value that stands in a line
_BACK: dict[str, Any] = {  # what taking back a step does
    "rows": _("The rows are what they were before: what the job made is deleted, what it changed is changed back."),
    "enforced": _("The servers follow: clients of new users are closed and can't come back."),
    "assets": _(
        "New streams, consumers and buckets are deleted with their data; changed ones get back their settings."
    ),
    "credentials": _("The one-time link opens nothing any more, and the credentials cease to work."),
    "freeze": _("The users that were disabled may log in again."),
}


@dataclass(frozen=True, slots=True)
class Offer:
    """A button of a job's page. asks: a page in between says what it does."""

    name: str
    title: Any
    style: str = ""
    asks: bool = False


def offers(job: Job, person: Any) -> list[Offer]:
    """What this person may want of the job as it is now."""
    state, retires = Job.State(job.state), job.kind == Job.Kind.RETIRE
    under_way = state in (Job.State.QUEUED, Job.State.RUNNING, Job.State.WAITING)
    found: list[Offer] = []
    if state == Job.State.FAILED:
        found.append(Offer("retry", _("Try again"), "nu-main"))
        if not job.asked and job.kind != Job.Kind.HAND_OVER:
            found.append(Offer("roll-back", _("Roll back"), "nu-danger", asks=True))
    elif under_way and job.asked:
        found.append(Offer("resume", _("Go on after all")))
    elif under_way:
        if state == Job.State.WAITING and not retires:
            found.append(Offer("resume", _("Look again now")))
        word, style = (_("Keep the account"), "nu-main") if retires else (_("Cancel"), "nu-danger")
        found.append(Offer("cancel", word, style, asks=True))
    elif state == Job.State.DONE and job.kind == Job.Kind.PROVISION and not changed_since.retired(job):
        found.append(Offer("hand-over", _("New credentials"), asks=True))
        if job.forgotten_at is None:
            found.append(Offer("roll-back", _("Roll back"), "nu-danger", asks=True))
    if job.hand_overs.filter(opened_at=None, withdrawn_at=None).exists():
        found.insert(0, Offer("withdraw", _("Withdraw the link")))
    return [offer for offer in found if may_act(person, offer.name, job)]


def taken_back(job: Job) -> list[str]:
    """What comes undone when the job is taken back now, last thing first."""
    begun = job.steps.exclude(state__in=(JobStep.State.PENDING, JobStep.State.SKIPPED, JobStep.State.UNDONE))
    return [str(_BACK[step.name]) for step in begun.order_by("-number") if step.name in _BACK]


def context_of(job: Job, person: Any) -> dict[str, Any]:
    """All that `job_body.html` shows."""
    steps = list(job.steps.defer("undo"))
    lines = list(job.lines.order_by("-pk")[: LINES + 1])
    return {
        "job": job,
        "door": who_by("", job.door),
        "chip": chips.chip(job.state),
        "active": job.state in Job.ACTIVE,
        "took": span(job.started_at, job.ended_at) if job.ended_at else "",
        "steps": [_step(step, person) for step in steps],
        "now": next((step.title for step in steps if step.name == job.problem_step), job.problem_step),
        "waits_for": job.waits_for if job.state in Job.ACTIVE else "",
        "accounts": list(_accounts(job, person)),
        "many_accounts": len(job.accounts) > NAMED,
        "given": list(pairs(seen_by(person, job.parameters))),
        "results": list(pairs(seen_by(person, job.results))),
        "lines": lines[:LINES][::-1],
        "more_lines": len(lines) > LINES,
        "hand_overs": [_hand_over(row) for row in job.hand_overs.all()],
        "offers": offers(job, person),
        "window_ends": _window_ends(job, steps),
    }


def _step(step: JobStep, person: Any) -> dict[str, Any]:
    moving = step.state in (JobStep.State.RUNNING, JobStep.State.WAITING, JobStep.State.UNDOING)
    return {
        "row": step,
        "chip": chips.chip(step.state, word=step.get_state_display()),
        "told": " · ".join(filter(None, (_tries(step), "" if moving else span(step.started_at, step.ended_at)))),
        "since": step.started_at if moving and step.started_at else None,
        "objects": list(_objects(step, person)) if step.state == JobStep.State.FAILED else [],
    }


def _objects(step: JobStep, person: Any) -> Iterator[tuple[str, str]]:
    """(name, address of its page) of the streams and consumers that the step failed at."""
    for name, row in stuck.rows_of(step):
        if row is not None and may(person, "view", type(row)):
            yield name, reverse(f"admin:accounts_app_{row._meta.model_name}_change", args=[row.pk])


def _tries(step: JobStep) -> str:
    told = step.attempts > 1 and step.state != JobStep.State.PENDING
    return say("%d tries") % step.attempts if told else ""


def span(start: Any, end: Any) -> str:
    """How long something took: "0.3 s", "12 s", "1 min 15 s"."""
    if start is None or end is None:
        return ""
    seconds = max(0.0, (end - start).total_seconds())
    return f"{seconds:.1f} s" if seconds < 10 else duration(seconds)


def duration(seconds: float) -> str:
    """As format.js says it: 75 → "1 min 15 s"."""
    whole = int(seconds)
    for size, word, less, small in ((86400, "d", 3600, "h"), (3600, "h", 60, "min"), (60, "min", 1, "s")):
        if whole >= size:
            rest = whole % size // less
            return f"{whole // size} {word}" + (f" {rest} {small}" if rest else "")
    return f"{whole} s"


def spoken(seconds: float) -> str:
    """A length of time that somebody chooses: "15 minutes", "1 day"."""
    whole = int(seconds)
    for size, one, many in (
        (86400, "%d day", "%d days"),
        (3600, "%d hour", "%d hours"),
        (60, "%d minute", "%d minutes"),
    ):
        if whole and whole % size == 0:
            return ngettext(one, many, whole // size) % (whole // size)
    return duration(seconds)


def _accounts(job: Job, person: Any) -> Iterator[tuple[str, str]]:
    """(name, address of its page, "" when it isn't there)"""
    rows = visible(Account.objects.filter(system=job.system_id, name__in=job.accounts), person)
    known = dict(rows.values_list("name", "pk")) if may(person, "view", Account) else {}
    for name in job.accounts:
        yield name, reverse("admin:accounts_app_account_change", args=[known[name]]) if name in known else ""


def pairs(told: Any) -> Iterator[tuple[str, str, str]]:
    """(name, value in a line, the whole of it when that is longer)"""
    for name, value in told.items() if isinstance(told, dict) else ():
        if value in (None, "", [], {}):
            continue
        if isinstance(value, bool):
            short = say("yes") if value else say("no")
        elif name.endswith("_s") and isinstance(value, int | float):
            name, short = name[:-2], spoken(value)
        elif isinstance(value, list) and all(isinstance(one, str) for one in value):
            short = ", ".join(value)
        elif isinstance(value, list | dict):
            short = ""
        else:
            short = str(value)
        if short and len(short) <= LONG and "\n" not in short:
            yield str(name), short, ""
            continue
        whole = value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)
        yield str(name), _head(str(name), value) if isinstance(value, list | dict) else f"{short[: LONG - 1]}…", whole


def _head(name: str, value: list[Any] | dict[str, Any]) -> str:
    """What stands for the whole of a value until somebody opens it: "200 users"."""
    if name == "document" and isinstance(value, dict) and isinstance(value.get("accounts"), list):
        count = len(value["accounts"])
        return ngettext("%s account", "%s accounts", count) % f"{count:,}"
    if isinstance(value, list) and len(value) > 1:
        return f"{len(value):,} {name}"
    return ngettext("%s entry", "%s entries", len(value)) % f"{len(value):,}"


def _hand_over(row: HandOver) -> dict[str, Any]:
    now = timezone.now()
    if row.opened_at:
        state, word = "done", _("picked up")
    elif row.withdrawn_at:
        state, word = "cancelled", _("withdrawn")
    elif row.ready_at is None:
        state, word = "queued", _("not ready yet")
    elif row.expires_at <= now:
        state, word = "expired", _("over")
    else:
        state, word = "waiting", _("waits for its owner")
    more = len(row.users) - NAMED
    names = ", ".join(map(str, row.users[:NAMED])) + (say(" and %d more") % more if more > 0 else "")
    return {"row": row, "chip": chips.chip(state, word=word), "users": names, "open": state == "waiting"}


def _window_ends(job: Job, steps: Iterable[JobStep]) -> Any:
    """When an account that is being retired goes for good; None unless its window is open."""
    if job.kind != Job.Kind.RETIRE or job.state not in Job.ACTIVE:
        return None
    window = next((step for step in steps if step.name == "window"), None)
    if window is None or window.state != JobStep.State.WAITING:
        return None
    return units.when(window.result.get("until"))
