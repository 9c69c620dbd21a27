"""The archive keeps what happened, no more than it may, and outlives a database that doesn't answer."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest
from django.db import OperationalError, connection, connections
from django.utils import timezone

from accounts_app.models import System
from monitoring import archive as archives
from monitoring.archive import Archive
from monitoring.events import Event
from monitoring.models import ArchivedEvent, Minute
from monitoring.tables import METRICS
from tests import factories

NOW = 1_795_000_000.0  # at the beginning of nothing in particular


class Clock:
    """Time that goes on when it is told to."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now


@pytest.fixture
def system(db):
    return factories.system()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def archive(system, clock):
    return Archive(clock=clock)


def event(number=0, kind="connect", at=NOW, **fields):
    fields.setdefault("text", f"Number {number}.")
    return Event(at=at, id=f"N1:{number}:{kind}", kind=kind, **fields)


def point(**values):
    return [values.get(name, 0.0) for name in METRICS]


# --- events ---------------------------------------------------------------------


def test_an_event_comes_back_as_it_was(archive, system):
    whole = event(
        level="error",
        server="n1",
        account="ACME",
        account_pk=7,
        user="svc",
        user_pk=12,
        owner="ada",
        app="orders-api",
        address="10.0.0.17",
        cid=41,
        reason="Authentication Failure",
        revision=42,
        detail={"code": "wrong_password", "sent": {"msgs": 3}},
    )
    archive.put(system.pk, whole)
    assert archive.flush().events == 1
    assert ArchivedEvent.objects.get().event == whole


def test_the_same_happening_is_one_row(archive, system):
    for _ in range(2):
        archive.put(system.pk, event())
        archive.flush()
    archive.put(system.pk, event())
    archive.put(system.pk, event(1))
    archive.flush()
    assert sorted(ArchivedEvent.objects.values_list("key", flat=True)) == ["N1:0:connect", "N1:1:connect"]


def test_what_a_client_calls_itself_can_t_keep_others_out(archive, system):
    archive.put(system.pk, event(0))
    archive.put(system.pk, event(1, app="x\x00y\ud800z", text="t" * 5000, detail={"a\x00": ["\ud800", float("nan")]}))
    archive.put(system.pk, event(2, detail={"many": [{"deep": list(range(50))}] * 500}))
    archive.flush()
    odd = ArchivedEvent.objects.get(key="N1:1:connect")
    assert (odd.app, odd.detail) == ("x�y?z", {"a�": ["?", None]})
    assert (len(odd.text), odd.text[-1]) == (1000, "…")
    assert ArchivedEvent.objects.count() == 3


def test_a_time_that_can_t_be_is_now(archive, system):
    archive.put(system.pk, event(at=1e15))
    archive.flush()
    assert timezone.now() - ArchivedEvent.objects.get().at < timedelta(minutes=1)


# --- how much -------------------------------------------------------------------


def test_beyond_the_rate_an_event_says_what_is_missing(archive, system, clock, settings):
    settings.EVENTS_RATE = 10.0
    for number in range(130):
        archive.put(system.pk, event(number))
    for number in range(20):
        archive.put(system.pk, event(number, "auth_error"))
    archive.put(system.pk, event(0, "server"))
    archive.flush()
    assert ArchivedEvent.objects.filter(kind="connect").count() == 100
    assert ArchivedEvent.objects.filter(kind="server").count() == 1
    assert archive.missing(system.pk) == 50
    clock.now += 60
    archive.flush()
    told = ArchivedEvent.objects.get(key__startswith="unarchived:")
    assert told.text == (
        "In this minute 50 events were not archived, since more than 10 a second came: 30 connect, 20 auth_error."
    )
    assert told.detail["unarchived"] == {"connect": 30, "auth_error": 20}
    assert told.at == datetime.fromtimestamp(NOW // 60 * 60, UTC)
    assert (told.kind, told.level) == ("server", "warning")


def test_after_a_burst_the_budget_grows_again(archive, system, clock, settings):
    settings.EVENTS_RATE = 10.0
    for number in range(150):
        archive.put(system.pk, event(number))
    clock.now += 3
    for number in range(150, 200):
        archive.put(system.pk, event(number))
    archive.flush()
    assert ArchivedEvent.objects.filter(kind="connect").count() == 130


def test_one_system_takes_nothing_from_another_one(archive, system, settings):
    settings.EVENTS_RATE = 1.0
    other = System.objects.create(name="other")
    for number in range(50):
        archive.put(system.pk, event(number))
    archive.put(other.pk, event(0))
    archive.flush()
    assert ArchivedEvent.objects.filter(system=other).count() == 1
    assert archive.missing(other.pk) == 0


def test_the_last_flush_says_what_its_minute_is_missing(archive, system, settings):
    settings.EVENTS_RATE = 0.1
    for number in range(3):
        archive.put(system.pk, event(number))
    archive.flush()
    assert not ArchivedEvent.objects.filter(kind="server").exists()
    archive.flush(last=True)
    assert "2 events were not archived" in ArchivedEvent.objects.get(kind="server").text


# --- without a database -----------------------------------------------------------


@pytest.fixture
def down(monkeypatch):
    """The database refuses to write while this is set."""
    switch = threading.Event()

    def refuse(execute, sql, params, many, context):
        if switch.is_set() and sql.startswith("INSERT"):
            raise OperationalError("database is locked")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(refuse):
        yield switch


def test_a_database_that_is_down_costs_nothing_that_can_wait(archive, system, down):
    down.set()
    for number in range(1200):
        archive.put(system.pk, event(number))
    archive.put_minute(system.pk, NOW, {"system": point(connections=3)})
    answer = archive.flush()
    assert (answer.events, answer.minutes, answer.waiting) == (0, 0, 1201)
    assert answer.problem == "The database doesn't answer: OperationalError."
    down.clear()
    answer = archive.flush()
    assert (answer.events, answer.minutes, answer.waiting, answer.problem) == (1200, 1, 0, "")
    assert ArchivedEvent.objects.count() == 1200


def test_when_too_much_waits_the_oldest_goes_and_is_told(archive, system, clock, down, monkeypatch):
    monkeypatch.setattr(archives, "WAITING", 50)
    down.set()
    for number in range(80):
        archive.put(system.pk, event(number))
    assert archive.flush().waiting == 50
    assert archive.missing(system.pk) == 30
    clock.now += 60
    down.clear()
    archive.flush()
    kept = ArchivedEvent.objects.filter(kind="connect").order_by("pk").values_list("key", flat=True)
    assert len(kept) == 49  # one more made place for the event that says so
    assert kept.last() == "N1:79:connect"
    told = ArchivedEvent.objects.get(kind="server").text
    assert told == "In this minute 30 events were not archived, since the database did not answer: 30 connect."


@pytest.mark.django_db(transaction=True)
def test_a_row_that_can_t_be_written_keeps_no_other_one_out():
    system, archive = factories.system(), Archive()
    for number in range(5):
        archive.put(system.pk, event(number))
    archive.put(system.pk + 1000, event(0))  # a system that is gone
    for number in range(5, 10):
        archive.put(system.pk, event(number))
    answer = archive.flush()
    assert (answer.events, answer.waiting, answer.problem) == (10, 0, "")
    assert ArchivedEvent.objects.count() == 10


@pytest.mark.django_db(transaction=True)
def test_one_thread_puts_while_another_one_writes(settings):
    settings.EVENTS_RATE = 1_000_000.0
    system, archive, over = factories.system(), Archive(), threading.Event()

    def write():
        while not over.is_set():
            archive.flush()
            time.sleep(0.001)
        connections.close_all()

    writer = threading.Thread(target=write)
    writer.start()
    for number in range(5000):
        archive.put(system.pk, event(number))
    over.set()
    writer.join()
    archive.flush()
    assert ArchivedEvent.objects.count() == 5000


def test_putting_waits_for_no_database(archive, system, django_assert_num_queries):
    with django_assert_num_queries(0):  # measured: 5,000 of them in 2 ms
        for number in range(5000):
            archive.put(system.pk, event(number))


# --- minutes ------------------------------------------------------------------------


def test_a_minute_is_kept_once_and_comes_back(archive, system):
    began = NOW // 60 * 60
    values = {"system": point(connections=12, in_msgs_rate=0.5, js_storage=3e9), "server:n1": point(cpu=7.5)}
    for _ in range(2):
        archive.put_minute(system.pk, began + 59, values)
    assert archive.flush().minutes == 4
    day = timedelta(days=1)
    at = datetime.fromtimestamp(began, UTC)
    assert archives.minutes(system.pk, "system", at - day, at + day) == [(began, *values["system"])]
    assert archives.minutes(system.pk, "server:n1", at - day, at + day) == [(began, *values["server:n1"])]
    assert archives.minutes(system.pk, "system", at + day, at + day) == []


def test_of_accounts_the_busiest_are_kept(archive, system):
    values = {f"account:A{number}": point(in_msgs_rate=float(number)) for number in range(100)}
    archive.put_minute(system.pk, NOW, {"system": point(), "server:n1": point(), **values})
    archive.flush()
    kept = set(Minute.objects.values_list("entity", flat=True))
    assert kept == {"system", "server:n1", *(f"account:A{number}" for number in range(36, 100))}


def test_a_minute_of_an_older_nunect_has_zeroes_for_what_it_didn_t_know():
    assert Minute.unpack(Minute.pack([1.0, 2.0])) == (1.0, 2.0, *[0.0] * (len(METRICS) - 2))
