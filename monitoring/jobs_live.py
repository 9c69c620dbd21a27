"""The topics of jobs: what has changed is said to every web process, which makes the frames from the rows."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any

import redis
from django.db.models import Count

from accounts_app.door import who_by
from monitoring import store
from monitoring.events import moment
from monitoring.frames import JOB
from provisioning.events import job_changed
from provisioning.models import Job, JobStep

LATEST = 20  # jobs that the topic of all of them tells
LINES = 20  # of a job's log
AWAY_S = 5.0  # how long a Redis that failed is left alone: a job must not wait for who watches it
_FACTS = (
    "id", "kind", "title", "blueprint", "blueprint_version", "accounts", "author_name", "door", "state", "asked",
    "problem", "problem_step", "waits_for", "created_at", "started_at", "ended_at",
)  # fmt: skip
_STEPS = ("number", "name", "title", "state", "attempts", "started_at", "ended_at", "waits_for", "detail")
_away_until = 0.0
logger = logging.getLogger(__name__)


def connect() -> None:
    job_changed.connect(on_change, dispatch_uid="monitoring.job_changed")


def on_change(sender: Any, system_id: int, job_id: int, **kwargs: Any) -> None:
    """Say to all web processes that a job has changed. Never raises; a word that is lost does no harm."""
    global _away_until
    if time.monotonic() < _away_until:
        return
    try:
        store.nudge(system_id, f"{JOB}{job_id}")
    except (redis.RedisError, OSError) as error:
        _away_until = time.monotonic() + AWAY_S
        logger.warning("who watches a job was not told", extra={"job": job_id, "error": type(error).__name__})


def told(system_id: int, topics: Iterable[str]) -> dict[str, dict[str, Any]]:
    """{topic: its data} of the topics of jobs, without jobs that aren't there. A few queries for any number."""
    asked = set(topics)
    pks = [int(topic.removeprefix(JOB)) for topic in asked if topic.startswith(JOB)]
    found = {f"{JOB}{job['id']}": job for job in _whole(system_id, pks)} if pks else {}
    return {**found, "jobs": _all(system_id)} if "jobs" in asked else found


def _all(system_id: int) -> dict[str, Any]:
    """How many jobs are in each state that needs somebody or something, and the latest ones."""
    jobs = Job.objects.filter(system=system_id)
    states = (*Job.ACTIVE, Job.State.FAILED)
    counts = dict(jobs.filter(state__in=states).order_by().values_list("state").annotate(Count("pk")))
    latest = jobs.order_by("-pk").values(*_FACTS)[:LATEST]
    return {"counts": {str(state): counts.get(state, 0) for state in states}, "latest": [_plain(job) for job in latest]}


def _whole(system_id: int, pks: list[int]) -> list[dict[str, Any]]:
    jobs = {job["id"]: _plain(job) for job in Job.objects.filter(system=system_id, pk__in=pks).values(*_FACTS)}
    for job in jobs.values():
        job |= {"steps": [], "lines": []}
    for step in JobStep.objects.filter(job__in=jobs).order_by("number").values("job_id", *_STEPS):
        jobs[step.pop("job_id")]["steps"].append(_plain(step))
    for pk, job in jobs.items():
        lines = Job(pk=pk).lines.order_by("-pk").values("at", "step", "text")[:LINES]
        job["lines"] = [_plain(dict(line)) for line in reversed(lines)]
    return list(jobs.values())


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """A row as JSON: `author` in words, times as text."""
    shown: dict[str, Any] = {
        "author" if name == "author_name" else name: who_by(value, row["door"]) if name == "author_name" else value
        for name, value in row.items()
        if name != "door"
    }
    times = {"at", "created_at", "started_at", "ended_at"}
    return {
        name: moment(value.timestamp()) if name in times and value is not None else value
        for name, value in shown.items()
    }
