"""What is too old goes, and the rest stays."""

from datetime import timedelta

import pytest
from django.conf import settings as configured
from django.utils import timezone

from monitoring import archive, retention
from monitoring.events import Event
from monitoring.models import ArchivedEvent, Minute
from monitoring.tables import METRICS
from monitoring.tasks import forget
from tests import factories

NOW = timezone.now()


@pytest.fixture
def system(db):
    return factories.system()


def kept(system, days, count=1):
    told = [
        Event(at=(NOW - timedelta(days=days)).timestamp(), id=f"{days}:{number}", kind="connect", text="Hello.")
        for number in range(count)
    ]
    archive.keep_now(system.pk, told)
    Minute.objects.bulk_create(
        Minute(
            system=system,
            entity=f"account:A{number}",
            at=NOW - timedelta(days=days),
            values=Minute.pack([0.0] * len(METRICS)),
        )
        for number in range(count)
    )


def test_events_and_minutes_have_days_of_their_own(system, settings):
    settings.EVENTS_DAYS, settings.MINUTES_DAYS = 7.0, 30.0
    for days in (1, 6, 8, 29, 31):
        kept(system, days)
    assert retention.forget(NOW) == {"events": 3, "minutes": 1}
    assert sorted(ArchivedEvent.objects.values_list("key", flat=True)) == ["1:0", "6:0"]
    assert Minute.objects.count() == 4
    assert retention.forget(NOW) == {"events": 0, "minutes": 0}


def test_it_deletes_a_few_at_a_time(system, monkeypatch):
    monkeypatch.setattr(retention, "CHUNK", 10)
    kept(system, 100, 35)
    kept(system, 1, 5)
    assert retention.forget(NOW)["events"] == 35
    assert ArchivedEvent.objects.count() == 5


def test_what_the_time_doesn_t_suffice_for_waits(system):
    kept(system, 100, 5)
    assert retention.forget(NOW, longest_s=0.0) == {"events": 0, "minutes": 0}
    assert ArchivedEvent.objects.count() == 5


def test_of_too_many_events_the_oldest_go(system, settings):
    settings.EVENTS_MOST = 10
    kept(system, 1, 25)
    assert retention.forget(NOW)["events"] == 15
    assert ArchivedEvent.objects.filter(key__in=[f"1:{number}" for number in range(15, 25)]).count() == 10
    settings.EVENTS_MOST = 0
    kept(system, 2, 20)
    assert retention.forget(NOW)["events"] == 0


def test_beat_asks_for_it_every_hour(system, settings):
    settings.EVENTS_DAYS = 0.0
    kept(system, 1)
    entry = configured.CELERY_BEAT_SCHEDULE["forget"]
    assert (entry["task"], entry["schedule"]) == (forget.name, 3600.0)
    forget()
    assert not ArchivedEvent.objects.exists()
