"""A list as a file: what is filtered and visible, and never a secret."""

import csv
import io
import json

import pytest
from django.urls import reverse

from accounts_app.models import AuditEntry, NatsUser
from tests import factories

USERS = "accounts_app_natsuser"


def address(name, kind="csv"):
    return reverse(f"admin:{name}_export", args=[kind])


@pytest.mark.parametrize("name", ["account", "natsuser", "role", "subjectpermission", "export", "import", "mapping"])
@pytest.mark.parametrize("kind", ["csv", "json"])
def test_every_list_can_be_taken_along(page, db, name, kind):
    factories.demo(users=40)
    answer = page.get(address(f"accounts_app_{name}", kind))
    assert answer.status_code == 200
    text = answer.content.decode()
    rows = json.loads(text) if kind == "json" else list(csv.DictReader(io.StringIO(text)))
    assert rows
    assert "$2a$" not in text
    for user in NatsUser.objects.exclude(nkey=""):
        assert user.nkey not in text
    assert AuditEntry.objects.filter(act="exported").count() == 1


def test_it_holds_what_the_list_shows(page, db):
    factories.demo(users=60)
    asked = {"q": "gateway", "enabled__exact": "1"}
    shown = page.get(reverse(f"admin:{USERS}_changelist"), asked).context["cl"].result_count
    assert len(json.loads(page.get(address(USERS, "json"), asked).content)) == shown > 0


def test_a_spreadsheet_runs_nothing(page, db):
    factories.user(factories.account(), '=HYPERLINK("http://example.org")')
    rows = list(csv.DictReader(io.StringIO(page.get(address(USERS)).content.decode())))
    assert rows[0]["name"].startswith("'=")


def test_a_list_of_thousands_costs_a_few_queries(page, db, django_assert_max_num_queries):
    factories.demo(users=3_000)
    page.get(address(USERS))
    with django_assert_max_num_queries(12):
        text = page.get(address(USERS)).content.decode()
    assert text.count("\n") > 3_000


def test_who_may_not_see_the_list_gets_no_file(client, db):
    factories.account()
    client.force_login(factories.staff())
    assert client.get(address(USERS)).status_code == 403
    assert client.get("/admin/accounts_app/natsuser/export.csv").status_code == 403


@pytest.mark.parametrize(
    "question", ["?state=x", "?account__id__exact=x", "?nonsense=1", "?p=x&o=9", "?password_hash=1"]
)
def test_strange_questions_are_no_errors(page, db, question):
    factories.demo(users=5)
    assert page.get(address(USERS) + question).status_code < 500
    assert page.get("/admin/accounts_app/natsuser/export.xls" + question).status_code == 404
