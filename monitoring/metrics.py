"""What Prometheus is told: figures of tables and rows at the moment of the scrape, by names and never by numbers.

Nothing is counted in this process: any web process answers any scrape with the same figures.
"""

from __future__ import annotations

import heapq
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.db.models import Count, F, Q
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from redis.exceptions import RedisError

from accounts_app.models import System
from monitoring import save_times, store
from monitoring.store import Pulse
from monitoring.tables import Table
from provisioning.heartbeat import worker_age
from provisioning.models import Drift, Hold

_SILENT_S = 30.0  # a relay that has said nothing for so long: what it last saw is no figure any more


@dataclass(frozen=True, slots=True)
class Figure:
    """One metric of a table's rows. counter: it only grows, until its server or the relay starts anew."""

    name: str
    help: str
    column: str
    counter: bool = False
    of: Callable[[Any], float] = float


@dataclass(frozen=True, slots=True)
class Told:
    """How a table is told. labels: columns; weight: columns whose sum says which rows matter most."""

    labels: tuple[str, ...]
    weight: tuple[str, ...]
    figures: tuple[Figure, ...]


def _rates(of: str) -> tuple[Figure, ...]:
    return (
        Figure(f"nunect_{of}_in_msgs_per_second", "Messages from clients, a second.", "in_msgs_rate"),
        Figure(f"nunect_{of}_out_msgs_per_second", "Messages to clients, a second.", "out_msgs_rate"),
        Figure(f"nunect_{of}_in_bytes_per_second", "Bytes from clients, a second.", "in_bytes_rate"),
        Figure(f"nunect_{of}_out_bytes_per_second", "Bytes to clients, a second.", "out_bytes_rate"),
    )


def _jetstream(of: str) -> tuple[Figure, ...]:
    return (
        Figure(f"nunect_{of}_jetstream_storage_bytes", "JetStream's files.", "js_storage"),
        Figure(f"nunect_{of}_jetstream_storage_limit_bytes", "How large they may become.", "js_max_storage"),
        Figure(f"nunect_{of}_jetstream_memory_bytes", "JetStream's memory.", "js_memory"),
        Figure(f"nunect_{of}_jetstream_memory_limit_bytes", "How large it may become.", "js_max_memory"),
    )


TOLD = {
    "servers": Told(
        ("server",),
        ("connections",),
        (
            Figure("nunect_server_up", "1 while it answers.", "state", of=lambda state: state != "unreachable"),
            Figure("nunect_server_in_sync", "1 while it runs what the rows say.", "state", of=lambda s: s == "in_sync"),
            Figure("nunect_server_revision", "The revision that it runs.", "revision"),
            Figure("nunect_server_cpu_ratio", "1 is one core.", "cpu", of=lambda percent: percent / 100),
            Figure("nunect_server_memory_bytes", "Resident memory.", "rss"),
            Figure("nunect_server_connections", "Open connections.", "connections"),
            Figure("nunect_server_accepted_connections", "Connections since its start.", "total_connections", True),
            Figure("nunect_server_subscriptions", "Subscriptions.", "subscriptions"),
            Figure("nunect_server_slow_consumers", "Slow consumers since its start.", "slow_consumers", True),
            *_rates("server"),
            *_jetstream("server"),
        ),
    ),
    "accounts": Told(
        ("account",),
        ("in_msgs", "out_msgs", "connections"),
        (
            Figure("nunect_account_connections", "Open connections.", "connections"),
            Figure("nunect_account_connections_limit", "How many there may be.", "max_connections"),
            Figure("nunect_account_leafnodes", "Leaf nodes.", "leafnodes"),
            Figure("nunect_account_subscriptions", "Subscriptions.", "subscriptions"),
            Figure("nunect_account_in_msgs", "Messages from clients.", "in_msgs", True),
            Figure("nunect_account_out_msgs", "Messages to clients.", "out_msgs", True),
            Figure("nunect_account_slow_consumers", "Slow consumers.", "slow_consumers", True),
            *_rates("account"),
            Figure("nunect_account_streams", "Streams.", "streams"),
            Figure("nunect_account_consumers", "Consumers of its streams.", "consumers"),
            *_jetstream("account"),
        ),
    ),
    "streams": Told(
        ("account", "stream"),
        ("bytes",),
        (
            Figure("nunect_stream_messages", "Messages that it keeps.", "messages"),
            Figure("nunect_stream_bytes", "Bytes that it keeps.", "bytes"),
            Figure("nunect_stream_limit_bytes", "Bytes that it may keep.", "max_bytes"),
            Figure("nunect_stream_ok", "1 while it has a leader that keeps up.", "state", of=lambda s: s == "ok"),
        ),
    ),
    "consumers": Told(
        ("account", "stream", "consumer"),
        ("pending", "ack_pending"),
        (
            Figure("nunect_consumer_pending", "Messages that wait to be delivered: its lag.", "pending"),
            Figure("nunect_consumer_ack_pending", "Messages that wait for an acknowledgement.", "ack_pending"),
            Figure("nunect_consumer_redelivered", "Messages that were delivered more than once.", "redelivered"),
        ),
    ),
}


class Scrape:
    """One answer. A collector of prometheus-client: a fixed number of queries, and a few reads of Redis a system."""

    def collect(self) -> Iterator[Metric]:
        yield _one("nunect_build_info", "Which nunect answers.", {"version": settings.VERSION}, 1)
        try:
            systems, rows = _rows()
        except (DatabaseError, InterfaceError):
            yield _one("nunect_database_up", "1 while the database answers.", {}, 0)
            return
        yield _one("nunect_database_up", "1 while the database answers.", {}, 1)
        yield from rows
        try:
            seen = [*_live(systems), *_worker(), *save_times.families(systems)]
        except (RedisError, OSError):
            seen = []
        yield _one("nunect_redis_up", "1 while Redis answers; without it nothing live is told.", {}, bool(seen))
        yield from seen


def _one(name: str, told: str, labels: dict[str, str], value: float) -> Metric:
    family = GaugeMetricFamily(name, told, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family


# --- rows ----------------------------------------------------------------------


def _rows() -> tuple[dict[int, str], list[Metric]]:
    """({pk: name} of the systems, what the database knows of them)."""
    behind = Count("accounts", filter=Q(accounts__done__lt=F("accounts__wanted")))
    systems = list(System.objects.order_by("name").annotate(behind=behind))
    names = {system.pk: system.name for system in systems}
    open_holds = _open(Hold.objects.filter(state=Hold.State.OPEN))
    open_drifts = _open(Drift.objects.filter(state=Drift.State.OPEN))
    of_systems: dict[tuple[str, str], Callable[[System], float]] = {
        ("nunect_revision", "The revision that the servers hold."): lambda system: system.revision or 0,
        ("nunect_changes_behind", "Changes that the servers don't follow yet."): lambda s: _behind(
            s, s.wanted - s.done
        ),
        ("nunect_accounts_behind", "Accounts with such changes."): lambda s: _behind(s, s.behind),  # type: ignore[attr-defined]
        ("nunect_problem", "1 while something keeps the servers from following."): lambda s: bool(s.problem),
        ("nunect_holds_open", "Changes that wait for a person."): lambda system: open_holds[system.pk],
        ("nunect_drifts_open", "Differences that others made, and nobody answered."): lambda s: open_drifts[s.pk],
    }
    families: list[Metric] = []
    for (name, told), value_of in of_systems.items():
        family = GaugeMetricFamily(name, told, labels=["system"])
        for system in systems:
            family.add_metric([system.name], value_of(system))
        families.append(family)
    return names, families


def _behind(system: System, count: int) -> int:
    """Nobody is behind where nothing is written."""
    return count if system.stage == System.Stage.MANAGED else 0


def _open(rows: Any) -> Counter[int]:
    return Counter(dict(rows.order_by().values_list("system").annotate(Count("pk"))))


# --- what is seen --------------------------------------------------------------


def _live(systems: dict[int, str]) -> Iterator[Metric]:
    pulses = {pk: store.read_pulse(pk) for pk in systems}
    yield from _relay({systems[pk]: pulse for pk, pulse in pulses.items()})
    yield from _events(systems)
    yield _refused({system: store.read_table(pk, "failures") for pk, system in systems.items()})
    left_out = GaugeMetricFamily("nunect_rows_left_out", "Rows beyond the bound.", labels=["system", "table"])
    connected = {systems[pk] for pk, pulse in pulses.items() if pulse.connected}
    for name, told in TOLD.items():
        kept = {}
        for pk, system in systems.items():
            age_s = pulses[pk].age_s
            if age_s is not None and age_s < _SILENT_S:
                table = store.read_table(pk, name)
                kept[system] = _heaviest(table, told)
                left_out.add_metric([system, name], len(table.rows) - len(kept[system]))
        yield from _figures(name, told, kept, connected)
    yield left_out


def _heaviest(table: Table, told: Told) -> Sequence[Sequence[Any]]:
    most = settings.METRICS_MOST
    if len(table.rows) <= most:
        return table.rows
    places = [table.index(column) for column in told.weight]
    return heapq.nlargest(most, table.rows, key=lambda row: sum(row[at] or 0 for at in places))


def _figures(name: str, told: Told, kept: dict[str, Sequence[Sequence[Any]]], connected: set[str]) -> Iterator[Metric]:
    """One family for each figure. Of a system that nobody can ask, states are known and nothing else is."""
    empty = Table(name)
    places = [empty.index(column) for column in told.labels]
    rows = {(system, *(_label(row[at]) for at in places)): row for system in kept for row in kept[system]}
    for figure in told.figures:
        kind = CounterMetricFamily if figure.counter else GaugeMetricFamily
        family = kind(figure.name, figure.help, labels=["system", *told.labels])
        at, state, limit = empty.index(figure.column), figure.column == "state", "max_" in figure.column
        for names, row in rows.items():
            value = row[at]
            if value is not None and (state or names[0] in connected) and not (limit and value < 0):
                family.add_metric(names, figure.of(value))
        yield family


def _label(value: Any) -> str:
    """Text that can be sent: what a client or a server calls itself may hold half a character."""
    return str(value).encode("utf-8", "replace").decode()


def _relay(pulses: dict[str, Pulse]) -> Iterator[Metric]:
    live = GaugeMetricFamily("nunect_relay_live", "1 while the relay sees the servers.", labels=["system"])
    age = GaugeMetricFamily("nunect_relay_age_seconds", "Since it last said something.", labels=["system"])
    for system, pulse in pulses.items():
        live.add_metric([system], pulse.live)
        if pulse.age_s is not None:
            age.add_metric([system], pulse.age_s)
    yield live
    yield age


def _events(systems: dict[int, str]) -> Iterator[Metric]:
    """Counted by the relay since it started."""
    kinds = CounterMetricFamily("nunect_events", "What happened, since the relay started.", labels=["system", "kind"])
    malformed = CounterMetricFamily("nunect_events_malformed", "Events that can't be read.", labels=["system"])
    unarchived = CounterMetricFamily("nunect_events_unarchived", "Events that were not kept.", labels=["system"])
    for pk, system in systems.items():
        frame = store.read_frame(pk, "events")
        data = json.loads(frame)["data"] if frame else {}
        for kind, count in sorted(data.get("counts", {}).items()):
            kinds.add_metric([system, kind], count)
        if frame:
            malformed.add_metric([system], data.get("malformed", 0))
            unarchived.add_metric([system], data.get("unarchived", 0))
    yield from (kinds, malformed, unarchived)


def _refused(tables: dict[str, Table]) -> Metric:
    told = "Refused logins that are remembered, by reason."
    family = GaugeMetricFamily("nunect_refused_logins", told, labels=["system", "code"])
    for system, table in tables.items():
        code, count = table.index("code"), table.index("count")
        sums: dict[str, int] = defaultdict(int)
        for row in table.rows:
            sums[_label(row[code] or "")] += row[count] or 0
        for name, total in sorted(sums.items()):
            family.add_metric([system, name], total)
    return family


def _worker() -> Iterable[Metric]:
    age = worker_age()
    told = "Since a worker last executed a task; absent when it is too long ago."
    family = GaugeMetricFamily("nunect_worker_age_seconds", told)
    if age is not None:
        family.add_metric([], age)
    return [family]
