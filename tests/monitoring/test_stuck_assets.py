"""Streams and consumers that wait for a person are told wherever somebody asks how it is."""

import pytest
from django.db.models import F, QuerySet
from django.urls import reverse

from accounts_app.models import Consumer, Stream
from monitoring import doctor
from tests import factories

DRIFT = [{"setting": "max_age", "wanted": 0, "seen": 1, "words": "another age"}]


@pytest.fixture
def kept(db):
    """An account with two drifted streams, a refused one, one that is well, and a drifted consumer."""
    of = factories.account(jetstream=True)
    first, second, refused, well = (factories.stream(of, name) for name in ("FIRST", "SECOND", "WRONG", "WELL"))
    for row in (first, second, factories.consumer(well)):
        factories.settled(row, drift=DRIFT, seen={})
    factories.settled(well)
    QuerySet(Stream).filter(pk=refused.pk).update(
        problem_kind="failed", problem="Too large.", problem_wanted=F("wanted")
    )
    return of


def overview(client, person):
    client.force_login(person)
    return client.get(reverse("admin:index"), {"fragment": "cards"}).content.decode()


def test_the_overview_counts_them_and_leads_to_each_list(client, kept):
    text = overview(client, factories.admin())
    listed = reverse("admin:accounts_app_stream_changelist")
    for link, words in (
        (f"{listed}?state=failed&amp;kind__exact=stream", "1 stream"),
        (f"{listed}?state=drifted&amp;kind__exact=stream", "2 streams"),
        (f"{reverse('admin:accounts_app_consumer_changelist')}?state=drifted", "1 consumer"),
    ):
        assert f'href="{link}">{words}</a>' in text
        assert client.get(link.replace("&amp;", "&")).context["cl"].result_count == int(words[0])
    assert "Nothing: the servers hold" not in text


def test_who_may_not_see_streams_is_told_of_none(client, kept):
    text = overview(client, factories.staff("sam", "accounts_app.view_account"))
    assert "2 streams" not in text
    assert "1 consumer" not in text


def test_the_overview_is_quiet_when_all_is_well(client, kept):
    for model in (Stream, Consumer):
        QuerySet(model).update(drift=[], problem_kind="", done=F("wanted"))
    QuerySet(type(kept)).update(done=F("wanted"))
    assert "Nothing: the servers hold" in overview(client, factories.admin())


def test_the_doctor_tells_them_with_the_remedy(kept):
    told = {(each.level, each.detail): each.remedy for each in doctor.examine() if each.what.startswith("JetStream")}
    assert set(told) == {
        ("error", "The servers refuse 1 stream."),
        ("warning", "2 streams differ from their rows."),
        ("warning", "1 consumer differs from its row."),
    }
    assert "`nunect list streams state=failed`" in told["error", "The servers refuse 1 stream."]
