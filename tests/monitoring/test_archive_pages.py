"""The archive in the admin: read, searched, led from to what it speaks of; never edited."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from django.contrib.auth import get_user_model
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts_app import access
from monitoring import admin as pages
from monitoring import archive
from monitoring.events import Event
from monitoring.models import ArchivedEvent
from provisioning.models import Revision, RevisionBlock
from tests import factories

LIST = reverse("admin:monitoring_archivedevent_changelist")
START = datetime(2027, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def page(client, db):
    client.force_login(factories.admin())
    return client


@pytest.fixture
def acme(db):
    return factories.account("ACME")


def happen(count, account, user=None, **fields):
    told = [
        Event(
            at=(START + timedelta(seconds=number)).timestamp(),
            id=f"{account and account.name}:{number}",
            kind=("connect", "auth_error")[number % 2],
            level=("info", "error")[number % 2],
            text=f"Number {number}.",
            account=account.name if account else "",
            account_pk=account.pk if account else None,
            user=user.name if user else "nobody",
            user_pk=user.pk if user else None,
            **fields,
        )
        for number in range(count)
    ]
    archive.keep_now(factories.system().pk, told)


def shown(page, **question):
    answer = page.get(LIST, question)
    assert answer.status_code == 200, (answer.status_code, answer.headers)
    return answer


def texts(page, **question):
    return [row.text for row in shown(page, **question).context["cl"].result_list]


def test_fifty_a_page_newest_first_and_as_many_questions_for_each(page, acme):
    user = factories.user(acme)
    happen(2, acme, user, revision=1)
    shown(page)
    with CaptureQueriesContext(connection) as few:
        shown(page)
    happen(120, acme, user, revision=2)
    happen(120, None)
    with CaptureQueriesContext(connection) as many:
        rows = shown(page).context["cl"].result_list
    assert len(rows) == 50
    assert [row.at for row in rows] == sorted((row.at for row in rows), reverse=True)
    assert len(many) == len(few) <= 20, [query["sql"][:100] for query in many]


def test_nobody_counts_millions(page, acme, monkeypatch):
    monkeypatch.setattr(pages, "MOST", 60)
    happen(100, acme)
    with CaptureQueriesContext(connection) as asked:
        assert shown(page).context["cl"].result_count == 60
    counts = [query["sql"] for query in asked if "COUNT(" in query["sql"] and "archivedevent" in query["sql"]]
    assert counts
    assert all("LIMIT 60" in sql for sql in counts)


def test_it_is_searched_and_filtered(page, acme):
    user = factories.user(acme, "svc")
    happen(4, acme, user, address="10.0.0.17", revision=7)
    happen(2, factories.account("SHOP"))
    assert texts(page, q="10.0.0.17") == ["Number 3.", "Number 2.", "Number 1.", "Number 0."]
    assert texts(page, q="nothing like it") == []
    assert texts(page, kind__exact="auth_error", account="ACME") == ["Number 3.", "Number 1."]
    assert len(texts(page, level__exact="info")) == 3
    assert len(texts(page, account="SHOP")) == 2
    assert len(texts(page, user="svc")) == 4
    assert len(texts(page, revision="7")) == 4
    later = {"at_from_0": "2027-01-31", "at_from_1": "12:00:03"}
    assert texts(page, **later) == ["Number 3."]


def test_its_names_lead_to_the_rows_that_are_there(page, acme):
    user, gone = factories.user(acme, "svc"), factories.user(acme, "gone")
    revision = Revision.objects.create(
        system=acme.system,
        number=7,
        sha256="a",
        text_sha256="b",
        renderer=1,
        wanted=1,
        snapshot_at=START,
        changes=[{"account": "ACME", "text": "user `svc` is disabled"}, {"account": "SHOP", "text": "else"}],
    )
    RevisionBlock.objects.create(system=acme.system, revision=revision, account="ACME")
    happen(1, acme, user, revision=7, detail={"why": "<b>"})
    archive.keep_now(
        acme.system_id,
        [Event(at=START.timestamp(), id="x", kind="connect", text="Gone.", user="gone", user_pk=gone.pk, revision=99)],
    )
    gone.delete()
    places = [
        reverse("admin:accounts_app_account_change", args=[acme.pk]),
        reverse("admin:accounts_app_natsuser_change", args=[user.pk]),
        reverse("admin:provisioning_revision_change", args=[revision.pk]),
    ]
    listed = shown(page, q="Number 0").content.decode()
    whole = page.get(reverse("admin:monitoring_archivedevent_change", args=[_key("ACME:0")])).content.decode()
    for place in places:
        assert place in listed
        assert place in whole
    assert "&lt;b&gt;" in whole
    assert ": user `svc` is disabled.</div>" in re.sub(r"\s*</div>", "</div>", whole)
    assert "2027-01-31 12:00:00" in listed
    other = page.get(reverse("admin:monitoring_archivedevent_change", args=[_key("x")])).content.decode()
    assert f"/natsuser/{gone.pk}/" not in other
    assert "gone" in other


def _key(event):
    return ArchivedEvent.objects.get(key=event).pk


def test_nothing_is_added_changed_or_deleted(page, acme):
    happen(1, acme)
    base = f"{LIST}{_key('ACME:0')}/"
    assert page.get(f"{LIST}add/").status_code == 403
    assert page.post(f"{base}change/", {"text": "else"}).status_code == 403
    assert page.get(f"{base}delete/").status_code == 403
    page.post(LIST, {"action": "delete_selected", "_selected_action": [_key("ACME:0")], "post": "yes"})
    assert ArchivedEvent.objects.get(key="ACME:0").text == "Number 0."


@pytest.mark.parametrize("strange", ["x", "9" * 30, "%00", "%ED%A0%80", "1%27--"])
def test_strange_addresses_are_answered(page, acme, strange):
    happen(1, acme)
    for question in ("q", "account", "user", "revision", "user_pk", "kind__exact", "p", "o", "at_from_0", "nonsense"):
        assert page.get(f"{LIST}?{question}={strange}").status_code < 500, question
    assert page.get(f"{LIST}{strange}/change/").status_code < 500


# --- who sees it -----------------------------------------------------------------------


def test_the_right_is_that_to_users(client, acme):
    happen(1, acme, factories.user(acme), revision=1)
    client.force_login(factories.staff("sam"))
    assert client.get(LIST).status_code == 403
    client.force_login(factories.staff("eve", "accounts_app.view_natsuser"))
    answer = client.get(LIST)
    assert answer.status_code == 200
    assert reverse("admin:accounts_app_account_change", args=[acme.pk]) not in answer.content.decode()
    assert client.get(f"{LIST}{_key('ACME:0')}/change/").status_code == 200


def test_who_is_kept_to_an_account_sees_that_of_it(page, acme, monkeypatch):
    other = factories.account("SHOP")
    happen(3, acme)
    happen(2, other)
    happen(2, None)
    narrowed = access.Narrowed("admin", frozenset([acme.pk]))
    monkeypatch.setattr(get_user_model(), "nunect_token", narrowed, raising=False)
    assert len(texts(page)) == 3
    assert texts(page, account="SHOP") == []
    assert page.get(f"{LIST}{_key('SHOP:0')}/change/").status_code in (302, 404)
