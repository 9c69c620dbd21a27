"""What is too old, or too much, goes: a few rows at a time, so that nobody waits long for the database."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db.models import Max, Min, QuerySet
from django.utils import timezone

from monitoring.models import ArchivedEvent, Minute

logger = logging.getLogger(__name__)
CHUNK = 1000  # rows of one statement: tens of milliseconds
PAUSE_S = 0.02  # between two, for those who wait for the lock
LONGEST_S = 120.0  # of one go; what is left goes with the next


def forget(now: datetime | None = None, longest_s: float = LONGEST_S) -> dict[str, int]:
    """Delete events and minutes older than their settings, and the oldest events beyond EVENTS_MOST; {what: rows}."""
    now, ends = now or timezone.now(), time.monotonic() + longest_s
    gone = {
        "events": _go(_older(ArchivedEvent, now, settings.EVENTS_DAYS), "at", ends) + _go_beyond(ends),
        "minutes": _go(_older(Minute, now, settings.MINUTES_DAYS), "at", ends),
    }
    if any(gone.values()):
        logger.info("old events and minutes are forgotten", extra=gone)
    return gone


def _older(model: Any, now: datetime, days: float) -> QuerySet[Any]:
    rows: QuerySet[Any] = model._default_manager.filter(at__lt=now - timedelta(days=days))
    return rows


def _go_beyond(ends: float) -> int:
    """The oldest rows beyond EVENTS_MOST, by the distance of keys: counting millions would take longer."""
    if settings.EVENTS_MOST <= 0:
        return 0
    keys = ArchivedEvent.objects.order_by().aggregate(first=Min("pk"), last=Max("pk"))
    last = (keys["last"] or 0) - settings.EVENTS_MOST
    return _go(ArchivedEvent.objects.filter(pk__lte=last), "pk", ends) if last >= (keys["first"] or 1) else 0


def _go(rows: QuerySet[Any], order: str, ends: float) -> int:
    """Delete rows, the first ones of an order first, until none is left or the time is over."""
    count = 0
    while time.monotonic() < ends:
        some = list(rows.order_by(order).values_list("pk", flat=True)[:CHUNK])
        for start in range(0, len(some), 500):
            rows.model._default_manager.filter(pk__in=some[start : start + 500]).delete()
        count += len(some)
        if len(some) < CHUNK:
            break
        time.sleep(PAUSE_S)
    return count
