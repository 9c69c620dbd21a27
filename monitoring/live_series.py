"""Points of a chart, and the revisions that are marks on it."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from math import isfinite
from typing import Any

from accounts_app.access import may, reaches_all
from accounts_app.models import System
from monitoring import archive, store
from monitoring.events import moment
from monitoring.tables import METRICS, SUMMED
from provisioning.models import Revision
from provisioning.telling import authors_of, in_words

Point = tuple[float, ...]
MARKS = 200


@dataclass(frozen=True, slots=True)
class Span:
    """seconds: how far back; step: seconds of the points that are kept for so long."""

    seconds: int
    step: int


SPANS = {"10m": Span(600, 1), "1d": Span(86_400, 10), "30d": Span(30 * 86_400, 60)}


def points_of(system_id: int, entity: str, span: Span) -> list[Point]:
    """[(seconds since 1970, values in the order of METRICS …)] of a span that ends now, oldest first."""
    since = time.time() - span.seconds
    if span.step in store.STEPS:
        return [point for point in store.read_series(system_id, span.step, entity) if point[0] >= since]
    return archive.minutes(system_id, entity, datetime.fromtimestamp(since, UTC), datetime.now(UTC))


def step_of(span: Span, most: int) -> int:
    """Seconds of a point, so that a span has at most so many: a multiple of what is kept."""
    return span.step * max(1, -(-span.seconds // (span.step * most)))


def thinned(points: Iterable[Point], step: int, metrics: Sequence[str]) -> Iterator[list[float]]:
    """[seconds, a value for each metric] a step: the mean of its points, of what is counted the sum."""
    places = [(METRICS.index(name) + 1, name in SUMMED) for name in metrics]
    for at, some in groupby(points, key=lambda point: int(point[0]) // step * step):
        group = list(some)
        totals = [(sum(point[place] for point in group), summed) for place, summed in places]
        yield [at, *(_short(total if summed else total / len(group)) for total, summed in totals)]


def _short(value: float) -> float:
    """As many digits as a 32 bit float has."""
    if not isfinite(value):
        return 0
    return int(value) if value == int(value) else float(f"{value:.7g}")


def marks_of(person: Any, system: System, account: str, span: Span) -> list[dict[str, Any]]:
    """The last revisions within a span, oldest first; account: only those that changed it, in its own words.

    Nothing for who may not see revisions. Who is kept to single accounts isn't told who else took part.
    """
    if not may(person, "view", Revision):
        return []
    since = datetime.fromtimestamp(time.time() - span.seconds, UTC)
    rows = Revision.objects.filter(system=system, created_at__gte=since)
    if account:
        rows = rows.filter(blocks__account=account)
    found = list(rows.only("number", "created_at", "authors", "changes").order_by("-number")[:MARKS])[::-1]
    changes = [_of_account(row.changes, account) if account else row.changes for row in found]
    return [
        {
            "number": row.number,
            "at": moment(row.created_at.timestamp()),
            "who": authors_of(row) if reaches_all(person) else "",
            "text": _sentence([line.text for line in lines]),
        }
        for row, lines in zip(found, in_words(changes), strict=True)
    ]


def _of_account(changes: Iterable[Any], account: str) -> list[Any]:
    return [change for change in changes if isinstance(change, dict) and change.get("account") == account]


def _sentence(lines: Sequence[str]) -> str:
    more = len(lines) - 1
    if not lines:
        return "changed with the rest"
    return lines[0] if not more else f"{lines[0]} (and {more} more)"
