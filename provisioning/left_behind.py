"""What retired accounts have left in the servers' store, as it was seen when they went."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from accounts_app.models import Account
from provisioning.models import Job, JobStep

STEP = "removal"  # of a job that retires: it looks before it removes the rows, and keeps what it saw
KEY = "behind"
PART = 500

Config = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LeftStream:
    """One stream as it was. config: the server's; counts: as rows keep them; consumers: {name: the server's config}."""

    kind: str
    config: Config
    counts: Mapping[str, Any] = field(default_factory=dict)
    consumers: Mapping[str, Config] = field(default_factory=dict)

    @property
    def messages(self) -> int:
        return int(self.counts.get("messages") or 0)

    @property
    def in_memory(self) -> bool:
        """Then its messages went with the account, whatever was asked for (measured)."""
        return self.config.get("storage") == "memory"

    def as_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "config": self.config, "counts": self.counts, "consumers": self.consumers}


@dataclass(frozen=True, slots=True)
class Left:
    """What one account left. job: that retired it; at: when; streams: {name: stream}, None where nunect could not
    see them; again: an account of the name was there after that, so that it may be otherwise by now."""

    job: int
    at: datetime
    streams: Mapping[str, LeftStream] | None
    again: bool


def left_by(system_id: int, names: Collection[str]) -> dict[str, Left]:
    """{account: what it left}, of those of the names whose last retirement kept the data."""
    last: dict[str, tuple[int, int, datetime]] = {}
    for part in _parts(sorted(names)):
        steps = JobStep.objects.filter(name=STEP, result__has_key="system", job__system=system_id)
        steps = steps.filter(job__kind=Job.Kind.RETIRE, job__parameters__account__in=part).order_by("job_id")
        for pk, job, told, at in steps.values_list("pk", "job_id", "job__parameters", "started_at"):
            last.pop(told["account"], None)
            if told.get("data") == "keep" and at is not None:
                last[told["account"]] = (pk, job, at)
    kept = JobStep.objects.filter(pk__in=[pk for pk, _, _ in last.values()]).values_list("pk", "undo")
    behind: dict[int, dict[str, Any]] = {pk: json.loads(undo).get(KEY, {}) for pk, undo in kept}
    return {
        name: Left(job, at, _streams(behind[pk].get(name)), _was_there_after(system_id, name, at))
        for name, (pk, job, at) in sorted(last.items())
    }


def _streams(told: Mapping[str, Any] | None) -> dict[str, LeftStream] | None:
    return None if told is None else {name: LeftStream(**stream) for name, stream in told.items()}


def _was_there_after(system_id: int, name: str, at: datetime) -> bool:
    made = Account.history.filter(system_id=system_id, name=name, history_type="+", history_date__gt=at)
    return bool(made.exists())


def _parts(names: list[str]) -> Iterator[list[str]]:
    return (names[start : start + PART] for start in range(0, len(names), PART))
