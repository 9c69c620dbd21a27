"""Writing down what was seen: never in the way of who sees it, never more than the database can bear."""

from __future__ import annotations

import logging
import math
import secrets
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.conf import settings
from django.db import DatabaseError, DataError, IntegrityError, InterfaceError, connection, transaction

from monitoring.events import Event
from monitoring.models import ArchivedEvent, Minute
from monitoring.tables import METRICS

logger = logging.getLogger(__name__)
Row = TypeVar("Row", ArchivedEvent, Minute)

BURST_S = 10.0
WAITING = 20_000  # events, and as many minutes, that wait for a database that doesn't answer
BATCH = 500
ACCOUNTS = 64  # whose minutes are kept: the busiest
ALWAYS = frozenset(("server", "reload", "revision", "drift"))  # few, and what an incident is explained by
DETAIL_TEXT, DETAIL_PARTS, DETAIL_DEPTH = 1000, 200, 6  # of what an event keeps beside its columns
_RATE, _DATABASE = "rate", "database"
_BUSY = tuple(METRICS.index(name) for name in ("in_msgs_rate", "out_msgs_rate", "in_bytes_rate", "out_bytes_rate"))
_CONNECTIONS = METRICS.index("connections")
_SIZES: dict[str, int] = {
    column.name: int(column.max_length or 0)
    for column in ArchivedEvent._meta.concrete_fields
    if getattr(column, "max_length", None) and column.name not in ("key", "kind", "level")
}


@dataclass(frozen=True, slots=True)
class Written:
    """What a flush did. events, minutes: given to the database, which ignores those that it has; waiting: events and
    minutes that could not be; problem: why not, "" when all is well."""

    events: int = 0
    minutes: int = 0
    waiting: int = 0
    problem: str = ""


class _Budget:
    """Events of one system: so many a second, averaged over BURST_S."""

    __slots__ = ("at", "left")

    def __init__(self, now: float) -> None:
        self.left, self.at = settings.EVENTS_RATE * BURST_S, now

    def take(self, now: float) -> bool:
        rate = settings.EVENTS_RATE
        self.left = min(rate * BURST_S, self.left + max(0.0, now - self.at) * rate)
        self.at = now
        if self.left < 1.0:
            return False
        self.left -= 1.0
        return True


class Archive:
    """Takes events and minutes from one thread and writes them in another one.

    `put` and `put_minute` only remember, and never wait for the database; `flush` writes. What is beyond the rate,
    or can't wait any longer, is counted, and each minute an event says what is missing. clock: seconds since 1970.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()  # of all below; held for moments only
        self._flushing = threading.Lock()
        self._events: deque[tuple[int, Event]] = deque()
        self._minutes: deque[Minute] = deque()
        self._budgets: dict[int, _Budget] = {}
        self._missing: dict[tuple[int, int, str], Counter[str]] = {}  # (system, minute, why) → how many of a kind
        self._totals: Counter[int] = Counter()
        self._run = secrets.token_hex(3)  # tells this process's events from those of one before

    # --- what comes in ------------------------------------------------------------

    def put(self, system_id: int, event: Event) -> None:
        """Remember an event, unless there are more than the archive takes."""
        now = self._clock()
        with self._lock:
            budget = self._budgets.get(system_id)
            if budget is None:
                budget = self._budgets[system_id] = _Budget(now)
            if event.kind not in ALWAYS and not budget.take(now):
                self._count(system_id, event.kind, now, _RATE)
                return
            self._events.append((system_id, event))
            self._drop_oldest(now)

    def put_minute(self, system_id: int, at: float, values: Mapping[str, Sequence[float]]) -> None:
        """Remember one minute of all series. at: seconds since 1970 within it; values: {entity: in the order of
        METRICS}. Of accounts, the busiest are kept."""
        began = datetime.fromtimestamp(at // 60 * 60, UTC)
        accounts = [entity for entity in values if entity.startswith("account:")]
        if len(accounts) > ACCOUNTS:
            accounts.sort(key=lambda entity: _busy(values[entity]), reverse=True)
        kept = [entity for entity in values if not entity.startswith("account:")] + accounts[:ACCOUNTS]
        rows = [
            Minute(system_id=system_id, entity=_clean(entity, 210), at=began, values=Minute.pack(values[entity]))
            for entity in kept
        ]
        with self._lock:
            self._minutes.extend(rows)
            while len(self._minutes) > WAITING:
                self._minutes.popleft()

    def missing(self, system_id: int) -> int:
        """How many events of a system were not archived since this archive began."""
        return self._totals[system_id]

    @property
    def waiting(self) -> int:
        """How many events and minutes wait for the database."""
        return len(self._events) + len(self._minutes)

    def left_out(self, system_id: int, kind: str, count: int) -> None:
        """Count events that came too fast even to be put here."""
        with self._lock:
            self._count(system_id, kind, self._clock(), _RATE, count)

    def _count(self, system_id: int, kind: str, now: float, why: str, count: int = 1) -> None:
        self._totals[system_id] += count
        self._missing.setdefault((system_id, int(now // 60), why), Counter())[kind] += count

    def _drop_oldest(self, now: float) -> None:
        while len(self._events) > WAITING:
            system_id, event = self._events.popleft()
            self._count(system_id, event.kind, now, _DATABASE)

    # --- what goes out ------------------------------------------------------------

    def flush(self, *, last: bool = False) -> Written:
        """Write what waits. A database that doesn't answer is told in the answer, and nothing is lost by it yet.
        last: say also what this minute is missing, since no flush follows."""
        with self._flushing:
            self._tell_missing(last)
            try:
                events = self._flush(self._events, lambda waiting: _row(*waiting), ArchivedEvent)
                minutes = self._flush(self._minutes, lambda row: row, Minute)
                return Written(events, minutes, self.waiting)
            except (DatabaseError, InterfaceError) as error:
                logger.warning("the archive waits for the database", extra={"detail": type(error).__name__})
                return Written(waiting=self.waiting, problem=f"The database doesn't answer: {type(error).__name__}.")
            finally:
                if not connection.in_atomic_block:
                    connection.close_if_unusable_or_obsolete()  # nobody else does it in a process of its own

    def _flush(self, queue: deque[Any], row_of: Callable[[Any], Row], model: type[Row]) -> int:
        """How many rows were given to the database. Raises DatabaseError with what was not written still there."""
        count = 0
        for _ in range(len(queue) // BATCH + 1):
            with self._lock:
                batch = [queue.popleft() for _ in range(min(BATCH, len(queue)))]
            if not batch:
                break
            rows = []
            try:
                rows = [row_of(each) for each in batch]
                count += _write(model, rows)
            except (DatabaseError, InterfaceError):
                with self._lock:
                    queue.extendleft(reversed(batch))
                    if queue is self._events:
                        self._drop_oldest(self._clock())
                raise
        return count

    def _tell_missing(self, last: bool) -> None:
        """An event for each minute that is over and of which something is missing."""
        now = self._clock()
        with self._lock:
            over = [key for key in self._missing if last or key[1] < now // 60]
            told = [(key, self._missing.pop(key)) for key in over]
            for (system_id, minute, why), kinds in told:
                self._events.append((system_id, self._summary(minute, why, kinds)))
            self._drop_oldest(now)

    def _summary(self, minute: int, why: str, kinds: Counter[str]) -> Event:
        total = kinds.total()
        named = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
        reason = f"more than {settings.EVENTS_RATE:g} a second came" if why == _RATE else "the database did not answer"
        plural = "event was" if total == 1 else "events were"
        return Event(
            at=minute * 60.0,
            id=f"unarchived:{why}:{minute}:{self._run}",
            kind="server",
            level="warning",
            text=f"In this minute {total:,} {plural} not archived, since {reason}: {named}.",
            detail={"unarchived": dict(kinds), "why": why},
        )


def _busy(values: Sequence[float]) -> tuple[float, float, float]:
    """What makes an account busier than another one: messages, then bytes, then connections."""
    messages, bytes_ = _BUSY[:2], _BUSY[2:]
    return sum(values[at] for at in messages), sum(values[at] for at in bytes_), values[_CONNECTIONS]


def _write(model: type[Row], rows: list[Row]) -> int:
    """How many rows the database took or had already. A row that it can't hold keeps no other one out."""
    try:
        with transaction.atomic():
            model._default_manager.bulk_create(rows, ignore_conflicts=True)
        return len(rows)
    except (DataError, IntegrityError):
        if len(rows) == 1:
            logger.error("the database refuses a row of the archive", extra={"row": type(rows[0]).__name__})
            return 0
    middle = len(rows) // 2
    return _write(model, rows[:middle]) + _write(model, rows[middle:])


# --- events as rows, and back ------------------------------------------------------


def _row(system_id: int, event: Event) -> ArchivedEvent:
    """The row of an event. What clients say of themselves may be anything: it is cut, and made text that every
    database can hold."""
    values: dict[str, Any] = {name.name: getattr(event, name.name) for name in fields(Event)}
    at = values.pop("at")
    row = ArchivedEvent(system_id=system_id, key=_clean(values.pop("id"), 200), at=_moment(at), **values)
    for name, size in _SIZES.items():
        setattr(row, name, _clean(getattr(row, name), size))
    row.detail = _harmless(row.detail)
    return row


def _moment(at: float) -> datetime:
    """A time, also where a server's clock says something impossible."""
    with suppress(ValueError, OverflowError, OSError):
        return datetime.fromtimestamp(at, UTC)
    return datetime.now(UTC)


def _clean(text: str, size: int) -> str:
    """Text without what a database refuses (NUL, lone surrogates), at most so long."""
    if len(text) > size:
        text = text[: size - 1] + "…"
    if text.isascii() and "\x00" not in text:
        return text
    return text.replace("\x00", "�").encode("utf-8", "replace").decode()


def _harmless(value: Any) -> Any:
    """JSON that every database can hold, of a bounded size."""
    left = DETAIL_PARTS

    def walk(part: Any, depth: int) -> Any:
        nonlocal left
        left -= 1
        if isinstance(part, bool | int) or part is None:
            return part
        if isinstance(part, float):
            return part if math.isfinite(part) else None
        if isinstance(part, str) or depth >= DETAIL_DEPTH:
            return _clean(str(part), DETAIL_TEXT)
        if isinstance(part, dict):
            return {_clean(str(name), 100): walk(each, depth + 1) for name, each in part.items() if left > 0}
        if isinstance(part, list | tuple):
            return [walk(each, depth + 1) for each in part if left > 0]
        return _clean(str(part), DETAIL_TEXT)

    return walk(value, 0)


def keep_now(system_id: int, events: Iterable[Event]) -> None:
    """Write events in the transaction under way: those that are known from rows, not from the servers."""
    ArchivedEvent.objects.bulk_create([_row(system_id, event) for event in events], ignore_conflicts=True)


def newest(system_id: int) -> int:
    """The key of the newest event of a system, from which on `rows_since` can be asked; 0 when there is none."""
    found = ArchivedEvent.objects.filter(system=system_id).order_by("-pk").values_list("pk", flat=True).first()
    return found or 0


def rows_since(system_id: int, pk: int) -> list[tuple[int, Event]]:
    """What nunect's own rows told after a key, in order, 500 at most: [(key of the row, event)] of revisions, held
    changes and drift. The relay didn't see these."""
    kinds = (ArchivedEvent.Kind.REVISION, ArchivedEvent.Kind.DRIFT)
    found = ArchivedEvent.objects.filter(system=system_id, pk__gt=pk, kind__in=kinds).order_by("pk")[:500]
    return [(row.pk, row.event) for row in found]


def minutes(system_id: int, entity: str, since: datetime, until: datetime) -> list[tuple[float, ...]]:
    """[(seconds since 1970, values in the order of METRICS …)] of one series, oldest first, like
    `store.read_series`."""
    found = Minute.objects.filter(system=system_id, entity=entity, at__gte=since, at__lte=until).order_by("at")
    return [(at.timestamp(), *Minute.unpack(bytes(values))) for at, values in found.values_list("at", "values")]
