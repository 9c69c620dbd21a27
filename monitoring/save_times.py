"""How long it takes from a save until every server enforces it: a histogram over all revisions.

Nothing is measured for it: a revision knows when its rows were read and when all servers were seen to hold it, the
history of the rows when they were saved. The cache keeps the sums so far; when it is empty, they are
counted anew from the tables and are the same.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.core.cache import cache
from prometheus_client.core import HistogramMetricFamily, Metric

from accounts_app.models import CONFIG_MODELS
from provisioning.models import Revision

BUCKETS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0)  # seconds
_KEY = "nunect:save-times:1"


@dataclass
class Sums:
    """Of one system. counts: of each bucket, and one beyond them; read_at: when the last revision read its rows."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0
    read_at: datetime | None = None


def families(systems: dict[int, str]) -> list[Metric]:
    """The histogram. systems: {pk: name}. Raises what the cache raises when it doesn't answer."""
    sums = _sums()
    told = "From the first save that a revision answers until every server enforces it."
    family = HistogramMetricFamily("nunect_save_to_enforced_seconds", told, labels=["system"])
    for pk, name in systems.items():
        of = sums.get(pk) or Sums()
        total, buckets = 0, []
        for edge, count in zip((*map(str, BUCKETS), "+Inf"), of.counts, strict=True):
            total += count
            buckets.append((edge, total))
        family.add_metric([name], buckets, of.seconds)
    return [family]


def _sums() -> dict[int, Sums]:
    """{system: its sums}, with the revisions that came since they were kept: two queries."""
    last, kept = cache.get(_KEY) or (0, {})
    columns = ("pk", "system", "snapshot_at", "created_at")
    fresh = list(Revision.objects.filter(pk__gte=last).order_by("pk").values_list(*columns))
    if last and (not fresh or fresh[0][0] != last):  # another database than the one that was counted
        last, kept, fresh = 0, {}, list(Revision.objects.order_by("pk").values_list(*columns))
    elif last:
        fresh = fresh[1:]
    sums: dict[int, Sums] = {pk: Sums(*values) for pk, values in kept.items()}
    saves = _saves(fresh, sums)
    for pk, system, read_at, enforced_at in fresh:
        of = sums.setdefault(system, Sums())
        first = _first(saves, of.read_at, read_at)
        if first is not None:
            seconds = max(0.0, (enforced_at - first).total_seconds())
            of.counts[bisect_left(BUCKETS, seconds)] += 1
            of.seconds += seconds
        of.read_at, last = read_at, pk
    if fresh:
        told = {pk: (of.counts, of.seconds, of.read_at) for pk, of in sums.items()}
        cache.set(_KEY, (last, told), timeout=None)
    return sums


def _saves(fresh: Sequence[tuple[Any, ...]], sums: dict[int, Sums]) -> list[datetime]:
    """When rows were saved, in order, as far as these revisions may answer it."""
    if not fresh:
        return []
    begins = [of.read_at for of in sums.values() if of.read_at is not None]
    until = max(read_at for _pk, _system, read_at, _at in fresh)
    dates = []
    for model in CONFIG_MODELS:
        rows = model.history.order_by().filter(history_date__lte=until)
        if begins and len(begins) >= len({system for _pk, system, *_ in fresh} | sums.keys()):
            rows = rows.filter(history_date__gt=min(begins))
        dates.append(rows.values_list("history_date", flat=True))
    return sorted(dates[0].union(*dates[1:]))


def _first(saves: Sequence[datetime], after: datetime | None, until: datetime) -> datetime | None:
    """The first save in (after, until]; None when there was none, as of a repair."""
    at = bisect_right(saves, after) if after is not None else 0
    return saves[at] if at < len(saves) and saves[at] <= until else None
